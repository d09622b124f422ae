//! The bytes of a connection, in both directions, with time limits.
//!
//! hyper has a timeout for reading a head, but it allocates and registers a timer for each request, and it also counts
//! the idle time between two requests. Here a connection has one timer for its whole life, and a request does not touch
//! a clock: progress sets a flag, which is checked only when the timer fires.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::time::{Instant, Sleep, sleep};

use crate::close_delimited::ResetOnClose;
use crate::fair_reads::FairReads;
use crate::unreadable::complete_response;
use tenantry_core::model::PartnerId;

/// The state of a connection: written by request handling, read by I/O. The connection's single task polls both, so no
/// memory ordering is needed.
#[derive(Debug)]
pub(super) struct ConnectionState {
    busy: AtomicBool,
    done: AtomicU32,
    /// A response is being sent that would look complete if the connection were closed now.
    is_incomplete: AtomicBool,
    /// The partner; 0 until a request has had a valid token.
    partner: AtomicI64,
    /// The peer's address.
    address: IpAddr,
    reads: FairReads,
}

impl ConnectionState {
    /// The state of a new connection.
    pub(super) fn new(reads: FairReads, address: IpAddr) -> Self {
        Self {
            busy: AtomicBool::new(false),
            done: AtomicU32::new(0),
            is_incomplete: AtomicBool::new(false),
            partner: AtomicI64::new(0),
            address,
            reads,
        }
    }

    /// A request had a valid token of this partner; the next one probably will too.
    pub(super) fn belongs_to(&self, pid: PartnerId) {
        if self.partner.swap(pid.0, Ordering::Relaxed) != pid.0 {
            self.reads.see(pid);
        }
    }

    /// Whether closing the connection must be a reset: its end would be taken for that of the response.
    pub(super) fn set_incomplete(&self, is_incomplete: bool) {
        self.is_incomplete.store(is_incomplete, Ordering::Relaxed);
    }

    /// Whether it must wait before it is read. It is woken when its turn comes.
    fn must_wait(&self, waker: &Waker) -> bool {
        let partner = self.partner.load(Ordering::Relaxed);
        self.reads.must_wait((partner != 0).then_some(PartnerId(partner)), self.address, waker)
    }

    /// A head was read and its request is being handled, until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> RequestGuard {
        self.busy.store(true, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }
}

/// Maximum size of a read. hyper reads into buffers of 8 KiB and doubles them when one is filled at once; the system
/// provides no memory for the part that is not filled.
const PIECE: u64 = 4 * 1024;

/// A request that is being handled.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<ConnectionState>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Timeout for the first head of a new connection, and for a head that has begun.
    pub(super) head: Duration,
    /// An idle connection is closed after one to two times this timeout.
    pub(super) idle: Duration,
    /// A client that reads nothing for this long is disconnected (B13).
    pub(super) write: Duration,
}

/// A stream that ends if its peer is too slow: reads then return the end of the stream, writes an error.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    stream: Take<T>,
    limits: Limits,
    state: Arc<ConnectionState>,
    /// The last read found nothing, so this poll probably follows new data.
    rested: bool,
    /// The last completed request that was noticed.
    seen: u32,
    /// A head was received in part.
    in_head: bool,
    /// The timer runs for this head.
    head_timed: bool,
    /// There was progress since the timer was set.
    moved: bool,
    timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    write_waits: bool,
    replaced: Option<Replaced>,
    /// Closing the stream resets it.
    resets: bool,
}

/// A response that replaces another one.
#[derive(Debug)]
struct Replaced {
    response: Vec<u8>,
    sent: usize,
    /// The length of the replaced response.
    length: usize,
}

impl<T: AsyncRead + Unpin> Bounded<T> {
    pub(super) fn new(stream: T, limits: Limits, state: Arc<ConnectionState>) -> Self {
        let timer = Box::pin(sleep(limits.head));
        Self {
            stream: stream.take(PIECE),
            limits,
            state,
            rested: true,
            seen: 0,
            in_head: true,
            head_timed: true,
            moved: false,
            timer,
            write_timer: None,
            write_waits: false,
            replaced: None,
            resets: false,
        }
    }

    /// Whether the peer has timed out; called when it has sent nothing.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.notice_request();
        // A request in progress has its own limits for its body, and its handler is responsible for its time.
        let busy = self.state.busy.load(Ordering::Relaxed);
        if self.in_head && !self.head_timed && !busy {
            self.head_timed = true;
            self.timer.as_mut().reset(Instant::now() + self.limits.head);
        }
        // Also polled while busy: hyper may not read again afterwards, and the timer needs the waker.
        while self.timer.as_mut().poll(cx).is_ready() {
            if !busy && (self.in_head || !self.moved) {
                return true;
            }
            self.moved = false;
            self.timer.as_mut().reset(Instant::now() + self.limits.idle);
        }
        false
    }

    fn notice_request(&mut self) {
        let done = self.state.done.load(Ordering::Relaxed);
        if done != self.seen {
            self.seen = done;
            self.in_head = false;
            self.head_timed = false;
            self.moved = true;
        }
    }

    /// Replaces hyper's own response to a head that could not be parsed.
    fn replace(&mut self, written: &[u8]) {
        // Between two requests. It may be about bytes that arrived together with the previous head.
        if !self.state.busy.load(Ordering::Relaxed)
            && let Some(response) = complete_response(written)
        {
            self.replaced = Some(Replaced { response, sent: 0, length: written.len() });
        }
    }

    /// Forwards a write, unless it has been pending for too long.
    fn bound_write<R>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if poll.is_ready() {
            self.write_waits = false;
            self.moved = true;
            return poll;
        }
        let waited = std::mem::replace(&mut self.write_waits, true);
        let timer = match &mut self.write_timer {
            Some(timer) => {
                if !waited {
                    timer.as_mut().reset(Instant::now() + self.limits.write);
                }
                timer
            }
            None => self.write_timer.insert(Box::pin(sleep(self.limits.write))),
        };
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Bounded<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rested && !this.state.busy.load(Ordering::Relaxed) {
            // Once it is woken it reads, whatever woke it.
            this.rested = false;
            if this.state.must_wait(cx.waker()) {
                return Poll::Pending;
            }
        }
        this.stream.set_limit(PIECE);
        let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.rested = poll.is_pending();
        if poll.is_ready() {
            if !this.state.busy.load(Ordering::Relaxed) {
                this.notice_request();
                this.in_head = true;
            }
            return poll;
        }
        // As if the peer had disconnected: hyper then closes, silently between requests.
        if this.is_late(cx) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<T: AsyncRead + ResetOnClose> Bounded<T> {
    /// Tells the stream how it must end, if that has changed.
    fn follow_completeness(&mut self) -> io::Result<()> {
        let is_incomplete = self.state.is_incomplete.load(Ordering::Relaxed);
        if is_incomplete != self.resets {
            self.stream.get_ref().reset_on_close(is_incomplete)?;
            self.resets = is_incomplete;
        }
        Ok(())
    }
}

impl<T: AsyncRead + AsyncWrite + ResetOnClose + Unpin> AsyncWrite for Bounded<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.follow_completeness()?;
        if this.replaced.is_none() && buf.starts_with(b"HTTP/1.1 4") {
            this.replace(buf);
        }
        while let Some(Replaced { response, sent, length }) = &mut this.replaced {
            let Some(rest) = response.get(*sent..).filter(|rest| !rest.is_empty()) else {
                let length = *length;
                this.replaced = None;
                return Poll::Ready(Ok(length));
            };
            let poll = Pin::new(this.stream.get_mut()).poll_write(cx, rest);
            if let Poll::Ready(Ok(written @ 1..)) = &poll {
                *sent += written;
                continue;
            }
            return this.bound_write(cx, poll);
        }
        let poll = Pin::new(this.stream.get_mut()).poll_write(cx, buf);
        this.bound_write(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.follow_completeness()?;
        let poll = Pin::new(this.stream.get_mut()).poll_write_vectored(cx, bufs);
        this.bound_write(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.follow_completeness()?;
        if this.resets {
            // Shutting it down would end it in an orderly way.
            return Poll::Ready(Ok(()));
        }
        Pin::new(this.stream.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    const LIMITS: Limits = Limits {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(30),
    };

    impl ResetOnClose for DuplexStream {
        fn reset_on_close(&self, _: bool) -> io::Result<()> {
            Ok(())
        }
    }

    fn pair() -> (Bounded<DuplexStream>, DuplexStream, Arc<ConnectionState>) {
        let (ours, theirs) = duplex(64);
        let state = Arc::new(ConnectionState::new(FairReads::new(1), [127, 0, 0, 1].into()));
        (Bounded::new(ours, LIMITS, Arc::clone(&state)), theirs, state)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_disconnected() {
        let (mut ours, _theirs, _) = pair();
        let start = Instant::now();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(start.elapsed(), LIMITS.head);
    }

    #[tokio::test(start_paused = true)]
    async fn sending_slowly_does_not_extend_the_timeout_of_a_head() {
        let (mut ours, mut theirs, state) = pair();
        theirs.write_all(b"head").await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 4);
        drop(state.begin());
        let dripper = tokio::spawn(async move {
            // The second head begins 50 s later, which is allowed, but never ends.
            sleep(Duration::from_secs(50)).await;
            while theirs.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let start = Instant::now();
        while ours.read(&mut [0; 8]).await.unwrap() > 0 {}
        assert!((50..=62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        drop(ours);
        dripper.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_can_be_idle_between_requests() {
        let (mut ours, mut theirs, state) = pair();
        theirs.write_all(b"head").await.unwrap();
        ours.read_exact(&mut [0; 4]).await.unwrap();
        drop(state.begin());
        let start = Instant::now();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        assert!((75..=150).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_progress_is_not_limited() {
        let (mut ours, mut theirs, state) = pair();
        theirs.write_all(b"head").await.unwrap();
        ours.read_exact(&mut [0; 4]).await.unwrap();
        let _guard = state.begin();
        let late = tokio::time::timeout(Duration::from_secs(1000), ours.read(&mut [0; 8])).await;
        assert!(late.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (mut ours, mut theirs, _) = pair();
        ours.write_all(&[0; 64]).await.unwrap();
        let taker = tokio::spawn(async move {
            sleep(Duration::from_secs(20)).await;
            theirs.read_exact(&mut [0; 1]).await.unwrap();
            theirs
        });
        let start = Instant::now();
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 50, "30 s after the last byte it took");
        drop(taker.await.unwrap());
    }
}
