//! A result becomes text. A report never measures.

pub mod format;
pub mod suite;
pub mod sysbench;
pub mod text;
