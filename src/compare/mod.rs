//! Result files become a statement.

pub mod stats;
