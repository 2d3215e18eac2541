//! Counters of the writer's activity.

use std::sync::atomic::{AtomicU64, Ordering};

/// Transactions are counted by their number of changes: up to 1, 2, 4 and so on to 512.
pub const SIZES: usize = 10;

/// The writer's activity since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriterMetrics {
    /// Committed transactions.
    pub batches: u64,
    /// Changes in these transactions.
    pub writes: u64,
    /// Changes queued or running now.
    pub waiting: u64,
    /// Transactions by size: element n counts those with up to 2^n changes and more than half of that.
    pub sizes: [u64; SIZES],
}

/// The live counters behind [`WriterMetrics`].
#[derive(Default)]
pub(super) struct WriterCounters {
    writes: AtomicU64,
    waiting: AtomicU64,
    sizes: [AtomicU64; SIZES],
}

impl WriterCounters {
    /// Counts a change as waiting.
    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a change as no longer waiting.
    pub(super) fn waited(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a committed transaction.
    pub(super) fn committed(&self, changes: usize) {
        let size = changes.next_power_of_two().ilog2() as usize;
        self.sizes[size.min(SIZES - 1)].fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(changes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> WriterMetrics {
        let sizes = std::array::from_fn(|size| self.sizes[size].load(Ordering::Relaxed));
        WriterMetrics {
            batches: sizes.iter().sum(),
            writes: self.writes.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            sizes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_counted_in_power_of_two_buckets() {
        let counters = WriterCounters::default();
        for changes in [1, 2, 3, 4, 5, 512, 513] {
            counters.committed(changes);
        }
        let read = counters.read();
        assert_eq!((read.sizes, read.batches, read.writes), ([1, 1, 2, 1, 0, 0, 0, 0, 0, 2], 7, 1_040));
    }
}
