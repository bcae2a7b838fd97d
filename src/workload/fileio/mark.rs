//! How this tool knows its own files: by the stamp that its data begins with, or by an extended
//! attribute that each file gets when it is made.
//!
//! The attribute is there from the first moment, so that an empty or half-written file of a
//! killed run is known as well; the stamp also works where a file system has no attributes.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use super::pattern;

const ATTRIBUTE: &CStr = c"user.wbench";

/// Marks a new file; where the file system has no attributes, its data will have to do.
pub(super) fn put_on(file: impl AsFd) {
    let value = b"1";
    // SAFETY: a descriptor that is open, a C string, and as many bytes as are said. That it may
    // fail is part of the plan.
    unsafe {
        libc::fsetxattr(
            file.as_fd().as_raw_fd(),
            ATTRIBUTE.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
}

/// This tool made the file, or wrote its beginning.
pub(super) fn is_on(file: &File) -> bool {
    // SAFETY: a descriptor that is open and a C string; of length 0, nothing is written.
    let attribute = unsafe {
        libc::fgetxattr(
            file.as_raw_fd(),
            ATTRIBUTE.as_ptr(),
            std::ptr::null_mut(),
            0,
        )
    };
    let mut start = [0; pattern::MARK];
    attribute > 0 || file.read_exact_at(&mut start, 0).is_ok() && pattern::is_stamped(&start)
}
