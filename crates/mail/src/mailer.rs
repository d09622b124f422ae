//! The ways a mail can travel, behind one door.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Directory, Envelope, Notice, Smtp};

/// Why a mail did not go out. Shown to people and logged: never contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SendError {
    /// The fault lies with this mail and not with the way: the address cannot be used, or the server refused the
    /// recipient or the message for good (5yz). The same attempt is unlikely to end better.
    pub permanent: bool,
    /// What happened, on one line.
    pub what: String,
}

impl SendError {
    /// A failure of this mail.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { permanent: true, what: what.into() }
    }

    /// A failure of the way, or of the moment.
    pub fn temporary(what: impl Into<String>) -> Self {
        Self { permanent: false, what: what.into() }
    }

    /// For an error text from outside: at most one line of 300 characters, without the password, should a server
    /// quote the mail back at us.
    pub(super) fn scrubbed(self, envelope: &Envelope) -> Self {
        let what = match &envelope.letter.what {
            Notice::TemporaryPassword { password, .. } if !password.expose().is_empty() => {
                self.what.replace(password.expose(), "[redacted]")
            }
            _ => self.what,
        };
        let what = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
        Self { permanent: self.permanent, what }
    }
}

/// More than enough to begin with one mail.
const FOR_ONE: Duration = Duration::from_secs(60);

/// Sends mails. Blocks: call it where blocking is allowed. Clones share what they send with.
///
/// At least once: after a crash the same envelope may be given again. A directory then holds it once all the same;
/// through SMTP it has the same `Message-ID`.
#[derive(Debug, Clone)]
pub enum Mailer {
    /// To an SMTP server.
    Smtp(Smtp),
    /// As files.
    Directory(Directory),
    /// Kept in memory, for tests.
    Memory(Memory),
}

impl Mailer {
    /// Sends one mail.
    ///
    /// # Errors
    /// [`SendError`]: the mail did not go out, or it is not known whether it did.
    pub fn send(&self, envelope: &Envelope) -> Result<(), SendError> {
        let sent = self.send_batch(std::slice::from_ref(envelope), Instant::now() + FOR_ONE);
        sent.into_iter().next().unwrap_or_else(|| Err(SendError::temporary("the mail was not tried")))
    }

    /// Sends several, over one connection or with fewer waits for the disk than one by one. One result for each
    /// envelope, in order, but for the last ones when time is up: after `until` no further one is begun with.
    pub fn send_batch(&self, envelopes: &[Envelope], until: Instant) -> Vec<Result<(), SendError>> {
        match self {
            Self::Smtp(smtp) => smtp.send_batch(envelopes, until),
            Self::Directory(directory) => directory.send_batch(envelopes, until),
            Self::Memory(memory) => memory.send_batch(envelopes, until),
        }
    }

    /// The start-up line: `mail: SMTP to mail.example.com:587` or `mail: files in /var/lib/tenantry/mail`. Says
    /// so where mail may travel in clear.
    pub fn describe(&self) -> String {
        match self {
            Self::Smtp(smtp) => format!("mail: {}", smtp.describe()),
            Self::Directory(directory) => format!("mail: files in {}", directory.path().display()),
            Self::Memory(_) => String::from("mail: kept in memory"),
        }
    }
}

/// Keeps what it is given: for tests. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<(Mutex<Kept>, Condvar)>);

#[derive(Debug, Default)]
struct Kept {
    sent: Vec<Envelope>,
    failing: Option<SendError>,
    held: bool,
    waiting: usize,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every mail fails like this; None: none does.
    pub fn fail_with(&self, error: Option<SendError>) {
        self.lock().failing = error;
    }

    /// From now on whoever sends waits until this is called with false: a mail server that takes its time.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
        self.0.1.notify_all();
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// What was sent, in order.
    pub fn sent(&self) -> Vec<Envelope> {
        self.lock().sent.clone()
    }

    fn send_batch(&self, envelopes: &[Envelope], until: Instant) -> Vec<Result<(), SendError>> {
        let mut kept = self.lock();
        kept.waiting += 1;
        let mut kept = self.0.1.wait_while(kept, |kept| kept.held).unwrap_or_else(PoisonError::into_inner);
        kept.waiting -= 1;
        let in_time = |_: &&Envelope| Instant::now() < until;
        let begun: Vec<Envelope> = envelopes.iter().take_while(in_time).cloned().collect();
        match &kept.failing {
            Some(error) => vec![Err(error.clone()); begun.len()],
            None => {
                let sent = vec![Ok(()); begun.len()];
                kept.sent.extend(begun);
                sent
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
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
        assert!(mailer.send_batch(&all, testing::later()).iter().all(Result::is_ok));
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
        assert_eq!((error.what.len(), error.permanent), (300, true));
    }
}
