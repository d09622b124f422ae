//! OAuth access tokens of a mail account, for the mechanism XOAUTH2. They expire within about an hour, so another program
//! renews them: a file or a command is read again for each connection.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Secret;

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// Maximum length of a token; those of Microsoft have some 2,000 characters.
const LONGEST: u64 = 16 << 10;

/// Where access tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The setting `smtp-oauth-token-file`.
    File(PathBuf),
    /// The setting `smtp-oauth-token-command`: a command line of the shell, which prints a token.
    Command(String),
}

impl TokenSource {
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::File(_) => "smtp-oauth-token-file",
            Self::Command(_) => "smtp-oauth-token-command",
        }
    }

    /// The present token.
    ///
    /// # Errors
    /// Why there is none, without what was read.
    pub(super) fn read(&self) -> Result<Secret, String> {
        let (text, place) = match self {
            Self::File(path) => {
                let shown = path.display().to_string();
                let text = std::fs::File::open(path)
                    .and_then(bounded)
                    .map_err(|e| format!("{}: cannot read {shown}: {e}", self.setting()))?;
                (text, shown)
            }
            Self::Command(line) => {
                let text =
                    run(line, COMMAND).map_err(|what| format!("{}: the command {what}", self.setting()))?;
                (text, String::from("the output of the command"))
            }
        };
        let token = text.trim();
        // RFC 6750 §2.1; anything else would break the line of the protocol.
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "{}: {place} is not an access token: it must be one line, without spaces",
                self.setting()
            ));
        }
        Ok(Secret::new(token))
    }
}

fn bounded(from: impl Read) -> std::io::Result<zeroize::Zeroizing<String>> {
    let mut text = zeroize::Zeroizing::new(String::new());
    from.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The output of a command. It runs in a process group of its own, so that Ctrl-C does not end it halfway.
fn run(line: &str, timeout: Duration) -> Result<zeroize::Zeroizing<String>, String> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("cannot be started: {e}"))?;
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let deadline = Instant::now() + timeout;
    let late = |child: &mut Child| {
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("did not end within {} seconds", timeout.as_secs()))
    };
    let Ok(text) = out.recv_timeout(timeout) else { return late(&mut child) };
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => return late(&mut child),
            Err(e) => return Err(format!("cannot be waited for: {e}")),
        }
    };
    if !status.success() {
        // Standard error is for people; the token is on the other stream.
        let said = err.recv_timeout(Duration::from_secs(1)).ok().and_then(Result::ok).unwrap_or_default();
        let said: String = said.lines().next().unwrap_or_default().chars().take(160).collect();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        return Err(format!("failed ({status}){said}"));
    }
    text.map_err(|e| format!("printed no text: {e}"))
}

type Text = std::io::Result<zeroize::Zeroizing<String>>;

fn reader(from: Option<impl Read + Send + 'static>) -> Receiver<Text> {
    let (send, receive) = channel();
    if let Some(from) = from {
        // Ends when the stream does; a child of the command may hold it for longer than anybody waits.
        std::thread::spawn(move || send.send(bounded(from)));
    }
    receive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<String, String> {
        TokenSource::Command(line.to_owned()).read().map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_file_is_read_again_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let source = TokenSource::File(path.clone());
        let said = source.read().unwrap_err();
        assert!(said.starts_with("smtp-oauth-token-file: cannot read ") && said.contains("token"), "{said}");
        for token in ["ya29.first", "ya29.second\n", "  ya29.third\r\n"] {
            std::fs::write(&path, token).unwrap();
            assert_eq!(source.read().unwrap().expose(), token.trim());
        }
        for bad in ["", "\n", "two words", "two\nlines", "caf\u{e9}", "a\0b"] {
            std::fs::write(&path, bad).unwrap();
            let said = source.read().unwrap_err();
            assert!(said.contains("is not an access token") && !said.contains("words"), "{said}");
        }
    }

    #[test]
    fn a_command_prints_the_token_or_says_why_not() {
        assert_eq!(command("printf %s ya29.token").unwrap(), "ya29.token");
        assert_eq!(command("echo ya29.token; echo warning >&2").unwrap(), "ya29.token");
        let said = command("echo ya29.hidden; echo 'the refresh token has expired' >&2; exit 3").unwrap_err();
        assert!(said.contains("exit status: 3") && said.contains("the refresh token has expired"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
        assert!(command("exec /no/such/program").unwrap_err().contains("failed (exit status: 127)"));
        assert!(command("true").unwrap_err().contains("is not an access token"));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        for line in ["exec sleep 600", "exec 1>&-; exec sleep 600"] {
            let said = run(line, Duration::from_millis(50)).unwrap_err();
            assert!(said.contains("did not end within"), "{said}");
        }
    }
}
