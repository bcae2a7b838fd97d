//! Test files of a suite: created once, shared by all measurements that use the same set.

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::super::measure::lock;
use crate::error::describe;
use crate::format::mib_or_gib;
use crate::host::free_bytes;
use crate::plan::{FilePlan, OpenFlags, RunPlan};
use crate::result::{EndedBy, RunResult};
use crate::workload::fileio::files::direct_io_in;
use crate::workload::fileio::files::{FileLock, Ownership, TestFiles};
use crate::workload::fileio::prepare;

/// Files of the current measurement and their state. They are locked from the first measurement
/// that needs them to the last.
#[derive(Debug)]
pub struct SuiteFiles {
    keep: bool,
    current: Option<CurrentSet>,
}

#[derive(Debug)]
struct CurrentSet {
    plan: FilePlan,
    files: Arc<TestFiles>,
    /// The files existed before the suite and are kept.
    existed: bool,
    state: SuiteFilesState,
}

/// State in which a run would find the files.
#[derive(Debug)]
enum SuiteFilesState {
    /// All blocks of all files are written.
    Complete,
    /// Some blocks or files are missing.
    Incomplete,
    /// Creation failed for this reason and is not tried again.
    Failed(String),
}

impl SuiteFiles {
    /// Creates an empty set. `keep` leaves files created later in place at the end.
    pub fn new(keep: bool) -> Self {
        Self {
            keep,
            current: None,
        }
    }

    /// Fails if the files of a plan cannot be created or used as planned, before time is spent on
    /// other measurements.
    pub fn check(plan: &RunPlan) -> Result<()> {
        let Some((params, wanted)) = plan.fileio() else {
            return Ok(());
        };
        let files = TestFiles::of(wanted, Ownership::Mark)?;
        lock(&files, FileLock::Exclusive)?;
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
    pub fn prepare(
        &mut self,
        plan: &RunPlan,
        written: &mut dyn FnMut(u64),
    ) -> Result<Option<Arc<TestFiles>>> {
        let Some((params, wanted)) = plan.fileio() else {
            return Ok(None);
        };
        let set = self.select(wanted)?;
        if params.mode.creates_files() {
            set.state = SuiteFilesState::Incomplete;
            // Remove files now: the run must not spend time on it.
            set.files.remove()?;
            set.files.sync_directory()?;
        } else {
            set.make(written)?;
        }
        Ok(Some(Arc::clone(&set.files)))
    }

    /// Updates the state of the files after a run.
    pub fn after_run(&mut self, plan: &RunPlan, result: &RunResult) -> Result<()> {
        let (Some((params, _)), Some(set)) = (plan.fileio(), &mut self.current) else {
            return Ok(());
        };
        match (params.mode.creates_files(), result.ended_by) {
            // The next check of the files shows whether everything was written.
            (true, EndedBy::Work | EndedBy::Time) => Ok(()),
            // Files may have holes after an error.
            (true, _) | (_, EndedBy::Error) if params.mode.writes() => {
                set.state = SuiteFilesState::Incomplete;
                match set.existed {
                    true => Ok(()),
                    false => set.files.remove_created(),
                }
            }
            _ => Ok(()),
        }
    }

    /// Removes the files that were created and are not to be kept.
    pub fn finish(&mut self) -> Result<()> {
        let Some(set) = self.current.take() else {
            return Ok(());
        };
        match self.keep || set.existed {
            true => set.files.keep_created(),
            false => set.files.remove_created()?,
        }
        Ok(())
    }

    /// Makes the files of a plan the current ones.
    fn select(&mut self, wanted: &FilePlan) -> Result<&mut CurrentSet> {
        let same = self.current.take_if(|set| set.has_same_files(wanted));
        let set = match same {
            Some(set) if set.plan == *wanted => set,
            Some(set) => set.planned_as(wanted),
            None => {
                self.finish()?;
                CurrentSet::of(wanted)?
            }
        };
        Ok(self.current.insert(set))
    }
}

impl Drop for SuiteFiles {
    fn drop(&mut self) {
        // Does nothing after an explicit `finish`, which reports errors.
        let _ = self.finish();
    }
}

impl CurrentSet {
    fn of(plan: &FilePlan) -> Result<Self> {
        let files = TestFiles::of(plan, Ownership::Mark)?;
        lock(&files, FileLock::Exclusive)?;
        let existed = !files.are_absent()?;
        Ok(Self {
            // Larger existing files are accepted, as for a single run.
            state: match existed && files.check().is_ok() {
                true => SuiteFilesState::Complete,
                false => SuiteFilesState::Incomplete,
            },
            plan: plan.clone(),
            files: Arc::new(files),
            existed,
        })
    }

    fn make(&mut self, written: &mut dyn FnMut(u64)) -> Result<()> {
        match &self.state {
            SuiteFilesState::Complete => return Ok(()),
            SuiteFilesState::Failed(reason) => return Err(anyhow!("{reason}")),
            SuiteFilesState::Incomplete => {}
        }
        let made = prepare::prepare(&self.files, written);
        self.state = match &made {
            Ok(()) => SuiteFilesState::Complete,
            Err(error) => SuiteFilesState::Failed(describe(error)),
        };
        if made.is_err() && !self.existed {
            self.files.remove_created()?;
        }
        made
    }

    /// Whether both plans use the same content of the same files; their requests may differ.
    fn has_same_files(&self, wanted: &FilePlan) -> bool {
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
