//! Parser of /proc/self/mountinfo; see proc_pid_mountinfo(5).

use std::path::{Path, PathBuf};

use super::root::SystemRoot;

/// One mount that this process sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// The kernel's mount ID.
    pub id: u64,
    /// `major:minor` as in `st_dev` of its files.
    pub device: String,
    /// The directory within the file system that is mounted.
    pub root: PathBuf,
    /// The mount point.
    pub point: PathBuf,
    /// The file system type.
    pub filesystem: String,
    /// The source: a device path or any other name.
    pub source: String,
    /// The options of the file system (superblock).
    options: String,
}

impl Mount {
    /// Returns the value of the file system's option `name=value`.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options
            .split(',')
            .find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns whether the file system has this option, without a value.
    pub(super) fn has_option(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option == name)
    }

    fn parse(line: &str) -> Option<Self> {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ');
        let mut kind = kind.split(' ');
        Some(Self {
            id: fields.next()?.parse().ok()?,
            device: fields.nth(1)?.to_owned(),
            root: unescape(fields.next()?).into(),
            point: unescape(fields.next()?).into(),
            filesystem: kind.next()?.to_owned(),
            source: unescape(kind.next()?),
            options: unescape(kind.next().unwrap_or_default()),
        })
    }
}

/// Returns all mounts that this process sees, in the kernel's order: a later mount hides an
/// earlier one on the same mount point.
pub(super) fn read(root: &SystemRoot) -> Vec<Mount> {
    root.text("proc/self/mountinfo")
        .map(|text| text.lines().filter_map(Mount::parse).collect())
        .unwrap_or_default()
}

/// Returns whether this file is a mount point, which a rename cannot replace.
pub fn is_mount_point(file: &Path) -> bool {
    let mounts = read(&SystemRoot::default());
    file.canonicalize()
        .is_ok_and(|file| mounts.iter().any(|mount| mount.point == file))
}

/// Decodes the escapes of mountinfo. The backslash is itself escaped, so it is decoded last.
fn unescape(field: &str) -> String {
    field
        .replace(r"\040", " ")
        .replace(r"\011", "\t")
        .replace(r"\012", "\n")
        .replace(r"\134", r"\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_parsed_with_any_number_of_optional_ones() {
        for optional in ["", "shared:1 ", "shared:1 master:2 unbindable "] {
            let line = format!(
                "36 35 98:0 /mnt1 /mnt2 rw,noatime {optional}- ext3 /dev/root rw,errors=continue"
            );
            let mount = Mount::parse(&line).unwrap();
            assert_eq!(mount.id, 36);
            assert_eq!(mount.device, "98:0");
            assert_eq!(mount.root, PathBuf::from("/mnt1"));
            assert_eq!(mount.point, PathBuf::from("/mnt2"));
            assert_eq!(mount.filesystem, "ext3");
            assert_eq!(mount.source, "/dev/root");
            assert_eq!(mount.option("errors"), Some("continue"));
            assert!(mount.has_option("rw"));
            assert!(!mount.has_option("errors"));
        }
    }

    #[test]
    fn escapes_are_decoded_exactly_once() {
        assert_eq!(unescape(r"/mnt/my\040disk"), "/mnt/my disk");
        assert_eq!(unescape(r"a\011b\012c"), "a\tb\nc");
        assert_eq!(unescape(r"\134040"), r"\040");
    }

    #[test]
    fn a_truncated_line_is_ignored() {
        let whole = "36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw";
        let short = &whole[..whole.len() - "/dev/root rw".len() - 1];
        assert_eq!(Mount::parse(short), None);
        assert_eq!(Mount::parse("36 35 98:0 /mnt1 - ext3"), None);
        assert_eq!(Mount::parse(""), None);
    }
}
