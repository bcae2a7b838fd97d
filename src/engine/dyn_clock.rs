//! A clock without its type, for everything outside of the measured loops: code that is generic over
//! the clock is compiled for each workload, too.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, Scale, Ticks};

/// A clock that is read through a pointer.
#[derive(Clone)]
pub(super) struct DynClock {
    now: Arc<dyn Fn() -> Ticks + Send + Sync>,
    scale: Scale,
}

impl DynClock {
    pub fn of<C: Clock>(clock: C) -> Self {
        Self {
            now: Arc::new(move || clock.stop()),
            scale: clock.scale(),
        }
    }

    /// Reads the clock.
    pub fn now(&self) -> Ticks {
        (self.now)()
    }

    /// The clock's rate.
    pub fn scale(&self) -> Scale {
        self.scale
    }
}

impl fmt::Debug for DynClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynClock")
            .field("scale", &self.scale)
            .finish_non_exhaustive()
    }
}
