//! Error messages: what happened, why, and what to do.

use std::fmt;
use std::io;

use anyhow::Error;
use nix::errno::Errno;

/// What to do about an error, attached to it as a context. [`describe`] puts it last, after the
/// reasons.
#[derive(Debug, Clone, Copy)]
pub struct Advice(pub &'static str);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Returns the whole message of an error: every context and reason, outermost first, then the
/// advice.
///
/// Errors of system calls have one form, whichever library reported them: `permission denied
/// (EACCES)`.
pub fn describe(error: &Error) -> String {
    let advice = error.downcast_ref::<Advice>();
    let is_advice = |text: &String| advice.is_some_and(|advice| *text == advice.0);
    let texts = error.chain().map(|cause| match errno(cause) {
        Some(errno) => describe_errno(errno),
        None => cause.to_string(),
    });
    let mut message = Vec::from_iter(texts.filter(|text| !is_advice(text))).join(": ");
    if let Some(Advice(advice)) = advice {
        message.push_str("; ");
        message.push_str(advice);
    }
    message
}

/// Returns the text for an error of a system call, such as `permission denied (EACCES)`.
pub fn describe_errno(errno: Errno) -> String {
    let text = errno.desc();
    let mut letters = text.chars();
    let first = letters.next().into_iter();
    match letters.clone().next() {
        // Not "I/O error".
        Some(second) if second.is_lowercase() => {
            let first = first.flat_map(char::to_lowercase);
            format!(
                "{}{} ({errno:?})",
                first.collect::<String>(),
                letters.as_str()
            )
        }
        _ => format!("{text} ({errno:?})"),
    }
}

/// Returns the text for an I/O error, in the same form if it is one of a system call.
pub fn describe_io(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => describe_errno(Errno::from_raw(number)),
        None => error.to_string(),
    }
}

/// The error number of a system call that failed.
fn errno(cause: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let io = |error: &io::Error| error.raw_os_error().map(Errno::from_raw);
    cause
        .downcast_ref()
        .copied()
        .or_else(|| cause.downcast_ref().and_then(io))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn contexts_and_reasons_are_given_outermost_first() {
        let error = anyhow!("it ended too early").context("cannot read r.json");
        assert_eq!(describe(&error), "cannot read r.json: it ended too early");
    }

    #[test]
    fn errors_of_system_calls_have_one_form_whichever_library_reports_them() {
        let reported = [
            Error::new(io::Error::from_raw_os_error(libc::EACCES)),
            Error::new(Errno::EACCES),
        ];
        for error in reported {
            let message = describe(&error.context("cannot open x"));
            assert_eq!(message, "cannot open x: permission denied (EACCES)");
        }
    }

    #[test]
    fn an_abbreviation_keeps_its_capitals() {
        assert_eq!(describe_errno(Errno::EIO), "I/O error (EIO)");
    }

    #[test]
    fn advice_follows_the_reasons_wherever_it_was_attached() {
        let full = || Error::new(Errno::ENOSPC);
        let expected = "cannot write r.json: no space left on device (ENOSPC); make room";
        let outside = full()
            .context("cannot write r.json")
            .context(Advice("make room"));
        let inside = full()
            .context(Advice("make room"))
            .context("cannot write r.json");
        assert_eq!(describe(&outside), expected);
        assert_eq!(describe(&inside), expected);
    }
}
