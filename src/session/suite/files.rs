//! The test files of a suite: made once, shared by all measurements that want the same.

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::super::measure::lock;
use crate::host::free_bytes;
use crate::plan::{FilePlan, OpenFlags, RunPlan, Test};
use crate::report::format::mib_or_gib;
use crate::result::{EndedBy, RunResult};
use crate::workload::fileio::files::{Rule, TestFiles};
use crate::workload::fileio::prepare::prepare;
use crate::workload::fileio::{Access, direct_io_in};

/// The files of the measurement at work, and what becomes of them. They are locked from the first
/// measurement that needs them to the last.
#[derive(Debug)]
pub struct SharedFiles {
    keep: bool,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    plan: FilePlan,
    files: Arc<TestFiles>,
    /// They were there before the suite, and so stay.
    were_there: bool,
    state: State,
}

/// What a run would find of the files.
#[derive(Debug)]
enum State {
    /// Every block of every file.
    Whole,
    /// Less, or nothing.
    Wanting,
    /// What stood in the way of making them, which is not tried again.
    Failed(String),
}

impl SharedFiles {
    /// None yet; those to come stay at the end where that is asked for.
    pub fn new(keep: bool) -> Self {
        Self { keep, held: None }
    }

    /// Fails where the files of a plan could not be made or not be used so, before much time is
    /// spent on other measurements.
    pub fn check(plan: &RunPlan) -> Result<()> {
        let (Test::Fileio(params), Some(wanted)) = (&plan.test, &plan.files) else {
            return Ok(());
        };
        let files = TestFiles::of(wanted, Rule::Stamp)?;
        lock(&files, Access::Exclusive)?;
        files.check_replaceable()?;
        let dir = wanted.dir.display();
        ensure!(
            params.flags != OpenFlags::Direct || direct_io_in(&wanted.dir) != Some(false),
            "{dir} does not support O_DIRECT; choose another directory with --dir"
        );
        let needed = wanted.set.total_size();
        if files.are_absent()?
            && let Some(free) = free_bytes(&wanted.dir)
        {
            ensure!(
                needed <= free,
                "the test files need {}, and {dir} has {} free: free space, choose another \
                 directory with --dir, or less with --scale",
                mib_or_gib(needed as f64),
                mib_or_gib(free as f64)
            );
        }
        Ok(())
    }

    /// The files that a plan needs, as a run of its own would find them: whole, or absent where
    /// the run creates them. `written` is told of the bytes of files that have to be made.
    pub fn ready(
        &mut self,
        plan: &RunPlan,
        written: &mut dyn FnMut(u64),
    ) -> Result<Option<Arc<TestFiles>>> {
        let (Test::Fileio(params), Some(wanted)) = (&plan.test, &plan.files) else {
            return Ok(None);
        };
        let held = self.hold(wanted)?;
        if params.mode.creates_files() {
            held.state = State::Wanting;
            // Removing files takes time that is none of the run's.
            held.files.remove()?;
            held.files.sync_folder()?;
        } else {
            held.make(written)?;
        }
        Ok(Some(Arc::clone(&held.files)))
    }

    /// Hears how a run has left the files.
    pub fn after(&mut self, plan: &RunPlan, result: &RunResult) -> Result<()> {
        let (Test::Fileio(params), Some(held)) = (&plan.test, &mut self.held) else {
            return Ok(());
        };
        match (params.mode.creates_files(), result.ended_by) {
            // Whether all was written is seen by the files themselves.
            (true, EndedBy::Work | EndedBy::Time) => Ok(()),
            // What an error left may have holes.
            (true, _) | (_, EndedBy::Error) if params.mode.writes() => {
                held.state = State::Wanting;
                match held.were_there {
                    true => Ok(()),
                    false => held.files.remove_made(),
                }
            }
            _ => Ok(()),
        }
    }

    /// Removes what was made and is not to stay.
    pub fn finish(&mut self) -> Result<()> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        match self.keep || held.were_there {
            true => held.files.keep_made(),
            false => held.files.remove_made()?,
        }
        Ok(())
    }

    fn hold(&mut self, wanted: &FilePlan) -> Result<&mut Held> {
        let same = self.held.take_if(|held| held.is_of_same_files(wanted));
        let held = match same {
            Some(held) if held.plan == *wanted => held,
            Some(held) => held.planned_as(wanted),
            None => {
                self.finish()?;
                Held::of(wanted)?
            }
        };
        Ok(self.held.insert(held))
    }
}

impl Drop for SharedFiles {
    fn drop(&mut self) {
        // The orderly way finishes before and tells of errors.
        let _ = self.finish();
    }
}

impl Held {
    fn of(plan: &FilePlan) -> Result<Self> {
        let files = TestFiles::of(plan, Rule::Stamp)?;
        lock(&files, Access::Exclusive)?;
        let were_there = !files.are_absent()?;
        Ok(Self {
            // As for a run of its own, larger files that are there will do.
            state: match were_there && files.check().is_ok() {
                true => State::Whole,
                false => State::Wanting,
            },
            plan: plan.clone(),
            files: Arc::new(files),
            were_there,
        })
    }

    fn make(&mut self, written: &mut dyn FnMut(u64)) -> Result<()> {
        match &self.state {
            State::Whole => return Ok(()),
            State::Failed(reason) => return Err(anyhow!("{reason}")),
            State::Wanting => {}
        }
        let made = prepare(&self.files, written);
        self.state = match &made {
            Ok(()) => State::Whole,
            Err(error) => State::Failed(format!("{error:#}")),
        };
        if made.is_err() && !self.were_there {
            self.files.remove_made()?;
        }
        made
    }

    /// The same bytes of the same files are wanted, whatever the requests to them.
    fn is_of_same_files(&self, wanted: &FilePlan) -> bool {
        let extent = |plan: &FilePlan| (plan.set.files, plan.set.file_size, plan.validate);
        // Seals are on blocks of one size.
        let blocks = !wanted.validate || self.plan.set.block_size == wanted.set.block_size;
        self.plan.dir == wanted.dir && extent(&self.plan) == extent(wanted) && blocks
    }

    fn planned_as(self, wanted: &FilePlan) -> Self {
        Self {
            plan: wanted.clone(),
            files: Arc::new(self.files.planned_as(wanted)),
            ..self
        }
    }
}
