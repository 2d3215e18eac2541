//! How much of a list is answered? As asked, at most a thousand, newest first.

/// The number without `take`, and the most: each operation declares that itself, so that its document says it.
const MOST: u32 = 1_000;

/// How many to pass over and how many to give, as asked with `skip` and `take`.
#[must_use]
pub fn page(skip: Option<u32>, take: Option<u32>) -> (u32, u32) {
    (skip.unwrap_or(0), take.unwrap_or(MOST))
}
