//! The event loop: the only place where events follow each other.

use anyhow::Result;

use super::Recorder;
use crate::clock::{Clock, Ticks};
use crate::measure::Transfer;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// It has ended, and moved this much.
    Done(Transfer),
    /// A file was flushed instead, which is not an event.
    Flushed,
    /// It has ended, and the worker has recorded it.
    Recorded,
    /// It is in flight. [`Events::reap`] records it.
    Pending,
    /// Not issued: as many as possible are in flight. One of them has to complete first.
    Full,
    /// No event is left for this thread.
    Exhausted,
}

/// The events of one thread.
pub trait Events {
    /// Does one event, or issues it.
    ///
    /// The event has begun with the reading that ended the one before. After work that is not part
    /// of it, [`Recorder::begin_event`] begins it anew.
    fn issue<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Issued>;

    /// Waits for at least one completion or the next checkpoint of the recorder, whichever comes
    /// first, and records what has completed. Returns the time when the wait ended.
    ///
    /// Called after [`Issued::Full`] only.
    fn reap<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Ticks> {
        Ok(recorder.now())
    }

    /// Waits for everything in flight, and records it. Called once, at the end, after an error too.
    fn drain<C: Clock>(&mut self, _recorder: &mut Recorder<C>) -> Result<()> {
        Ok(())
    }
}

/// The loop over one thread's events.
pub struct EventLoop<'a, C: Clock> {
    recorder: &'a mut Recorder<C>,
}

impl<'a, C: Clock> EventLoop<'a, C> {
    pub(super) fn new(recorder: &'a mut Recorder<C>) -> Self {
        Self { recorder }
    }

    /// Issues events until none is left, the run is over, or one fails. What is in flight then is
    /// waited for and counts.
    #[inline(always)]
    pub fn run<E: Events>(self, events: &mut E) -> Result<()> {
        let ended = issue_all(self.recorder, events);
        let drained = events.drain(self.recorder);
        ended.and(drained)
    }
}

#[inline(always)]
fn issue_all<C: Clock, E: Events>(recorder: &mut Recorder<C>, events: &mut E) -> Result<()> {
    recorder.begin_event();
    while recorder.is_open() {
        match events.issue(recorder)? {
            Issued::Done(transfer) => recorder.end_event(transfer),
            Issued::Flushed => recorder.end_flush(),
            Issued::Recorded => {
                recorder.begin_event();
            }
            Issued::Pending => {}
            Issued::Full => {
                let now = events.reap(recorder)?;
                recorder.pass(now);
            }
            Issued::Exhausted => break,
        }
    }
    Ok(())
}
