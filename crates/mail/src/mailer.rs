//! The transports of mails.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Directory, Email, EmailContent, Recipient, Smtp, Stop, Told};
use tenantry_core::clock::Millis;
use tenantry_core::languages::Language;

/// Why a mail was not sent. Shown to people and logged: never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SendError {
    /// The error is about this mail and not about the transport: the address cannot be used, or the server refused the
    /// recipient or the message permanently (5yz). A retry is unlikely to succeed.
    pub permanent: bool,
    /// The error text, on one line.
    pub what: String,
}

impl SendError {
    /// An error of this mail.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { permanent: true, what: what.into() }
    }

    /// An error of the transport, or a temporary one.
    pub fn temporary(what: impl Into<String>) -> Self {
        Self { permanent: false, what: what.into() }
    }

    /// For an external error text: at most one line of 500 characters, without the password, in case a server quotes
    /// the mail.
    pub(super) fn scrubbed(self, mail: &Email) -> Self {
        let what = match &mail.content {
            EmailContent::TemporaryPassword { password, .. } if !password.expose().is_empty() => {
                self.what.replace(password.expose(), "[redacted]")
            }
            _ => self.what,
        };
        let what = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        Self { permanent: self.permanent, what }
    }
}

/// More than enough time to start one mail.
const FOR_ONE: Duration = Duration::from_secs(60);

/// Sends mails. It blocks: call it only where blocking is allowed. Clones share the transport.
///
/// Delivery is at least once: after a crash the same mail may be sent again. A directory then still has it once;
/// through SMTP it has the same `Message-ID`.
#[derive(Debug, Clone)]
pub enum Mailer {
    /// To an SMTP server.
    Smtp(Smtp),
    /// To files.
    Directory(Directory),
    /// Kept in memory, for tests.
    Memory(Memory),
}

impl Mailer {
    /// Sends one mail.
    ///
    /// # Errors
    /// [`SendError`]: the mail was not sent, or it is unknown whether it was.
    pub fn send(&self, mail: &Email) -> Result<(), SendError> {
        let sent = self.send_batch(std::slice::from_ref(mail), Instant::now() + FOR_ONE, &Stop::default());
        sent.into_iter().next().unwrap_or_else(|| Err(SendError::temporary("the mail was not attempted")))
    }

    /// Sends several mails, over one connection or with fewer disk syncs than one by one. Returns one result per
    /// mail, in order, without the last ones if time is up: none is started after `until`, or after a `stop`, which also
    /// ends the attempt in progress.
    pub fn send_batch(&self, mails: &[Email], until: Instant, stop: &Stop) -> Vec<Result<(), SendError>> {
        match self {
            Self::Smtp(smtp) => smtp.send_batch(mails, until, stop),
            Self::Directory(directory) => directory.send_batch(mails, until),
            Self::Memory(memory) => memory.send_batch(mails, until),
        }
    }

    /// Sends a test mail to `address` at once, and tells how.
    ///
    /// # Errors
    /// [`SendError`]: the mail was not sent, with the reason and what to do about it.
    pub fn send_test(
        &self,
        address: &str,
        now: Millis,
        tell: &mut dyn FnMut(Told<'_>),
    ) -> Result<(), SendError> {
        let to = Recipient { name: String::new(), address: address.to_owned() };
        let mail = Email { created_at: now, ..Email::new(to, EmailContent::Test, Language::En) };
        match self {
            Self::Smtp(smtp) => smtp.send_aloud(&mail, tell),
            Self::Directory(_) | Self::Memory(_) => self.send(&mail),
        }
    }

    /// The settings in force, for people: label and value.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Smtp(smtp) => smtp.details(),
            Self::Directory(directory) => vec![("files in", directory.path().display().to_string())],
            Self::Memory(_) => Vec::new(),
        }
    }

    /// The start-up line: `mail: SMTP to mail.example.com:587` or `mail: files in /var/lib/tenantry/mail`. It says if
    /// mail may be sent in clear text.
    pub fn describe(&self) -> String {
        match self {
            Self::Smtp(smtp) => format!("mail: {}", smtp.describe()),
            Self::Directory(directory) => format!("mail: files in {}", directory.path().display()),
            Self::Memory(_) => String::from("mail: kept in memory"),
        }
    }
}

/// Keeps mails in memory: for tests. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<(Mutex<MemoryState>, Condvar)>);

#[derive(Debug, Default)]
struct MemoryState {
    sent: Vec<Email>,
    failing: Option<SendError>,
    held: bool,
    waiting: usize,
}

impl Memory {
    /// An empty mailer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every mail fail with this error, or none.
    pub fn fail_with(&self, error: Option<SendError>) {
        self.lock().failing = error;
    }

    /// Makes senders wait until this is called with false: a slow mail server.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
        self.0.1.notify_all();
    }

    /// The number of waiting senders.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// The sent mails, in order.
    pub fn sent(&self) -> Vec<Email> {
        self.lock().sent.clone()
    }

    fn send_batch(&self, mails: &[Email], until: Instant) -> Vec<Result<(), SendError>> {
        let mut state = self.lock();
        state.waiting += 1;
        let mut state =
            self.0.1.wait_while(state, |state| state.held).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        let in_time = |_: &&Email| Instant::now() < until;
        let begun: Vec<Email> = mails.iter().take_while(in_time).cloned().collect();
        match &state.failing {
            Some(error) => vec![Err(error.clone()); begun.len()],
            None => {
                let sent = vec![Ok(()); begun.len()];
                state.sent.extend(begun);
                sent
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn memory_keeps_or_fails() {
        let memory = Memory::new();
        let mailer = Mailer::Memory(memory.clone());
        let all = testing::one_of_each();
        let stop = Stop::default();
        assert!(mailer.send_batch(&all, testing::later(), &stop).iter().all(Result::is_ok));
        assert_eq!(memory.sent(), all);
        memory.fail_with(Some(SendError::temporary("down")));
        assert_eq!(mailer.send(&all[0]), Err(SendError::temporary("down")));
        memory.fail_with(None);
        assert_eq!(mailer.send(&all[0]), Ok(()));
        assert_eq!(memory.sent().len(), all.len() + 1);
        assert_eq!(mailer.describe(), "mail: kept in memory");
    }

    #[test]
    fn errors_are_short_and_without_the_password() {
        let quoted = format!("554 spam?\r\n{} {}", testing::PASSWORD, "x".repeat(1_000));
        let error = SendError::permanent(quoted).scrubbed(&testing::password("Ada"));
        assert!(error.what.starts_with("554 spam?  [redacted] xxx"), "{error}");
        assert_eq!((error.what.len(), error.permanent), (500, true));
    }
}
