//! The connection to a relay: bytes in clear or through TLS, with a deadline that covers a whole reply.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::Stop;

/// How long one system call waits. In between, the socket looks whether it should stop.
const SLICE: Duration = Duration::from_millis(250);

/// Maximum length of a reply, and of one of its lines. RFC 5321 §4.5.3.1.5 allows 512 bytes; some relays send more.
const REPLY_MAX: usize = 64 << 10;
const LINE_MAX: usize = 4 << 10;

/// Why waiting for the relay ended without its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The deadline passed.
    Late,
    /// The process stops.
    Stopped,
}

/// A socket with a deadline. A timeout of the operating system is for each system call: a relay that sends a byte now and
/// then would never exceed it.
pub(super) struct Socket {
    tcp: TcpStream,
    stop: Stop,
    deadline: Instant,
    /// How long to go on once the process stops.
    grace: Duration,
    /// Set when a call failed for this reason.
    pub(super) ended: Option<Ended>,
}

impl Socket {
    /// Connects to one address.
    pub(super) fn connect(address: &SocketAddr, timeout: Duration, stop: &Stop) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(address, timeout)?;
        tcp.set_nodelay(true)?;
        let deadline = Instant::now() + timeout;
        Ok(Self { tcp, stop: stop.clone(), deadline, grace: Duration::ZERO, ended: None })
    }

    /// How long the next call may wait.
    fn slice(&mut self) -> io::Result<Duration> {
        let now = Instant::now();
        let end = match self.stop.since() {
            Some(since) if since + self.grace < self.deadline => (since + self.grace, Ended::Stopped),
            _ => (self.deadline, Ended::Late),
        };
        let left = end.0.saturating_duration_since(now);
        if left.is_zero() {
            self.ended = Some(end.1);
            return Err(io::ErrorKind::TimedOut.into());
        }
        // A timeout of zero means none.
        Ok(left.min(SLICE).max(Duration::from_millis(1)))
    }

    fn repeat(&mut self, mut call: impl FnMut(&mut TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            let slice = self.slice()?;
            self.tcp.set_read_timeout(Some(slice))?;
            self.tcp.set_write_timeout(Some(slice))?;
            match call(&mut self.tcp) {
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.repeat(|tcp| tcp.read(buffer))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.repeat(|tcp| tcp.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A connection, in clear or through TLS.
pub(super) struct Stream {
    wire: Wire,
    /// Received and not yet returned.
    buffer: Vec<u8>,
}

enum Wire {
    Clear(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
    /// Not connected, or a handshake failed.
    Closed(Option<Ended>),
}

impl Stream {
    pub(super) fn new(socket: Socket) -> Self {
        Self { wire: Wire::Clear(socket), buffer: Vec::new() }
    }

    /// None yet.
    pub(super) fn closed() -> Self {
        Self { wire: Wire::Closed(None), buffer: Vec::new() }
    }

    /// Sets the deadline of what follows, and how long after a [`Stop`] it goes on.
    pub(super) fn limit(&mut self, timeout: Duration, grace: Duration) {
        let socket = match &mut self.wire {
            Wire::Clear(socket) => socket,
            Wire::Tls(stream) => &mut stream.sock,
            Wire::Closed(_) => return,
        };
        (socket.deadline, socket.grace) = (Instant::now() + timeout, grace);
    }

    /// Why the last call failed, if waiting ended.
    pub(super) fn ended(&self) -> Option<Ended> {
        match &self.wire {
            Wire::Clear(socket) => socket.ended,
            Wire::Tls(stream) => stream.sock.ended,
            Wire::Closed(ended) => *ended,
        }
    }

    /// Encrypts the connection. What was received before is not to be trusted: someone else could have sent it.
    pub(super) fn encrypt(&mut self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<()> {
        if !self.buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data before the TLS handshake"));
        }
        let wire = std::mem::replace(&mut self.wire, Wire::Closed(None));
        let Wire::Clear(mut socket) = wire else {
            return Err(io::Error::other("it is encrypted already"));
        };
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            if let Err(e) = tls.complete_io(&mut socket) {
                self.wire = Wire::Closed(socket.ended);
                return Err(e);
            }
        }
        self.wire = Wire::Tls(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    /// `TLS 1.3 with TLS13_AES_256_GCM_SHA384`.
    pub(super) fn negotiated(&self) -> Option<String> {
        let Wire::Tls(stream) = &self.wire else { return None };
        let version = match stream.conn.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => String::from("TLS 1.2"),
            rustls::ProtocolVersion::TLSv1_3 => String::from("TLS 1.3"),
            other => format!("{other:?}"),
        };
        let suite = stream.conn.negotiated_cipher_suite()?.suite();
        Some(format!("{version} with {suite:?}"))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Clear(socket) => socket.write_all(bytes).and_then(|()| socket.flush()),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Wire::Closed(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The lines of a reply, without their ends. `is_last` says which line ends it.
    pub(super) fn read_lines(&mut self, is_last: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let (mut lines, mut size) = (Vec::new(), 0);
        loop {
            let line = self.read_line()?;
            size += line.len();
            let last = is_last(&line);
            lines.push(line);
            if last {
                return Ok(lines);
            }
            if size > REPLY_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is too long"));
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            let mut some = [0; 1_024];
            let count = if self.buffer.len() > LINE_MAX {
                0
            } else {
                match &mut self.wire {
                    Wire::Clear(socket) => socket.read(&mut some)?,
                    Wire::Tls(stream) => stream.read(&mut some)?,
                    Wire::Closed(_) => 0,
                }
            };
            match some.get(..count) {
                Some([]) | None if self.buffer.is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                // Without a line end: what it is shows in the message.
                Some([]) | None => {
                    let rest = std::mem::take(&mut self.buffer);
                    return Ok(String::from_utf8_lossy(&rest).into_owned());
                }
                Some(received) => self.buffer.extend_from_slice(received),
            }
        }
    }
}
