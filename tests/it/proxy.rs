//! A network that fails when it is told to: it stands between the server and its database and goes silent, cuts the
//! connections, and comes back.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Where connections go on to.
#[derive(Debug, Clone)]
enum Upstream {
    Tcp(String),
    Unix(PathBuf),
}

/// What is done by the proxy's own thread; it says when it is done.
enum Order {
    Cut(Sender<()>),
    Accept(Sender<()>),
}

/// Forwards connections from a port of its own, which stays the same.
///
/// It runs on a thread of its own, so it goes on when a test's runtime waits for the database. Nothing here needs a
/// runtime, and what is ordered is done when the order returns. Dropped, it closes everything.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    silent: watch::Sender<bool>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// To a host and a port.
    pub fn to(upstream: impl ToString) -> Self {
        Self::start(Upstream::Tcp(upstream.to_string()))
    }

    /// To a unix socket, such as the one a PostgreSQL has in its directory.
    pub fn to_socket(path: impl AsRef<Path>) -> Self {
        Self::start(Upstream::Unix(path.as_ref().to_owned()))
    }

    fn start(upstream: Upstream) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (silent, listening) = watch::channel(false);
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                // Never listens, and keeps the port ours while new connections are refused.
                let keeper = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
                let address = keeper.local_addr().unwrap();
                let listener = listen(address).unwrap();
                tell.send(address).unwrap();
                run(listener, upstream, received, listening).await;
            });
        });
        let address = told.recv().unwrap();
        Self { address, silent, orders: Some(orders), thread: Some(thread) }
    }

    /// From now on nothing passes in either direction, as when a cable is out: what is sent stays on its way, the end
    /// of a connection too, and a new connection is made but leads nowhere.
    pub fn silence(&self) {
        self.silent.send_replace(true);
    }

    /// Ends the silence. What was on its way arrives.
    pub fn resume(&self) {
        self.silent.send_replace(false);
    }

    /// Closes all connections, with what was on its way, and refuses new ones.
    pub fn cut(&self) {
        self.order(Order::Cut);
    }

    /// Takes connections again, after [`Proxy::cut`].
    pub fn accept(&self) {
        self.order(Order::Accept);
    }

    fn order(&self, order: impl FnOnce(Sender<()>) -> Order) {
        let (done, is_done): (_, Receiver<()>) = channel();
        assert!(self.orders.as_ref().unwrap().send(order(done)).is_ok(), "the proxy's thread has ended");
        is_done.recv().unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy's thread panicked");
        }
    }
}

/// Two sockets can have the port of the proxy: the one that keeps it and the one that listens.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(1024)
}

/// Takes connections and orders until there are no more of the latter.
async fn run(
    listener: TcpListener,
    upstream: Upstream,
    mut orders: mpsc::UnboundedReceiver<Order>,
    silent: watch::Receiver<bool>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(Order::Cut(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    done.send(()).unwrap();
                }
                Some(Order::Accept(done)) => {
                    if listener.is_none() {
                        listener = Some(listen(address).unwrap());
                    }
                    done.send(()).unwrap();
                }
            },
            socket = next(listener.as_ref()) => {
                connections.spawn(forward(socket, upstream.clone(), silent.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

/// One connection, until both directions have ended. A failure in one ends the other.
async fn forward(client: TcpStream, upstream: Upstream, mut silent: watch::Receiver<bool>) -> io::Result<()> {
    speaking(&mut silent).await;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    match upstream {
        Upstream::Tcp(address) => {
            let server = TcpStream::connect(address).await?;
            server.set_nodelay(true)?;
            let (from_server, to_server) = server.into_split();
            let there = pump(from_client, to_server, silent.clone());
            tokio::try_join!(there, pump(from_server, to_client, silent))?;
        }
        Upstream::Unix(path) => {
            let (from_server, to_server) = UnixStream::connect(path).await?.into_split();
            let there = pump(from_client, to_server, silent.clone());
            tokio::try_join!(there, pump(from_server, to_client, silent))?;
        }
    }
    Ok(())
}

/// One direction, to its end. What was read when the silence began is held until it ends.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        speaking(&mut silent).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

/// Waits until there is no silence.
async fn speaking(silent: &mut watch::Receiver<bool>) {
    // The sender goes with the proxy, and then everything ends.
    let _ = silent.wait_for(|silent| !silent).await;
}

mod tests {
    use std::time::Duration;

    use tokio::net::UnixListener;
    use tokio::time::timeout;

    use super::*;
    use crate::binary::TIMEOUT;

    /// Sends back what comes, connection for connection, as long as the runtime is there.
    async fn echo_server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (from, to) = socket.into_split();
                tokio::spawn(echo(from, to));
            }
        });
        address
    }

    async fn echo(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let _ = tokio::io::copy(&mut from, &mut to).await;
        let _ = to.shutdown().await;
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        timeout(TIMEOUT, TcpStream::connect(proxy.address)).await.unwrap().unwrap()
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next bytes, as many as are expected.
    async fn receive(stream: &mut TcpStream, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        timeout(TIMEOUT, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    /// Nothing comes. A proxy that forwards in its silence is found within this time or not at all, one that does not
    /// is never blamed.
    async fn hear_nothing(stream: &mut TcpStream) {
        let heard = timeout(Duration::from_millis(200), stream.read_u8()).await;
        assert!(heard.is_err(), "something came through the silence: {heard:?}");
    }

    /// The connection is closed, whether politely or not, and nothing comes before.
    async fn hear_the_end(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        let _ = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"");
    }

    #[tokio::test]
    async fn bytes_and_ends_are_forwarded() {
        let proxy = Proxy::to(echo_server().await);
        let (mut one, mut other) = (connect(&proxy).await, connect(&proxy).await);
        send(&mut one, "one").await;
        send(&mut other, "other").await;
        receive(&mut other, "other").await;
        receive(&mut one, "one").await;

        // More than all buffers on the way hold, so both directions flow at once.
        let much: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut from, mut to) = one.into_split();
        let sent = much.clone();
        let sender = tokio::spawn(async move {
            to.write_all(&sent).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        timeout(TIMEOUT, from.read_to_end(&mut back)).await.unwrap().unwrap();
        sender.await.unwrap();
        assert!(back == much, "{} of {} bytes came back", back.len(), much.len());
    }

    #[tokio::test]
    async fn data_sent_during_a_stall_arrives_after_it() {
        let proxy = Proxy::to(echo_server().await);
        let mut old = connect(&proxy).await;
        send(&mut old, "before").await;
        receive(&mut old, "before").await;

        proxy.silence();
        send(&mut old, "in it").await;
        hear_nothing(&mut old).await;
        let mut new = connect(&proxy).await;
        send(&mut new, "new").await;
        hear_nothing(&mut new).await;
        // The end of a connection does not get through either.
        new.shutdown().await.unwrap();
        hear_nothing(&mut new).await;

        proxy.resume();
        receive(&mut old, "in it").await;
        receive(&mut new, "new").await;
        hear_the_end(&mut new).await;
        send(&mut old, "after").await;
        receive(&mut old, "after").await;
    }

    #[tokio::test]
    async fn a_cut_closes_all_and_refuses_until_it_accepts_again() {
        let proxy = Proxy::to(echo_server().await);
        let (mut one, mut other) = (connect(&proxy).await, connect(&proxy).await);
        send(&mut one, "one").await;
        receive(&mut one, "one").await;
        proxy.silence();
        send(&mut other, "lost").await;

        proxy.cut();
        hear_the_end(&mut one).await;
        hear_the_end(&mut other).await;
        proxy.resume();
        let refused = TcpStream::connect(proxy.address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        proxy.cut();

        proxy.accept();
        proxy.accept();
        let mut new = connect(&proxy).await;
        send(&mut new, "new").await;
        receive(&mut new, "new").await;
    }

    #[tokio::test]
    async fn it_leads_to_a_unix_socket_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let proxy = Proxy::to_socket(&path);
        let mut client = connect(&proxy).await;
        let (mut from, mut to) = timeout(TIMEOUT, listener.accept()).await.unwrap().unwrap().0.into_split();
        send(&mut client, "hello").await;
        let mut bytes = [0; 5];
        timeout(TIMEOUT, from.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes, b"hello");
        to.write_all(b"back").await.unwrap();
        receive(&mut client, "back").await;
        drop((from, to));
        hear_the_end(&mut client).await;
    }

    #[tokio::test]
    async fn a_connection_ends_without_a_target_or_with_the_proxy() {
        // A port that was free a moment ago and that nobody listens at.
        let nobody = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let to_nobody = Proxy::to(nobody.local_addr().unwrap());
        hear_the_end(&mut connect(&to_nobody).await).await;

        let proxy = Proxy::to(echo_server().await);
        let mut client = connect(&proxy).await;
        send(&mut client, "hello").await;
        receive(&mut client, "hello").await;
        let address = proxy.address;
        drop(proxy);
        hear_the_end(&mut client).await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
