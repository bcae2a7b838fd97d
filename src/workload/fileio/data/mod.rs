//! What the test files contain.

pub mod block_header;
pub mod buffer;
pub mod pattern;
mod write_buffer;

pub use write_buffer::{Stamper, WriteBuffer, stream_of};
