//! Counts the API keys that are refused at a reverse proxy, to be logged once a minute, so that a flood of them is one
//! line.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::domain::event::network;

/// The maximum number of separate counts; further networks are counted together.
const TOLD_APART: usize = 64;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RefusedVerification {
    /// The error code.
    pub(crate) code: &'static str,
    /// The client's network; `None` for networks that are counted together.
    pub(crate) network: Option<IpAddr>,
}

/// The counts that are not logged yet.
#[derive(Default)]
pub(crate) struct RefusedVerifications(Mutex<HashMap<RefusedVerification, u64>>);

impl RefusedVerifications {
    /// Counts a refusal.
    pub(crate) fn count(&self, code: &'static str, address: Option<IpAddr>) {
        let mut refusal = RefusedVerification { code, network: address.map(network) };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= TOLD_APART && !counts.contains_key(&refusal) {
            refusal.network = None;
        }
        *counts.entry(refusal).or_default() += 1;
    }

    /// Removes and returns the counts, the largest first.
    pub(crate) fn take(&self) -> Vec<(RefusedVerification, u64)> {
        let counts = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(refusal, count)| (Reverse(*count), *refusal));
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v4(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(number).expect("a number")).into()
    }

    fn named(code: &'static str, network: IpAddr) -> RefusedVerification {
        RefusedVerification { code, network: Some(network) }
    }

    #[test]
    fn refusals_are_counted_per_code_and_network_until_they_are_taken() {
        let counts = RefusedVerifications::default();
        let v6 = |text: &str| IpAddr::from(text.parse::<Ipv6Addr>().expect("an address"));
        for _ in 0..1_000 {
            counts.count("NOT_FOUND", Some(v4(1)));
        }
        for address in [v6("2001:db8::1"), v6("2001:db8::ffff:2"), v6("2001:db8:0:1::1"), v6("::ffff:0.0.0.1")] {
            counts.count("EXPIRED", Some(address));
        }
        let expected = [
            (named("NOT_FOUND", v4(1)), 1_000),
            (named("EXPIRED", v6("2001:db8::")), 2),
            (named("EXPIRED", v4(1)), 1),
            (named("EXPIRED", v6("2001:db8:0:1::")), 1),
        ];
        assert_eq!(counts.take(), expected);
        assert!(counts.take().is_empty(), "they were taken");
    }

    #[test]
    fn networks_beyond_the_limit_are_counted_together_per_code() {
        let counts = RefusedVerifications::default();
        for number in 1..=TOLD_APART {
            counts.count("NOT_FOUND", Some(v4(number)));
        }
        assert!(counts.take().iter().all(|(refusal, count)| refusal.network.is_some() && *count == 1));
        for number in 1..=10 * TOLD_APART {
            counts.count("NOT_FOUND", Some(v4(number)));
            counts.count("EXPIRED", Some(v4(number)));
        }
        let taken = counts.take();
        assert_eq!(taken.iter().map(|(_, count)| count).sum::<u64>(), 20 * TOLD_APART as u64, "each is counted once");
        let together: Vec<_> = taken.iter().filter(|(refusal, _)| refusal.network.is_none()).collect();
        assert_eq!((together.len(), taken.len()), (2, TOLD_APART + 2), "the number of counts is bounded: {taken:?}");
    }
}
