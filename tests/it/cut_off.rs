//! Streams that are cut off, and how their clients see it: over HTTP/1.0, over HTTP/1.1, and behind nginx.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::binary::{Home, TIMEOUT, until};
use crate::databases::{is_postgres, parsed};
use crate::fixtures::{seed, with};
use crate::harness::{T, new_user};
use crate::import::lines;

const EXPORT: &str = "/api/v1/users/export";

/// A request, without reading the response.
async fn ask(stream: &mut (impl AsyncWrite + Unpin), path: &str, version: &str, token: &str) {
    let head = format!(
        "GET {path} HTTP/{version}\r\nhost: h\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Everything that follows on a connection, and how it ends.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> (String, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.unwrap();
    (String::from_utf8_lossy(&bytes).into_owned(), end.map(drop))
}

#[track_caller]
fn assert_reset((text, end): &(String, io::Result<()>)) {
    let kind = end.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset), "{} bytes look complete", text.len());
}

/// Whether a chunked response is complete (RFC 9112 §7.1).
fn is_complete((text, end): &(String, io::Result<()>)) -> bool {
    end.is_ok() && text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n0\r\n\r\n")
}

const STREAMS: [&str; 5] = [
    EXPORT,
    "/api/v1/users/export?format=csv",
    "/api/v1/users/export?trailer=true",
    "/api/v1/users",
    "/api/v1/users?sortBy=lastName",
];

/// A server whose streams of users fail in the fourth chunk.
async fn failing() -> (T, String) {
    let t = T::start().await;
    let token = t.admin().await.token.unwrap();
    seed(&t, 1, "many", 5_000, Vec::new()).await;
    t.run_sql("UPDATE users SET status = 9 WHERE username = 'many3500'");
    (t, token)
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_a_reset_over_http_1_0() {
    let (t, token) = failing().await;
    for path in STREAMS {
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        ask(&mut stream, path, "1.0", &token).await;
        assert_reset(&rest(&mut stream).await);
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        ask(&mut stream, path, "1.1", &token).await;
        assert!(!is_complete(&rest(&mut stream).await), "{path}");
    }
    t.run_sql("UPDATE users SET status = 0 WHERE username = 'many3500'");
    for path in STREAMS {
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        ask(&mut stream, path, "1.0", &token).await;
        let (text, end) = rest(&mut stream).await;
        assert!(end.is_ok() && text.contains("many4999"), "{path}: {end:?}");
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        ask(&mut stream, path, "1.1", &token).await;
        assert!(is_complete(&rest(&mut stream).await), "{path}");
    }
}

/// More bytes than the buffers between the server and its client hold, in all.
fn large_rows() -> String {
    let text = "🙂".repeat(255);
    let row = |n| {
        with(
            &new_user(&format!("user{n}")),
            json!({ "status": "INACTIVE", "title": text, "displayName": text, "phoneNumber": text }),
        )
    };
    lines(&(0..5_000).map(row).collect::<Vec<Value>>())
}

#[tokio::test]
async fn an_export_of_a_killed_server_ends_with_a_reset() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    std::fs::write(home.path().join("rows.ndjson"), large_rows()).unwrap();
    // On a slow machine it shows its progress.
    assert_eq!(home.command("import rows.ndjson --partner 1").code, Some(0));
    for path in [EXPORT, "/api/v1/users/export?format=csv&trailer=true"] {
        let server = home.serve();
        let token = server.admin().await.token.unwrap();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        ask(&mut stream, path, "1.0", &token).await;
        let mut begin = [0; 4_096];
        stream.read_exact(&mut begin).await.unwrap();
        server.kill();
        assert_reset(&rest(&mut stream).await);
    }
}

#[tokio::test]
async fn an_export_whose_database_stops_ends_with_a_reset() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (proxy, url) = t.database.behind_proxy();
    let far = t.beside_with(t.clock.clone(), |config| config.database_url = parsed(&url)).await;
    let path = "/api/v1/users/import";
    let kind = "application/x-ndjson";
    let done =
        admin.send(reqwest::Method::POST, path, Some(large_rows().into_bytes()), kind).await.expect(200);
    assert_eq!(done.body["created"], 5_000);
    let token = admin.token.clone().unwrap();
    for path in [EXPORT, "/api/v1/users"] {
        proxy.accept();
        let person = far.bearer(&token);
        while person.get("/api/v1/users/self").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let mut stream = TcpStream::connect(far.address).await.unwrap();
        ask(&mut stream, path, "1.0", &token).await;
        let mut begin = [0; 4_096];
        stream.read_exact(&mut begin).await.unwrap();
        proxy.cut();
        assert_reset(&rest(&mut stream).await);
    }
}

/// A running nginx of Debian, which listens on a socket in its own directory.
struct Nginx {
    process: Child,
    dir: TempDir,
}

impl Nginx {
    fn start(to: SocketAddr, server: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let server = server
            .replace("listen 127.0.0.1:8081", &format!("listen unix:{}", at("socket")))
            .replace("http://127.0.0.1:8080", &format!("http://{to}"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", at(name)))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {};\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{server}\n}}\n",
            at("pid")
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let process = Command::new(Self::program())
            .args(["-e", "stderr", "-p", &at(""), "-c", &at("nginx.conf")])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, dir }
    }

    /// It is not in the search path of ordinary users.
    fn program() -> PathBuf {
        let path = PathBuf::from("/usr/sbin/nginx");
        if path.exists() { path } else { PathBuf::from("nginx") }
    }

    async fn connect(&self) -> UnixStream {
        let path = self.dir.path().join("socket");
        let stream = until("nginx listens", || std::os::unix::net::UnixStream::connect(&path).ok()).await;
        stream.set_nonblocking(true).unwrap();
        UnixStream::from_std(stream).unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn behind_nginx_with_http_1_0_a_failed_stream_is_seen() {
    let (t, token) = failing().await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/F35.nginx");
    let unbuffered = std::fs::read_to_string(file).unwrap();
    let settings = [
        unbuffered.clone(),
        unbuffered.replace("proxy_buffering off;", ""),
        unbuffered.replace("proxy_buffering off;", "proxy_http_version 1.1;"),
    ];
    let servers = settings.map(|server| Nginx::start(t.address, &server));
    for is_mended in [false, true] {
        if is_mended {
            t.run_sql("UPDATE users SET status = 0 WHERE username = 'many3500'");
        }
        for (n, nginx) in servers.iter().enumerate() {
            for path in STREAMS {
                let mut stream = nginx.connect().await;
                ask(&mut stream, path, "1.1", &token).await;
                let response = rest(&mut stream).await;
                assert_eq!(is_complete(&response), is_mended, "{path} by configuration {n}");
            }
        }
    }
}
