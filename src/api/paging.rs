//! How much of a list is answered? As asked, at most a thousand, newest first.

use crate::actions::error::{Error, Kind};

/// The most in one answer, and the number without `take`.
const MOST: u32 = 1_000;

/// How many to pass over and how many to give, as asked with `skip` and `take`.
pub fn page(skip: Option<u32>, take: Option<u32>) -> Result<(u32, u32), Error> {
    let take = take.unwrap_or(MOST);
    if !(1..=MOST).contains(&take) {
        return Err(Error::new(Kind::Invalid, "INVALID_FIELD", "take must be 1 to 1000"));
    }
    Ok((skip.unwrap_or(0), take))
}
