//! The log output: standard error, or a file that can be reopened. A line that cannot be written is dropped and counted;
//! its writer gets no error.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::fmt::MakeWriter;

/// Lines of this process that could not be written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Maximum size of a write to a pipe: what poll(2) guarantees room for (`PIPE_BUF`).
const PIECE: usize = 4_096;

/// How long a line waits for a reader of a full pipe. Further lines do not wait until there is one.
const TIMEOUT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub struct Log(Arc<Mutex<Target>>);

#[derive(Debug)]
struct Target {
    /// `None` for standard error.
    file: Option<(PathBuf, File)>,
    /// Whether a slow reader can block writes.
    is_pipe: bool,
    /// The last line was dropped for lack of a reader.
    is_stuck: bool,
    /// The last line was written partially.
    is_torn: bool,
}

impl Log {
    /// Logs to standard error.
    pub fn to_stderr() -> Self {
        Self(Arc::new(Mutex::new(Target {
            file: None,
            is_pipe: may_block(io::stderr().as_fd()),
            is_stuck: false,
            is_torn: false,
        })))
    }

    /// Appends to a file, which is created if necessary.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let is_pipe = may_block(file.as_fd());
        let file = Some((path.to_owned(), file));
        Ok(Self(Arc::new(Mutex::new(Target { file, is_pipe, is_stuck: false, is_torn: false }))))
    }

    /// Reopens the file by its name, after it was renamed. Returns whether the log is a file.
    ///
    /// # Errors
    /// It cannot be opened: then the log continues in the file that was open.
    pub fn reopen(&self) -> io::Result<bool> {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((path, _)) = &target.file else { return Ok(false) };
        let path = path.clone();
        let file = open(&path)?;
        target.is_pipe = may_block(file.as_fd());
        target.file = Some((path, file));
        (target.is_stuck, target.is_torn) = (false, false);
        Ok(true)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Whether a write can wait for a reader.
fn may_block(fd: BorrowedFd<'_>) -> bool {
    let kind = fd.try_clone_to_owned().and_then(|fd| File::from(fd).metadata()).map(|meta| meta.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket())
}

impl Target {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some((_, file)) => write(file, line, self.is_pipe, self.is_stuck, &mut self.is_torn),
            None => write(&mut io::stderr().lock(), line, self.is_pipe, self.is_stuck, &mut self.is_torn),
        }
    }
}

fn write<W: Write + AsFd>(
    to: &mut W,
    line: &[u8],
    is_pipe: bool,
    is_stuck: bool,
    is_torn: &mut bool,
) -> io::Result<()> {
    let end: &[u8] = if *is_torn { b"\n" } else { b"" };
    for piece in end.chunks(1).chain(line.chunks(if is_pipe { PIECE } else { line.len().max(1) })) {
        let mut left = piece;
        while !left.is_empty() {
            if is_pipe {
                wait_for_room(to.as_fd(), is_stuck)?;
            }
            match to.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    left = left.get(n..).unwrap_or_default();
                    *is_torn = true;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    *is_torn = false;
    Ok(())
}

fn wait_for_room(fd: BorrowedFd<'_>, is_stuck: bool) -> io::Result<()> {
    let timeout = if is_stuck { Timespec { tv_sec: 0, tv_nsec: 0 } } else { TIMEOUT };
    loop {
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::WouldBlock.into()),
            // Also for a pipe without a reader: the write then fails.
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Writes one whole line. It never fails.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = target.write(line);
        target.is_stuck = written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        if written.is_err() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Appends the metric, in the text format of Prometheus.
pub fn render(text: &mut String) {
    const NAME: &str = "tenantry_log_lines_dropped_total";
    let dropped = DROPPED.load(Ordering::Relaxed);
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {NAME} Log lines that could not be written.\n# TYPE {NAME} counter");
    let _ = writeln!(text, "{NAME} {dropped}\n");
}

/// Reports panics as log lines, or on standard error before there is a log. The standard library's report would bypass
/// a log file.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let words = panic.payload_as_str().unwrap_or("without words");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(thread, place, panic = words, "panic");
        } else {
            let _ = writeln!(io::stderr(), "tenantry: panic of the thread {thread} at {place}: {words}");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_line_that_cannot_be_written_is_dropped_and_counted() {
        let mut log = Log::to_file(Path::new("/dev/full")).unwrap();
        let before = DROPPED.load(Ordering::Relaxed);
        for _ in 0..3 {
            log.write_all(b"a line\n").unwrap();
        }
        assert!(DROPPED.load(Ordering::Relaxed) >= before + 3);
        let mut text = String::new();
        render(&mut text);
        assert!(text.contains("\n# TYPE tenantry_log_lines_dropped_total counter\n"), "{text}");
    }

    #[test]
    fn a_renamed_file_is_reopened() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut log = Log::to_file(&path).unwrap();
        log.write_all(b"one\n").unwrap();
        std::fs::rename(&path, &old).unwrap();
        log.write_all(b"two\n").unwrap();
        assert!(log.clone().reopen().unwrap());
        log.write_all(b"three\n").unwrap();
        // A failure to reopen changes nothing.
        std::fs::rename(&path, dir.path().join("log.2")).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.reopen().unwrap_err();
        log.write_all(b"four\n").unwrap();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((text("log.1"), text("log.2")), ("one\ntwo\n".into(), "three\nfour\n".into()));
        assert!(!Log::to_stderr().reopen().unwrap());
    }

    /// Without a reader, lines that do not fit are dropped, and no writer waits forever.
    #[test]
    fn a_pipe_without_a_reader_blocks_no_writer() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let line = [b'x'; 10_000];
        let (mut is_torn, mut kept) = (false, 0);
        let refused = loop {
            match write(&mut writer, &line, true, true, &mut is_torn) {
                Ok(()) => kept += 1,
                Err(e) => break e,
            }
        };
        assert_eq!((refused.kind(), is_torn), (io::ErrorKind::WouldBlock, true));
        let mut room = vec![0; 9 * 4_096];
        reader.read_exact(&mut room).unwrap();
        // The partial line is terminated first.
        write(&mut writer, b"next\n", true, true, &mut is_torn).unwrap();
        drop(writer);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(b"x\nnext\n") && kept > 0);
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let closed = write(&mut writer, &line, true, false, &mut false).unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::BrokenPipe);
    }
}
