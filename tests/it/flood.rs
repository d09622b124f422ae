//! Many who send slowly, and what they make the real server hold.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::binary::{GIVEN, Home, PATIENCE, Process, until};

const CONNECTIONS: usize = 2_000;
const MIB: u64 = 1024 * 1024;
/// The most that they may take of the server's memory.
const MORE: u64 = 64 * MIB;

/// Each connection is a file here and another one in the server, which inherits the bound.
fn allow_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::try_from(CONNECTIONS).unwrap() + 1_000;
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    assert!(maximum.is_none_or(|most| most >= needed), "ulimit -Hn must allow {needed} files");
    setrlimit(Resource::Nofile, Rlimit { current: Some(maximum.unwrap_or(needed)), maximum }).unwrap();
}

/// The server's own memory, in bytes.
fn own_memory(server: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Sends `bytes` over each of so many connections, then one more byte a second, until the server ends it; how many were
/// answered with this status, and the most memory the server took meanwhile.
async fn flood(server: &Process, bytes: &[u8], status: &'static str) -> (usize, u64) {
    let (address, bytes) = (server.address, Arc::<[u8]>::from(bytes));
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let bytes = Arc::clone(&bytes);
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // One that is refused may be so before it has sent everything.
            let mut is_open = stream.write_all(&bytes).await.is_ok();
            let mut answer = Vec::new();
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end {
                match timeout(Duration::from_secs(1), stream.read_buf(&mut answer)).await {
                    Ok(Ok(0) | Err(_)) => return String::from_utf8_lossy(&answer).starts_with(status),
                    Ok(Ok(_)) => {}
                    Err(_) if is_open => is_open = stream.write_all(b"0").await.is_ok(),
                    Err(_) => {}
                }
            }
            false
        });
    }
    let (mut peak, mut answered) = (0, 0);
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            ended = senders.join_next() => match ended {
                Some(is_right) => answered += usize::from(is_right.unwrap()),
                None => return (answered, peak),
            },
            _ = look.tick() => peak = peak.max(own_memory(server)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_strangers_who_send_slowly_take_little_memory() {
    allow_files();
    let home = Home::new();
    let server = Process::serve(home.path(), &[], &GIVEN);
    server.admin().await.get("/api/v1/users").await.expect(200);
    let form = "content-type: application/x-www-form-urlencoded";
    let request = |path: &str, kind: &str, length: &str, bytes: usize| {
        let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\n{kind}\r\n{length}\r\n\r\n");
        [head.into_bytes(), vec![b'a'; bytes]].concat()
    };
    // As much as a form may have but for its end; a brief body; one that announces more than it may have; a head without
    // an end; and a body in pieces.
    let piece = format!("3e80\r\n{}\r\n", "a".repeat(0x3e80)).into_bytes();
    for (what, bytes, status) in [
        ("forms", request("/oauth/token", form, "content-length: 16384", 16_000), "HTTP/1.1 408"),
        (
            "pieces",
            [request("/oauth/revoke", form, "transfer-encoding: chunked", 0), piece].concat(),
            "HTTP/1.1 408",
        ),
        (
            "addresses",
            request(
                "/api/v1/users/forgot-password",
                "content-type: application/json",
                "content-length: 4096",
                4_000,
            ),
            "HTTP/1.1 408",
        ),
        ("8 MiB", request("/oauth/introspect", form, "content-length: 8388608", 100_000), "HTTP/1.1 413"),
        (
            "heads",
            request("/oauth/token", form, &format!("x: {}", "a".repeat(16_000)), 0)[..16_000].to_vec(),
            "",
        ),
    ] {
        let before = own_memory(&server);
        let (answered, peak) = flood(&server, &bytes, status).await;
        let more = peak.saturating_sub(before);
        println!("measured: {what}: {} KiB before, {} KiB more", before / 1_024, more / 1_024);
        assert_eq!(answered, CONNECTIONS, "{what}: each must be ended by the server, with {status}");
        assert!(more <= MORE, "{what}: {} KiB more", more / 1_024);
        // Nobody has hung up: the server has ended all of them, and their memory comes back.
        until("the memory is given back", || (own_memory(&server) <= before + 8 * MIB).then_some(())).await;
    }
    server.admin().await.get("/api/v1/users").await.expect(200);
}
