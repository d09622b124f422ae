//! The real binary, as whoever runs it sees it: what it prints, its exit code, and the server it is.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{ADMIN_PASSWORD, Person, TestResponse};

/// What takes longer does not work.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The settings that give the first admin the password [`ADMIN_PASSWORD`].
pub const GIVEN: [(&str, &str); 1] = [("TENANTRY_ADMIN_PASSWORD", ADMIN_PASSWORD)];

/// The binary with this command line in this directory, without a setting from outside.
pub fn tenantry(binary: &Path, dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TENANTRY_")) {
        command.env_remove(name);
    }
    command.envs(env.iter().copied());
    command
}

/// The binary that was built with these tests.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tenantry"))
}

/// A run that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// What it printed; it did what it was told.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// What it complained of; it printed nothing else and left with this code.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        let said: Vec<&str> = self.err.lines().filter(|line| line.starts_with("tenantry: ")).collect();
        assert!(!said.is_empty(), "it must say why: {}", self.err);
        said.join("\n")
    }
}

/// A working directory for runs of the binary; the data stands in it, where the default puts them.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("tenantry-data")
    }

    /// A server whose first admin has the password [`ADMIN_PASSWORD`].
    pub fn serve(&self) -> Process {
        Process::serve(self.path(), &[], &GIVEN)
    }

    /// The last words of a server that does not start.
    #[track_caller]
    pub fn refused(&self, args: &[&str], env: &[(&str, &str)]) -> Ended {
        match Process::try_serve(self.path(), args, env) {
            Ok(process) => panic!("it serves: {}", process.out()),
            Err(ended) => ended,
        }
    }

    /// Runs a command to its end; the words are separated by spaces.
    pub fn command(&self, line: &str) -> Ended {
        command(self.path(), &line.split(' ').collect::<Vec<_>>())
    }

    /// What a command prints as JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let out = self.command(&format!("{line} --json")).done();
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{line}: {e}: {out}"))
    }

    /// The names of all that is in the mail directory, in order; also of mails that are just being written.
    pub fn mail_names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.data().join("mail")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A mail by its name.
    pub fn mail(&self, name: &str) -> String {
        std::fs::read_to_string(self.data().join("mail").join(name)).unwrap().replace("\r\n", "\n")
    }

    /// Waits until there are so many mails, and tells them in the order in which they were written.
    pub async fn mails(&self, count: usize) -> Vec<String> {
        let whole = || {
            let names = self.mail_names().into_iter().filter(|name| !name.starts_with('.'));
            Some(names.collect::<Vec<_>>()).filter(|names| names.len() >= count)
        };
        let names = until("the mails are written", whole).await;
        names.iter().map(|name| self.mail(name)).collect()
    }
}

/// The password in a mail: a line of its own.
#[track_caller]
pub fn password_in(mail: &str) -> String {
    let line = mail.lines().find_map(|line| line.strip_prefix("Password: "));
    line.unwrap_or_else(|| panic!("no password: {mail}")).to_owned()
}

/// Runs the binary to its end.
pub fn command(dir: &Path, args: &[&str]) -> Ended {
    let output = tenantry(binary(), dir, args, &[]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Looks until there is what it looks for.
pub async fn until<V>(what: &str, look: impl Fn() -> Option<V>) -> V {
    let waited = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waited).await.unwrap_or_else(|_| panic!("not until {what}"))
}

/// A running server. Killed by its id when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    /// The lines of its standard output; ends when the process does.
    lines: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
    pub address: SocketAddr,
    http: reqwest::Client,
}

impl Process {
    /// Starts a server on a free port (other flags go before) and waits until it serves.
    #[track_caller]
    pub fn serve(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::try_serve(dir, args, env).unwrap_or_else(|ended| panic!("it does not serve: {ended:?}"))
    }

    /// Starts a server and waits until it serves, or ends.
    pub fn try_serve(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Result<Self, Ended> {
        let args: Vec<&str> = ["serve"].iter().chain(args).copied().collect();
        let mut command = tenantry(binary(), dir, &args, &[("TENANTRY_LISTEN", "127.0.0.1:0")]);
        Self::start(command.envs(env.iter().copied()))
    }

    /// Starts what is known to be a server and waits until it serves, or ends.
    pub fn start(command: &mut Command) -> Result<Self, Ended> {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        let (tell, lines) = channel();
        let mut readers =
            vec![keep(child.stdout.take().unwrap(), &out, move |line| drop(tell.send(line.to_owned())))];
        // It may have been given somewhere else to log.
        readers.extend(child.stderr.take().map(|pipe| keep(pipe, &err, |_| ())));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, out, err, lines, readers, address, http };
        loop {
            match process.lines.recv_timeout(TIMEOUT) {
                // The last of the start-up lines.
                Ok(line) if line.starts_with("mail: ") => return Ok(process),
                Ok(line) => {
                    let url = line.strip_prefix("API: ").and_then(|rest| rest.trim().strip_suffix("/api/v1"));
                    let address = url.and_then(|url| {
                        url.strip_prefix("http://")?.replace("localhost:", "127.0.0.1:").parse().ok()
                    });
                    process.address = address.unwrap_or(process.address);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(process.ended()),
                Err(RecvTimeoutError::Timeout) => panic!("it neither serves nor ends: {}", process.err()),
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// What it has logged so far.
    pub fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(self) -> Ended {
        self.ask_to_stop();
        self.ended()
    }

    /// Asks it to end.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        while match self.lines.recv_timeout(TIMEOUT) {
            Ok(_) => true,
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.err()),
        } {}
        let code = self.child.wait().unwrap().code();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Ended { code, out: self.out(), err: self.err() }
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Person<'_> {
        Person::over(&self.http, self.address, None)
    }

    /// Somebody with this token.
    pub fn bearer(&self, token: &str) -> Person<'_> {
        Person::over(&self.http, self.address, Some(token))
    }

    /// The response to a token request of the public client.
    pub async fn token(&self, form: &[(&str, &str)]) -> TestResponse {
        let form: Vec<(&str, &str)> = form.iter().copied().chain([("client_id", "tenantry")]).collect();
        self.anonymous().form("/oauth/token", &form).await
    }

    /// The response to a login.
    pub async fn try_login(&self, username: &str, password: &str) -> TestResponse {
        self.token(&[("grant_type", "password"), ("username", username), ("password", password)]).await
    }

    /// Somebody who logs in.
    pub async fn login(&self, username: &str, password: &str) -> Person<'_> {
        let response = self.try_login(username, password).await;
        assert_eq!(response.status, 200, "{username} cannot log in: {}", response.text);
        self.bearer(response.body["access_token"].as_str().unwrap())
    }

    /// Partner 1's admin, logged in.
    pub async fn admin(&self) -> Person<'_> {
        self.login("admin", ADMIN_PASSWORD).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps what comes out of a pipe, and tells each line.
fn keep(
    pipe: impl Read + Send + 'static,
    kept: &Arc<Mutex<String>>,
    tell: impl Fn(&str) + Send + 'static,
) -> JoinHandle<()> {
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).unwrap() > 0 {
            let text = String::from_utf8_lossy(&line);
            kept.lock().unwrap().push_str(&text);
            tell(text.trim_end_matches('\n'));
            line.clear();
        }
    })
}
