use std::fmt;

use sea_orm::DbErr;

use crate::{
    change::{Rejection, RejectionCode},
    error::Error,
};

/// Why a [`SyncHook`](super::SyncHook) refuses a change, or a page.
///
/// The code and the message go to the peer, so the message is for people there. What failed in the hook itself should not be
/// told to them; [`HookError::failed`], which `?` makes of a database's error, keeps it in the log.
///
/// ```
/// use grove_crdt::sync::HookError;
///
/// let error = HookError::new("title_too_long", "a title has 80 characters at most; yours has 93");
/// assert_eq!(error.to_string(), "title_too_long: a title has 80 characters at most; yours has 93");
/// assert!(!error.is_for_now());
/// assert!(HookError::new("quota", "your quota is used up for today").for_now().is_for_now());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct HookError {
    code: RejectionCode,
    message: String,
    for_now: bool,
}

/// The code of what is the fault of a hook, not of the change.
const FAILED: &str = "hook_failed";

impl HookError {
    /// An error with a code for programs, of 1 to 64 characters of `[a-z0-9_]`, and a message for people. In a code, what is
    /// none of these characters becomes `_`.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        let allowed = |c: char| {
            let c = c.to_ascii_lowercase();
            if RejectionCode::allows(c) { c } else { '_' }
        };
        let code: String = code.chars().map(allowed).take(RejectionCode::MAX).collect();
        let code = if code.is_empty() { "refused".into() } else { code };
        Self {
            code: code.as_str().into(),
            message: message.into(),
            for_now: false,
        }
    }

    /// The hook failed, for a reason that is no business of the peer's: it is logged, and the peer is told no more than that.
    /// For now only: the change is tried again with every sync, and taken when the hook works.
    #[must_use]
    pub fn failed(cause: impl fmt::Display) -> Self {
        tracing::error!("a sync hook failed: {cause}");
        Self::new(FAILED, "a hook of that replica failed; its log says why").for_now()
    }

    /// A hook did what it must not do.
    pub(crate) fn misused(detail: impl Into<String>) -> Self {
        let error = Self::new(FAILED, detail).for_now();
        tracing::error!("a sync hook went wrong: {}", error.message);
        error
    }

    /// The same change may be taken later, without anybody mending it: the sender tries it again with every sync, rather
    /// than with a new syncer only.
    #[must_use]
    pub fn for_now(mut self) -> Self {
        self.for_now = true;
        self
    }

    /// The code, for programs.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_str()
    }

    /// The message, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same change may be taken later.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        self.for_now
    }

    /// The refusal of the change at this place of a request.
    pub(crate) fn rejection(self, index: usize) -> Rejection {
        Rejection {
            later: self.for_now,
            ..Rejection::new(index, self.code, self.message)
        }
    }
}

impl From<DbErr> for HookError {
    fn from(error: DbErr) -> Self {
        Self::failed(error)
    }
}

impl From<Error> for HookError {
    fn from(error: Error) -> Self {
        Self::failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_brought_into_form() {
        for (given, code) in [
            ("too_long", "too_long"),
            ("Too long!", "too_long_"),
            ("", "refused"),
            ("forbidden", "forbidden"),
            (&"x".repeat(100), &"x".repeat(64)),
        ] {
            assert_eq!(HookError::new(given, "m").code(), code);
        }
    }

    #[test]
    fn what_failed_inside_is_not_told() {
        let error = HookError::from(DbErr::Custom("password=secret".into()));
        assert_eq!((error.code(), error.is_for_now()), (FAILED, true));
        assert!(!error.to_string().contains("secret"));
        let rejection = error.rejection(3);
        assert_eq!((rejection.index, rejection.later), (3, true));
    }
}
