//! Many who send slowly, and what they make the real server hold.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::binary::{GIVEN, Home, Process, TIMEOUT};

const CONNECTIONS: usize = 2_000;
const MIB: u64 = 1024 * 1024;
/// The most that they may take of the server's memory.
const MORE: u64 = 64 * MIB;

/// Too late, or refused since too many send.
const LATE: &[&str] = &["408", "503"];

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

/// Its memory at rest: what the start and logins have taken for a moment has gone back.
async fn memory_at_rest(server: &Process) -> u64 {
    let (mut least, mut looks_since) = (u64::MAX, 0);
    while looks_since < 30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = own_memory(server);
        looks_since = if now < least { 0 } else { looks_since + 1 };
        least = least.min(now);
    }
    least
}

/// Sends `bytes` over each of so many connections, then one more byte a second, until the server ends it; how many were
/// answered with one of these statuses, and the most memory the server took meanwhile.
async fn flood(server: &Process, bytes: &[u8], statuses: &'static [&'static str]) -> (usize, u64) {
    let (address, bytes) = (server.address, Arc::<[u8]>::from(bytes));
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let bytes = Arc::clone(&bytes);
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // One that is refused may be so before it has sent everything.
            let mut is_open = stream.write_all(&bytes).await.is_ok();
            let mut response = Vec::new();
            let end = Instant::now() + TIMEOUT;
            while Instant::now() < end {
                match timeout(Duration::from_secs(1), stream.read_buf(&mut response)).await {
                    Ok(Ok(0) | Err(_)) => {
                        let response = String::from_utf8_lossy(&response);
                        let status = response.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
                        let status = status.unwrap_or("none");
                        return statuses.contains(&status);
                    }
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

/// What strangers send, and with what they are answered in the end.
struct Flood {
    name: &'static str,
    bytes: Vec<u8>,
    statuses: &'static [&'static str],
}

fn post(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\n{}\r\n\r\n", headers.join("\r\n"));
    [head.as_bytes(), body].concat()
}

fn floods() -> Vec<Flood> {
    let form = "content-type: application/x-www-form-urlencoded";
    let json = "content-type: application/json";
    let piece = [b"1000\r\n".to_vec(), vec![b'a'; 4_096], b"\r\n".to_vec()].concat();
    vec![
        // As much as a form may have but for its end.
        Flood {
            name: "a form",
            bytes: post("/oauth/token", &[form, "content-length: 16384"], &[b'a'; 16_000]),
            statuses: LATE,
        },
        Flood {
            name: "a form in pieces",
            bytes: post("/oauth/token", &[form, "transfer-encoding: chunked"], &piece.repeat(3)),
            statuses: LATE,
        },
        Flood {
            name: "an address",
            bytes: post("/api/v1/users/forgot-password", &[json, "content-length: 4096"], &[b' '; 4_000]),
            statuses: LATE,
        },
        Flood {
            name: "a head without an end",
            bytes: [b"GET / HTTP/1.1\r\nhost: h\r\nx: ".to_vec(), vec![b'a'; 8_000]].concat(),
            statuses: &["none"],
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_unauthenticated_senders_take_little_memory() {
    allow_files();
    let home = Home::new();
    let server = Process::serve(home.path(), &[], &GIVEN);
    let before = memory_at_rest(&server).await;
    for Flood { name, bytes, statuses } in floods() {
        let (answered, peak) = flood(&server, &bytes, statuses).await;
        let more = peak.saturating_sub(before) / 1_024;
        assert_eq!(
            answered, CONNECTIONS,
            "{name}: each must be ended by the server, with one of {statuses:?}"
        );
        assert!(more <= MORE / 1_024, "{name}: {more} KiB more");
    }
    server.admin().await.get("/api/v1/users").await.expect(200);
}
