//! The threads that share the work of a comparison.

use rayon::ThreadPoolBuilder;

/// Runs a job on one thread per CPU, or on this thread alone if no others can be created.
pub fn in_parallel<R: Send>(job: impl FnOnce() -> R + Send) -> R {
    match ThreadPoolBuilder::new().build() {
        Ok(pool) => pool.install(job),
        Err(_) => {
            // rayon creates its global pool on first use and panics if it cannot. This pool creates
            // no threads; building it fails only if a global pool already exists.
            let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
            _ = alone.build_global();
            job()
        }
    }
}
