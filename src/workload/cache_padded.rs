//! A value on its own cache line, so that threads that use its neighbors do not slow it down.

/// A value on its own cache line (and the adjacent one, which CPUs prefetch).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct CachePadded<T>(pub T);
