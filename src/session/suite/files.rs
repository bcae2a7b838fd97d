//! The test files of a suite: made once, shared by all measurements that want the same.

use std::sync::Arc;

use anyhow::Result;

use crate::plan::{FilePlan, RunPlan, Test};
use crate::result::{EndedBy, RunResult};
use crate::workload::fileio::files::{Rule, TestFiles};
use crate::workload::fileio::prepare::prepare;

/// The files of the measurement at work, and what becomes of them.
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
    /// Every block of them is written.
    whole: bool,
}

impl SharedFiles {
    /// None yet; those to come stay at the end where that is asked for.
    pub fn new(keep: bool) -> Self {
        Self { keep, held: None }
    }

    /// Fails where the files of a plan could not be made, before much time is spent on others.
    pub fn check(plan: &FilePlan) -> Result<()> {
        TestFiles::of(plan, Rule::Stamp)?.check_replaceable()
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
            held.whole = false;
            // Removing files takes time that is none of the run's.
            held.files.remove()?;
            held.files.sync_folder()?;
        } else if !held.whole {
            prepare(&held.files, written)?;
            held.whole = true;
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
                held.whole = false;
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
            Some(held) => held.described_as(wanted)?,
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
        let were_there = !files.are_absent()?;
        Ok(Self {
            // As for a run of its own, larger files that are there will do.
            whole: were_there && files.check().is_ok(),
            plan: plan.clone(),
            files: Arc::new(files),
            were_there,
        })
    }

    /// The same bytes of the same files are wanted, whatever the requests to them.
    fn is_of_same_files(&self, wanted: &FilePlan) -> bool {
        let extent = |plan: &FilePlan| (plan.set.files, plan.set.file_size, plan.validate);
        // Seals are on blocks of one size.
        let blocks = !wanted.validate || self.plan.set.block_size == wanted.set.block_size;
        self.plan.dir == wanted.dir && extent(&self.plan) == extent(wanted) && blocks
    }

    fn described_as(self, wanted: &FilePlan) -> Result<Self> {
        let files = TestFiles::of(wanted, Rule::Stamp)?;
        files.take_over(&self.files);
        Ok(Self {
            plan: wanted.clone(),
            files: Arc::new(files),
            ..self
        })
    }
}
