//! The event loop: the only place where events follow each other.
//!
//! In a closed loop, an event begins when the previous one has ended. In an open loop, it begins when it
//! arrives, or as soon after that as the thread is free: its latency includes the wait.

use anyhow::Result;

use super::Transfer;
use super::{Recorder, Timing};
use crate::clock::Ticks;

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

/// What [`Events::issue`] would do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upcoming {
    /// Issue an event.
    Event,
    /// Something that is not an event, and follows the previous event at once.
    Flush,
    /// Return [`Issued::Full`].
    Full,
    /// Return [`Issued::Exhausted`].
    Exhausted,
}

/// The events of one thread.
pub trait Events {
    /// Runs or issues one event.
    ///
    /// An event begins at the clock reading that ended the previous one. After work that is not
    /// part of the event, call [`Recorder::begin_event`].
    fn issue<T: Timing>(&mut self, recorder: &mut Recorder<T>) -> Result<Issued>;

    /// Returns what the next call of [`Events::issue`] would do, so that an open loop does not wait for
    /// the arrival of an event that there is not.
    fn upcoming(&mut self) -> Upcoming;

    /// Waits for at least one completion, the next checkpoint of the recorder, or `until`, whichever
    /// comes first, and records what has completed. Returns the time when the wait ended.
    ///
    /// Called after [`Issued::Full`], and in an open loop while nothing has arrived.
    fn reap<T: Timing>(&mut self, recorder: &mut Recorder<T>, until: Ticks) -> Result<Ticks> {
        Ok(recorder.wait_until(until))
    }

    /// Waits for and records everything in flight. Called once at the end, also after an error.
    fn drain<T: Timing>(&mut self, _recorder: &mut Recorder<T>) -> Result<()> {
        Ok(())
    }
}

/// The event loop of one thread.
pub struct EventLoop<'a, T: Timing> {
    recorder: &'a mut Recorder<T>,
}

impl<'a, T: Timing> EventLoop<'a, T> {
    pub(super) fn new(recorder: &'a mut Recorder<T>) -> Self {
        Self { recorder }
    }

    /// Issues events until none are left, the run is over, or one fails, which ends the run for all
    /// threads. Then waits for the events in flight, which count.
    #[inline(always)]
    pub fn run<E: Events>(self, events: &mut E) -> Result<()> {
        let ended = match T::OPEN_LOOP {
            true => issue_arrivals(self.recorder, events),
            false => issue_all(self.recorder, events),
        };
        if ended.is_err() {
            self.recorder.stop();
        }
        let drained = events.drain(self.recorder);
        ended.and(drained)
    }
}

#[inline(always)]
fn issue_all<T: Timing, E: Events>(recorder: &mut Recorder<T>, events: &mut E) -> Result<()> {
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
                let now = events.reap(recorder, Ticks::NEVER)?;
                recorder.pass(now);
            }
            Issued::Exhausted => break,
        }
    }
    Ok(())
}

/// Issues each event when it arrives. An event is claimed only when the thread is free to start it.
fn issue_arrivals<T: Timing, E: Events>(recorder: &mut Recorder<T>, events: &mut E) -> Result<()> {
    let mut awaited = false;
    recorder.begin_event();
    while recorder.is_open() {
        match events.upcoming() {
            Upcoming::Event => {
                let arrival = recorder.next_arrival()?;
                if recorder.began() < arrival {
                    awaited = true;
                    recorder.set_waiting(true);
                    reap(recorder, events, arrival)?;
                    recorder.set_waiting(false);
                    continue;
                }
                recorder.start_arrived(arrival, awaited);
                awaited = false;
            }
            Upcoming::Flush => {}
            Upcoming::Full => {
                reap(recorder, events, Ticks::NEVER)?;
                continue;
            }
            Upcoming::Exhausted => break,
        }
        match events.issue(recorder)? {
            Issued::Done(transfer) => recorder.end_event(transfer),
            Issued::Flushed => recorder.end_flush(),
            Issued::FlushEvent => recorder.end_flush_event(),
            Issued::Recorded | Issued::Pending => {
                recorder.begin_event();
            }
            Issued::Full => reap(recorder, events, Ticks::NEVER)?,
            Issued::Exhausted => break,
        }
    }
    Ok(())
}

/// Waits as [`Events::reap`] does; the next event begins after that.
fn reap<T: Timing, E: Events>(
    recorder: &mut Recorder<T>,
    events: &mut E,
    until: Ticks,
) -> Result<()> {
    let now = events.reap(recorder, until)?;
    recorder.pass(now);
    recorder.begin_event_at(now);
    Ok(())
}
