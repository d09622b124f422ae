//! How long a relay may take.

use std::time::Duration;

/// A step of the conversation with a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connect,
    Greeting,
    Hello,
    StartTls,
    Handshake,
    Auth,
    Sender,
    Recipient,
    Data,
    /// Transferring the message.
    Content,
    /// The answer to the message.
    End,
    Reset,
}

impl Phase {
    /// What the relay did not do: `the relay did not ...`.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Connect => "accept the connection",
            Self::Greeting => "greet",
            Self::Hello => "answer EHLO",
            Self::StartTls => "answer STARTTLS",
            Self::Handshake => "finish the TLS handshake",
            Self::Auth => "answer AUTH",
            Self::Sender => "answer MAIL FROM",
            Self::Recipient => "answer RCPT TO",
            Self::Data => "answer DATA",
            Self::Content => "take the message",
            Self::End => "confirm the message",
            Self::Reset => "answer RSET",
        }
    }
}

/// How long to wait in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeouts {
    /// Of the TCP connection to one address, on which RFC 5321 says nothing.
    pub(super) connect: Duration,
    pub(super) greeting: Duration,
    /// Of a command without a time of its own.
    pub(super) command: Duration,
    pub(super) data: Duration,
    pub(super) content: Duration,
    pub(super) end: Duration,
}

impl Timeouts {
    /// RFC 5321 §4.5.3.2.
    pub(super) const STANDARD: Self = Self {
        connect: Duration::from_secs(10),
        greeting: Duration::from_mins(5),
        command: Duration::from_mins(5),
        data: Duration::from_mins(2),
        content: Duration::from_mins(3),
        // A relay may scan the message first, and giving up too early sends it twice (RFC 5321 §6.1).
        end: Duration::from_mins(10),
    };

    pub(super) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Connect => self.connect,
            Phase::Greeting => self.greeting,
            Phase::Hello
            | Phase::StartTls
            | Phase::Handshake
            | Phase::Auth
            | Phase::Sender
            | Phase::Recipient
            | Phase::Reset => self.command,
            Phase::Data => self.data,
            Phase::Content => self.content,
            Phase::End => self.end,
        }
    }
}

/// For people: `5 minutes`, `10 seconds`.
pub(super) fn shown(time: Duration) -> String {
    let (count, unit) = match time.as_millis() {
        ms if ms % 60_000 == 0 => (ms / 60_000, "minute"),
        ms if ms % 1_000 == 0 => (ms / 1_000, "second"),
        ms => (ms, "millisecond"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_the_rfc() {
        let times = [
            Phase::Greeting,
            Phase::Hello,
            Phase::Sender,
            Phase::Recipient,
            Phase::Data,
            Phase::Content,
            Phase::End,
        ];
        let shown = times.map(|phase| shown(Timeouts::STANDARD.of(phase)));
        let minutes = ["5", "5", "5", "5", "2", "3", "10"].map(|count| format!("{count} minutes"));
        assert_eq!(shown, minutes);
    }

    #[test]
    fn times_are_shown_in_words() {
        let texts = [60_000, 10_000, 1_000, 250, 90_000].map(|ms| shown(Duration::from_millis(ms)));
        assert_eq!(texts, ["1 minute", "10 seconds", "1 second", "250 milliseconds", "90 seconds"]);
    }
}
