//! Paging of lists with `skip` and `take`: at most 1,000 entries, newest first.

/// Page size without `take`, and its maximum. Each operation declares the maximum itself, so that its document has it.
const MOST: u32 = 1_000;

/// Returns how many entries to skip and how many to return.
#[must_use]
pub fn page(skip: Option<u32>, take: Option<u32>) -> (u32, u32) {
    (skip.unwrap_or(0), take.unwrap_or(MOST))
}
