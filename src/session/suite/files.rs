//! Test files of a suite: created once, shared by all measurements that use the same set.

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

/// Files of the current measurement and their state. They are locked from the first measurement
/// that needs them to the last.
#[derive(Debug)]
pub struct SharedFiles {
    keep: bool,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    plan: FilePlan,
    files: Arc<TestFiles>,
    /// The files existed before the suite and are kept.
    were_there: bool,
    state: State,
}

/// State in which a run would find the files.
#[derive(Debug)]
enum State {
    /// All blocks of all files are written.
    Whole,
    /// Incomplete or missing.
    Wanting,
    /// Creation failed for this reason and is not tried again.
    Failed(String),
}

impl SharedFiles {
    /// Creates an empty set. `keep` leaves files created later in place at the end.
    pub fn new(keep: bool) -> Self {
        Self { keep, held: None }
    }

    /// Fails if the files of a plan cannot be created or used as planned, before time is spent on
    /// other measurements.
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

    /// Returns the files of a plan in the state that a single run would find: complete, or absent
    /// if the run creates them. `written` receives the size of each piece written.
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
            // Remove files now: the run must not spend time on it.
            held.files.remove()?;
            held.files.sync_folder()?;
        } else {
            held.make(written)?;
        }
        Ok(Some(Arc::clone(&held.files)))
    }

    /// Updates the state of the files after a run.
    pub fn after(&mut self, plan: &RunPlan, result: &RunResult) -> Result<()> {
        let (Test::Fileio(params), Some(held)) = (&plan.test, &mut self.held) else {
            return Ok(());
        };
        match (params.mode.creates_files(), result.ended_by) {
            // The next check of the files shows whether everything was written.
            (true, EndedBy::Work | EndedBy::Time) => Ok(()),
            // Files may have holes after an error.
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

    /// Removes the files that were created and are not to be kept.
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
        // Does nothing after an explicit `finish`, which reports errors.
        let _ = self.finish();
    }
}

impl Held {
    fn of(plan: &FilePlan) -> Result<Self> {
        let files = TestFiles::of(plan, Rule::Stamp)?;
        lock(&files, Access::Exclusive)?;
        let were_there = !files.are_absent()?;
        Ok(Self {
            // Larger existing files are accepted, as for a single run.
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

    /// Whether both plans use the same content of the same files; their requests may differ.
    fn is_of_same_files(&self, wanted: &FilePlan) -> bool {
        let extent = |plan: &FilePlan| (plan.set.files, plan.set.file_size, plan.validate);
        // Checksums of `--validate` cover blocks of one size.
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
