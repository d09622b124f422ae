//! Why a command failed, as sent over the control socket.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::DatabaseUrl;
use tenantry_core::error::{Denial, Error};

/// The error of a command. People see `detail`, or each of `errors` if there are any; programs use `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// Stable and machine-readable, such as `not-found` or `last-admin`.
    pub code: Cow<'static, str>,
    /// What is wrong and how to fix it.
    pub detail: String,
    /// Errors of the input, by flag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorLine>,
}

/// An error of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLine {
    /// The flag or argument, as it is typed.
    pub field: String,
    /// Stable and machine-readable, such as `too-long`.
    pub code: String,
    /// What is wrong and how to fix it.
    pub detail: String,
}

impl CommandError {
    /// An error with this text.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), detail: detail.into(), errors: Vec::new() }
    }

    /// A system error about a file, with the usual fix if there is one.
    pub fn of_file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::of_system(what, path, error, "use another directory with --data-dir")
    }

    /// As [`CommandError::of_file`], for a file of the command line.
    pub fn of_named_file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::of_system(what, path, error, "use a file elsewhere")
    }

    fn of_system(what: &str, path: &Path, error: &io::Error, elsewhere: &str) -> Self {
        let path = path.display();
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => String::from(
                "run this as the owner of the file, or give this user permission to read and write there",
            ),
            io::ErrorKind::ReadOnlyFilesystem => format!("its file system is read-only: {elsewhere}"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("the disk is full: free space, or {elsewhere}")
            }
            _ => return Self::new("io", format!("cannot {what} {path}: {error}")),
        };
        Self::new("io", format!("cannot {what} {path}: {error}; {hint}"))
    }

    /// Why a database could not be opened or set up. The error has no path, since it is also sent to clients; here the
    /// operator can fix it.
    pub fn of_database(database: &DatabaseUrl, error: Error) -> Self {
        let DatabaseUrl::Sqlite(path) = database else { return error.into() };
        let path = path.display().to_string();
        match error {
            Error::Unavailable { what, .. } => Self::new(
                "unavailable",
                format!(
                    "cannot write the database {path}: {what}; free space, or use another data directory with \
                     --data-dir"
                ),
            ),
            Error::Internal(what) if !what.contains(&path) => {
                Self::new("internal", format!("cannot open the database {path}: {what}"))
            }
            other => other.into(),
        }
    }
}

impl fmt::Display for CommandError {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            return f.write_str(&self.detail);
        }
        for (at, error) in self.errors.iter().enumerate() {
            let end = if at > 0 { "\n" } else { "" };
            match error.field.as_str() {
                "" => write!(f, "{end}{}", error.detail)?,
                field => write!(f, "{end}{field}: {}", error.detail)?,
            }
        }
        Ok(())
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let code = match &error {
            Error::Invalid(_) => Cow::Borrowed("invalid"),
            Error::NotFound(_) => Cow::Borrowed("not-found"),
            Error::Conflict(conflict) => Cow::Borrowed(conflict.code),
            Error::Precondition => Cow::Borrowed("precondition-failed"),
            Error::Unauthenticated(_) => Cow::Borrowed("unauthenticated"),
            Error::Forbidden(denial) => Cow::Borrowed(Denial::code(*denial)),
            Error::InsufficientAuthentication(_) => Cow::Borrowed("insufficient-user-authentication"),
            Error::SecondFactorNeeded => Cow::Borrowed("second-factor-needed"),
            Error::Grant(grant, _) => Cow::Borrowed(grant.code()),
            Error::TooMany(_) => Cow::Borrowed("too-many"),
            Error::Unavailable { .. } => Cow::Borrowed("unavailable"),
            // Not redacted, unlike over HTTP: whoever runs a command can also read the log.
            Error::Internal(_) => Cow::Borrowed("internal"),
        };
        let errors = match error {
            Error::Invalid(errors) => errors
                .into_iter()
                .map(|error| ErrorLine {
                    // A property as a JSON Pointer: people know it by name.
                    field: error.field.trim_start_matches('/').to_owned(),
                    code: error.code.to_owned(),
                    detail: error.detail.into_owned(),
                })
                .collect(),
            _ => Vec::new(),
        };
        Self { code, detail, errors }
    }
}
