//! The load generator: keep-alive HTTP/1.1 connections on one thread, each with one request in flight.
//!
//! It must cost less than what it measures, so it is a loop around epoll that parses only the status and the length of
//! a response. Its utilization is part of the result: a generator that is always busy measures itself.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::scratch::Stop;
use tenantry::cli::command_error::CommandError;

/// Timeout of a response, and of those in flight at the end.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
/// How often to check whether the run was stopped.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Polls without sleeping.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Size of a read, in bytes.
pub(crate) const READ: usize = 64 << 10;

/// Writes the next request.
pub(crate) type Ask<'a> = dyn FnMut(&mut Vec<u8>) + 'a;

/// Parameters of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// The expected status of every response.
    pub(crate) status: u16,
    /// Whether a response may also be a `503` with `Retry-After`: those are only counted.
    pub(crate) may_refuse: bool,
    /// Whether the generator never sleeps. With a core of its own that affects nobody, while waking a thread costs the
    /// server's core as much as half a response. With sleeps, the server would pay for each of its slower responses,
    /// and the bare endpoint, which keeps the generator busy, for none.
    pub(crate) is_awake: bool,
}

/// The result of a load.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Responses within the time, which lasts at least until the first one.
    pub(crate) answers: u64,
    /// Responses with an unexpected status.
    pub(crate) failed: u64,
    /// Refusals, if they are allowed.
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
    /// Latencies in tenths of a microsecond, in order.
    pub(crate) latencies: Vec<u32>,
    /// The generator's utilization.
    pub(crate) busy: f64,
}

impl Sample {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The share of requests that were refused.
    pub(crate) fn refused_share(&self) -> f64 {
        self.refused as f64 / (self.refused + self.latencies.len() as u64).max(1) as f64
    }

    /// Adds another result.
    pub(crate) fn add(&mut self, other: Self) {
        let (own, more) = (self.elapsed.as_secs_f64(), other.elapsed.as_secs_f64());
        self.busy = (self.busy * own + other.busy * more) / (own + more).max(1e-9);
        self.answers += other.answers;
        self.failed += other.failed;
        self.refused += other.refused;
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
    }

    /// Records a response and its latency. Returns whether it is measured.
    pub(crate) fn note(&mut self, load: &Load, answer: ResponseHead, took: Duration) -> bool {
        if load.may_refuse && answer.is_refusal() {
            self.refused += 1;
            return false;
        }
        self.latencies.push(u32::try_from(took.as_nanos() / 100).unwrap_or(u32::MAX));
        self.failed += u64::from(answer.status != load.status);
        true
    }

    /// Latency percentiles, in milliseconds.
    pub(crate) fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        shares.map(|share| {
            let at = ((last as f64) * share).round() as usize;
            sorted.get(at).map_or(0.0, |tenths| f64::from(*tenths) / 10_000.0)
        })
    }
}

/// A parsed response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// The size of the whole response, in bytes.
    length: usize,
    /// Whether it has `Retry-After`.
    has_retry_after: bool,
}

impl ResponseHead {
    fn is_refusal(self) -> bool {
        self.status == 503 && self.has_retry_after
    }
}

/// The end of a chunked response. JSON has no bare line breaks, so it cannot occur elsewhere.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// The head of a response.
struct Head {
    status: u16,
    /// The size of the whole response; `None` if it is chunked.
    length: Option<usize>,
    has_retry_after: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = bytes.get(..end)?;
        let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
        let mut parsed = Self { status, length: Some(end), has_retry_after: false };
        for line in head.split(|byte| *byte == b'\n') {
            let Some((name, value)) =
                line.iter().position(|b| *b == b':').and_then(|at| line.split_at_checked(at))
            else {
                continue;
            };
            if name.eq_ignore_ascii_case(b"content-length") {
                let body: usize = std::str::from_utf8(value.get(1..)?).ok()?.trim().parse().ok()?;
                parsed.length = Some(end + body);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                parsed.length = None;
            } else if name.eq_ignore_ascii_case(b"retry-after") {
                parsed.has_retry_after = true;
            }
        }
        Some(parsed)
    }
}

/// Parses a response once it is complete.
fn parse_head(bytes: &[u8]) -> Option<ResponseHead> {
    let Head { status, length, has_retry_after } = Head::parse(bytes)?;
    let length = match length {
        Some(length) => length,
        None => bytes.ends_with(LAST_CHUNK).then_some(bytes.len())?,
    };
    (bytes.len() >= length).then_some(ResponseHead { status, length, has_retry_after })
}

/// A connection with at most one request in flight.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) sent: Instant,
    got: Vec<u8>,
    pub(crate) is_waiting: bool,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, sent: Instant::now(), got: Vec::new(), is_waiting: false })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.sent = Instant::now();
        self.is_waiting = true;
        self.stream.write_all(request)
    }

    /// The response, once it is complete. Called when the socket is readable.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<ResponseHead>> {
        let count = match self.stream.read(buffer) {
            Ok(count) => count,
            Err(e) if is_passing(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        // Nearly every response arrives in one piece and need not be buffered.
        let found = if self.got.is_empty() {
            parse_head(bytes).or_else(|| {
                self.got.extend_from_slice(bytes);
                None
            })
        } else {
            self.got.extend_from_slice(bytes);
            parse_head(&self.got)
        };
        if found.is_some() {
            self.got.clear();
            self.is_waiting = false;
        }
        Ok(found)
    }
}

/// Runs a load.
pub(crate) fn run(load: &Load, ask: &mut Ask<'_>, stop: &Stop) -> Result<Sample, CommandError> {
    let failed = |e: io::Error| CommandError::new("load", format!("a request failed: {e}"));
    let sample = Generator::open(load).and_then(|generator| generator.run(load, ask, stop));
    // If the server was stopped as well, requests in flight fail.
    stop.check()?;
    sample.map_err(failed)
}

/// The connections and their epoll instance.
pub(crate) struct Generator {
    pub(crate) epoll: rustix::fd::OwnedFd,
    pub(crate) connections: Vec<Connection>,
}

impl Generator {
    pub(crate) fn open(load: &Load) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections: io::Result<Vec<Connection>> =
            (0..load.connections).map(|_| Connection::open(load.address)).collect();
        let connections = connections?;
        for (at, connection) in (0..).zip(&connections) {
            let data = epoll::EventData::new_u64(at);
            epoll::add(&epoll, &connection.stream, data, epoll::EventFlags::IN)?;
        }
        Ok(Self { epoll, connections })
    }

    fn run(mut self, load: &Load, ask: &mut Ask<'_>, stop: &Stop) -> io::Result<Sample> {
        let (mut sample, mut request, mut buffer) = (Sample::default(), Vec::new(), vec![0; READ]);
        let (begun, worked) = (Instant::now(), worked());
        let end = begun + load.time;
        for connection in &mut self.connections {
            request.clear();
            ask(&mut request);
            connection.send(&request)?;
        }
        let mut events = Vec::with_capacity(load.connections);
        let (mut now, mut idle) = (begun, Duration::ZERO);
        let wait = if load.is_awake { NOW } else { LOOK };
        while self.connections.iter().any(|c| c.is_waiting) && now < end + TIMEOUT && stop.check().is_ok() {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
                // A signal: the thread that watches signals is about to report it.
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            let before = std::mem::replace(&mut now, Instant::now());
            if load.is_awake && events.is_empty() {
                idle += now.duration_since(before);
            }
            for event in &events {
                let at = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                let Some(connection) = self.connections.get_mut(at) else { continue };
                let Some(answer) = connection.receive(&mut buffer)? else { continue };
                now = Instant::now();
                let counts = sample.note(load, answer, now.duration_since(connection.sent));
                if now < end || sample.answers == 0 {
                    sample.answers += u64::from(counts);
                    request.clear();
                    ask(&mut request);
                    connection.send(&request)?;
                }
            }
            if sample.elapsed.is_zero() && now >= end && sample.answers > 0 {
                (sample.elapsed, sample.busy) = measure(begun, now, worked + idle);
            }
        }
        if sample.elapsed.is_zero() {
            (sample.elapsed, sample.busy) = measure(begun, now, worked + idle);
        }
        Ok(sample)
    }
}

/// The elapsed time, and the share of it that this thread worked.
pub(crate) fn measure(begun: Instant, now: Instant, before: Duration) -> (Duration, f64) {
    let elapsed = now.duration_since(begun);
    (elapsed, worked().saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64().max(1e-9))
}

/// The processor time of this thread.
pub(crate) fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// Sends one request and reads the whole response, up to the end of the connection: its status, the beginning of its
/// body, its size and its latency.
pub(crate) fn once(address: SocketAddr, request: &[u8], stop: &Stop) -> Result<Once, CommandError> {
    let failed = |e: io::Error| CommandError::new("load", format!("a request failed: {e}"));
    let mut connection = Connection::open(address).map_err(failed)?;
    let tick = Duration::from_millis(100);
    connection.stream.set_read_timeout(Some(tick)).map_err(failed)?;
    connection.send(request).map_err(failed)?;
    let (mut first, mut tail, mut length, mut buffer) = (Vec::new(), Vec::new(), 0_u64, vec![0; READ]);
    loop {
        stop.check()?;
        match connection.stream.read(&mut buffer) {
            Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                length += count as u64;
                if first.len() < READ {
                    first.extend_from_slice(bytes);
                }
                tail.extend_from_slice(bytes);
                tail.drain(..tail.len().saturating_sub(16));
            }
            Err(e) if is_passing(&e) => {}
            Err(e) => return Err(failed(e)),
        }
        let is_whole = Head::parse(&first).is_some_and(|head| match head.length {
            Some(whole) => length >= whole as u64,
            None => tail.ends_with(LAST_CHUNK),
        });
        if is_whole {
            let status = answer_status(&first);
            let at = first.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
            return Ok(Once { status, body: first.split_off(at), length, took: connection.sent.elapsed() });
        }
        if connection.sent.elapsed() > TIMEOUT * 5 {
            return Err(failed(io::ErrorKind::TimedOut.into()));
        }
    }
}

/// Whether a read can be retried: nothing arrived yet, or there was a signal.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn answer_status(bytes: &[u8]) -> u16 {
    bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// A single response.
pub(crate) struct Once {
    pub(crate) status: u16,
    /// The beginning of its body; all of it if it is short.
    pub(crate) body: Vec<u8>,
    /// Total size in bytes.
    pub(crate) length: u64,
    pub(crate) took: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_parsed_once_it_is_complete() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: y\r\n\r\nabc";
        let whole = |status, length| Some(ResponseHead { status, length, has_retry_after: false });
        assert_eq!(parse_head(plain), whole(200, plain.len()));
        for end in 0..plain.len() {
            assert_eq!(parse_head(&plain[..end]), None, "{end}");
        }
        assert_eq!(parse_head(b"HTTP/1.1 204 No Content\r\n\r\n"), whole(204, 27));
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n";
        assert_eq!(parse_head(chunked), whole(200, chunked.len()));
        assert_eq!(parse_head(&chunked[..chunked.len() - 1]), None);
    }

    #[test]
    fn a_long_response_is_read_to_its_end_and_no_further() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let length = 3 * READ;
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![b'a'; length]).unwrap();
            // Kept open until the client has read it.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let once = super::once(address, b"GET / HTTP/1.1\r\n\r\n", &Stop::default()).unwrap();
        assert_eq!((once.status, once.length > length as u64), (200, true));
        server.join().unwrap();
    }

    #[test]
    fn only_a_503_with_retry_after_is_a_refusal() {
        for (head, is_refusal) in [
            ("HTTP/1.1 503 Busy\r\nretry-after: 1\r\n\r\n", true),
            ("HTTP/1.1 503 Busy\r\n\r\n", false),
            ("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\n\r\n", false),
        ] {
            assert_eq!(parse_head(head.as_bytes()).unwrap().is_refusal(), is_refusal, "{head}");
        }
    }

    #[test]
    fn percentiles_cover_all_responses() {
        let mut sample =
            Sample { latencies: (0..=1_000).rev().map(|n| n * 10_000).collect(), ..Sample::default() };
        assert_eq!(sample.percentiles([0.5, 0.99, 1.0]), [500.0, 990.0, 1_000.0]);
        sample.add(Sample { answers: 10, elapsed: Duration::from_secs(2), busy: 0.5, ..Sample::default() });
        assert_eq!((sample.per_second(), sample.busy), (5.0, 0.5));
    }
}
