//! Instances and batches of a sweep.

/// One instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance {
    /// Index of its environment in [`Sweep::environments`].
    pub env: usize,
    /// Number of instances that run concurrently with it, including itself.
    pub concurrency: u32,
    /// Number, from 1.
    pub number: u32,
}

/// All instances of one environment and one concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batch {
    /// Index of the environment in [`Sweep::environments`].
    pub env: usize,
    /// Number of concurrent instances.
    pub concurrency: u32,
}

impl Instance {
    /// Returns the batch of the instance.
    pub fn batch(self) -> Batch {
        Batch {
            env: self.env,
            concurrency: self.concurrency,
        }
    }
}
