//! The threads that a comparison is divided among.

use rayon::ThreadPoolBuilder;

/// Runs a job on one thread per CPU, or on this thread alone if no others can be created.
pub fn in_parallel<R: Send>(job: impl FnOnce() -> R + Send) -> R {
    match ThreadPoolBuilder::new().build() {
        Ok(pool) => pool.install(job),
        Err(_) => {
            // rayon creates its global pool when it is first used, and panics if it cannot. This
            // one creates no thread; it fails only if there is a global pool already.
            let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
            _ = alone.build_global();
            job()
        }
    }
}
