//! The event loop: the only place where events follow each other.
//!
//! It is a closed loop: an event begins when the previous one has ended. A pacer belongs at the top of
//! [`issue_all`], before an event is issued: it would wait for the intended start of the event, pass it
//! to [`Recorder`] as the beginning, and bound the wait of [`Events::reap`] by it.

use anyhow::Result;

use super::Recorder;
use super::Transfer;
use crate::clock::{Clock, Ticks};

/// Outcome of [`Events::issue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issued {
    /// The event has ended and moved this much.
    Done(Transfer),
    /// A file was flushed, which does not count as an event.
    Flushed,
    /// A file was flushed, which counts as an event.
    FlushEvent,
    /// The event has ended, and the worker has recorded it.
    Recorded,
    /// The event is in flight; [`Events::reap`] records it.
    Pending,
    /// Not issued: the maximum number of events is in flight. One has to complete first.
    Full,
    /// No events are left for this thread.
    Exhausted,
}

/// The events of one thread.
pub trait Events {
    /// Runs or issues one event.
    ///
    /// An event begins at the clock reading that ended the previous one. After work that is not
    /// part of the event, call [`Recorder::begin_event`].
    fn issue<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Issued>;

    /// Waits for at least one completion or the next checkpoint of the recorder, whichever comes
    /// first, and records what has completed. Returns the time when the wait ended.
    ///
    /// Called after [`Issued::Full`] only.
    fn reap<C: Clock>(&mut self, recorder: &mut Recorder<C>) -> Result<Ticks> {
        Ok(recorder.now())
    }

    /// Waits for and records everything in flight. Called once at the end, also after an error.
    fn drain<C: Clock>(&mut self, _recorder: &mut Recorder<C>) -> Result<()> {
        Ok(())
    }
}

/// The event loop of one thread.
pub struct EventLoop<'a, C: Clock> {
    recorder: &'a mut Recorder<C>,
}

impl<'a, C: Clock> EventLoop<'a, C> {
    pub(super) fn new(recorder: &'a mut Recorder<C>) -> Self {
        Self { recorder }
    }

    /// Issues events until none are left, the run is over, or one fails, which ends the run for all
    /// threads. Then waits for the events in flight, which count.
    #[inline(always)]
    pub fn run<E: Events>(self, events: &mut E) -> Result<()> {
        let ended = issue_all(self.recorder, events);
        if ended.is_err() {
            self.recorder.stop();
        }
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
            Issued::FlushEvent => recorder.end_flush_event(),
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
