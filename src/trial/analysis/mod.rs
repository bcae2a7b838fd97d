//! Paired statistics of a trial; nothing here depends on what was measured.
//!
//! [`bets`] gives a confidence interval that is valid after any number of blocks;
//! [`autocorrelation`] says how much blocks that resemble their neighbors count; [`ratio`] combines
//! both into a decision against a [`margin`].

mod autocorrelation;
mod bets;
mod decision;
mod margin;
mod ratio;
mod scale;

pub use autocorrelation::autocorrelation_time;
pub use bets::{Bets, Side};
pub use decision::Decision;
pub use margin::Margin;
pub use ratio::PairedRatio;
pub use scale::scales;
