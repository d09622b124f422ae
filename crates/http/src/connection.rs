//! One connection's bytes, in both directions, bounded in time.
//!
//! hyper has a bound for reading a head, but it allocates and registers a timer for each request, and it also counts
//! the rest between two requests. Here a connection has one timer for its whole life, and a request touches no
//! clock: what moves on leaves a mark, and only when the timer fires is looked whether anything did.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::time::{Instant, Sleep, sleep};

use crate::shares::Shares;
use crate::unreadable::whole_answer;
use tenantry_core::model::PartnerId;

/// Where a connection stands: written where requests are handled, read where bytes are. Both are polled by the
/// connection's one task, so no order of memory is asked for.
#[derive(Debug)]
pub(super) struct Turns {
    busy: AtomicBool,
    done: AtomicU32,
    /// Whose it is; 0 until somebody has shown a token.
    partner: AtomicI64,
    shares: Shares,
}

impl Turns {
    /// Those of a new connection.
    pub(super) fn new(shares: Shares) -> Self {
        Self { busy: AtomicBool::new(false), done: AtomicU32::new(0), partner: AtomicI64::new(0), shares }
    }

    /// A request on it came with a good token of this partner's: so will the next one, most likely.
    pub(super) fn belongs_to(&self, pid: PartnerId) {
        if self.partner.swap(pid.0, Ordering::Relaxed) != pid.0 {
            self.shares.see(pid);
        }
    }

    /// Whether it must wait before it is read; then it is woken when its turn has come.
    fn must_wait(&self, waker: &Waker) -> bool {
        let partner = self.partner.load(Ordering::Relaxed);
        self.shares.must_wait((partner != 0).then_some(PartnerId(partner)), waker)
    }

    /// A head has been read and its request is being handled, until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Turn {
        self.busy.store(true, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }
}

/// The most bytes that are read at once. The HTTP library reads into buffers of 8 KiB and doubles them when one is filled at
/// once; of what is not filled the system gives no memory.
const PIECE: u64 = 4 * 1024;

/// One request being handled.
#[derive(Debug)]
pub(super) struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The time bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A new connection must send its first head within this time, and a head that has begun must end within it.
    pub(super) head: Duration,
    /// A connection on which nothing moves between two requests is closed after once to twice this time.
    pub(super) idle: Duration,
    /// A reader that takes nothing for so long is cut off (B13).
    pub(super) write: Duration,
}

/// A stream that ends when its peer is too slow: reading then answers the end of the stream, writing an error.
#[derive(Debug)]
pub(super) struct Bounded<T> {
    stream: Take<T>,
    limits: Limits,
    turns: Arc<Turns>,
    /// Nothing was there to be read, so whoever polls now may do so since something has come.
    rested: bool,
    /// The last turn that was seen to be done.
    seen: u32,
    /// Bytes of a head have come, but not yet all.
    in_head: bool,
    /// The timer runs for this head.
    head_timed: bool,
    /// Something moved since the timer was set.
    moved: bool,
    timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    write_waits: bool,
    replaced: Option<Replaced>,
}

/// An answer that is sent in place of another one.
#[derive(Debug)]
struct Replaced {
    answer: Vec<u8>,
    sent: usize,
    /// The length of what it replaces.
    length: usize,
}

impl<T: AsyncRead + Unpin> Bounded<T> {
    pub(super) fn new(stream: T, limits: Limits, turns: Arc<Turns>) -> Self {
        let timer = Box::pin(sleep(limits.head));
        Self {
            stream: stream.take(PIECE),
            limits,
            turns,
            rested: true,
            seen: 0,
            in_head: true,
            head_timed: true,
            moved: false,
            timer,
            write_timer: None,
            write_waits: false,
            replaced: None,
        }
    }

    /// Whether the peer is to be given up, asked when it has sent nothing.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.notice_turn();
        // A request in work has its own bounds for its body, and its handler answers for itself.
        let busy = self.turns.busy.load(Ordering::Relaxed);
        if self.in_head && !self.head_timed && !busy {
            self.head_timed = true;
            self.timer.as_mut().reset(Instant::now() + self.limits.head);
        }
        // Polled also while busy: hyper need not read again afterwards, and the timer must know whom to wake.
        while self.timer.as_mut().poll(cx).is_ready() {
            if !busy && (self.in_head || !self.moved) {
                return true;
            }
            self.moved = false;
            self.timer.as_mut().reset(Instant::now() + self.limits.idle);
        }
        false
    }

    fn notice_turn(&mut self) {
        let done = self.turns.done.load(Ordering::Relaxed);
        if done != self.seen {
            self.seen = done;
            self.in_head = false;
            self.head_timed = false;
            self.moved = true;
        }
    }

    /// Whether what is written is the HTTP library's own answer to a head that could not be read; then it is replaced.
    fn replace(&mut self, written: &[u8]) {
        // Between two requests. It may be about what has come together with the head of the one before.
        if !self.turns.busy.load(Ordering::Relaxed)
            && let Some(answer) = whole_answer(written)
        {
            self.replaced = Some(Replaced { answer, sent: 0, length: written.len() });
        }
    }

    /// Passes a write on, unless it has been waiting for too long.
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
        if this.rested && !this.turns.busy.load(Ordering::Relaxed) {
            // Once it is woken again it reads, whoever woke it.
            this.rested = false;
            if this.turns.must_wait(cx.waker()) {
                return Poll::Pending;
            }
        }
        this.stream.set_limit(PIECE);
        let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.rested = poll.is_pending();
        if poll.is_ready() {
            if !this.turns.busy.load(Ordering::Relaxed) {
                this.notice_turn();
                this.in_head = true;
            }
            return poll;
        }
        // As if the peer had hung up: hyper then closes, quietly between requests.
        if this.is_late(cx) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bounded<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.replaced.is_none() && buf.starts_with(b"HTTP/1.1 4") {
            this.replace(buf);
        }
        while let Some(Replaced { answer, sent, length }) = &mut this.replaced {
            let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) else {
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
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(cx)
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

    fn pair() -> (Bounded<DuplexStream>, DuplexStream, Arc<Turns>) {
        let (ours, theirs) = duplex(64);
        let turns = Arc::new(Turns::new(Shares::new(1)));
        (Bounded::new(ours, LIMITS, Arc::clone(&turns)), theirs, turns)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_given_up() {
        let (mut ours, _theirs, _) = pair();
        let start = Instant::now();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(start.elapsed(), LIMITS.head);
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_does_not_extend_the_time_for_a_head() {
        let (mut ours, mut theirs, turns) = pair();
        theirs.write_all(b"head").await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 4);
        drop(turns.begin());
        let dripper = tokio::spawn(async move {
            // The second head begins 50 s later, which is no fault, then never ends.
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
    async fn between_requests_the_peer_may_rest() {
        let (mut ours, mut theirs, turns) = pair();
        theirs.write_all(b"head").await.unwrap();
        ours.read_exact(&mut [0; 4]).await.unwrap();
        drop(turns.begin());
        let start = Instant::now();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
        assert!((75..=150).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_work_is_not_hurried() {
        let (mut ours, mut theirs, turns) = pair();
        theirs.write_all(b"head").await.unwrap();
        ours.read_exact(&mut [0; 4]).await.unwrap();
        let _turn = turns.begin();
        let late = tokio::time::timeout(Duration::from_secs(1000), ours.read(&mut [0; 8])).await;
        assert!(late.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off() {
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
