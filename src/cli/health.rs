//! `tenantry health`: asks the running server whether it is ready, as the health check of a container does.

use std::io::Write;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::Failure;
use crate::cli::args::HealthArgs;
use crate::cli::command_error::CommandError;
use crate::config::{self, Config};

/// Timeout of the whole exchange: less than the 30 seconds after which Docker gives up.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the response, in bytes.
const ANSWER_MAX: usize = 64 << 10;
/// Maximum length of a reason that is printed, in characters.
const REASON_MAX: usize = 1_000;

/// Prints that the server is ready, or fails with the reason why it is not.
pub(super) fn run(config: &Config, args: &HealthArgs, out: &mut impl Write) -> Result<(), Failure> {
    let base = args.url.as_deref().map_or_else(|| of_settings(config), of_flag)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::new("internal", format!("cannot start the runtime: {e}")))?;
    runtime.block_on(async {
        timeout(TIMEOUT, ask(&base))
            .await
            .unwrap_or_else(|_| Err(format!("did not respond within {} seconds", TIMEOUT.as_secs())))
            .map_err(|what| {
                CommandError::new("unavailable", format!("the server on {} {what}", base.authority))
            })
    })?;
    Ok(writeln!(out, "ready")?)
}

/// A server, without the path of what is asked of it.
struct Base {
    /// Host and port.
    authority: String,
    /// The path before `/readyz`; empty, or without a slash at its end.
    prefix: String,
}

fn of_settings(config: &Config) -> Result<Base, CommandError> {
    if config.listen.port() == 0 {
        let detail = "listen has port 0, so the port is chosen at the start: name the server with --url";
        return Err(CommandError::new("invalid", detail));
    }
    Ok(Base { authority: config::reachable(config.listen).to_string(), prefix: String::new() })
}

fn of_flag(url: &str) -> Result<Base, CommandError> {
    let wrong = |what: &str| {
        CommandError::new("invalid", format!("--url {what}: use one such as http://127.0.0.1:8080"))
    };
    let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("does not begin with http:// (the server itself has no TLS)"));
    }
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| wrong("has no host"))?;
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(wrong("must not have a user or a query"));
    }
    let host = authority.host();
    let authority = format!("{host}:{}", authority.port_u16().unwrap_or(80));
    Ok(Base { authority, prefix: uri.path().trim_end_matches('/').to_owned() })
}

/// Asks for `/readyz`; an error continues the sentence "the server on ...".
async fn ask(base: &Base) -> Result<(), String> {
    let unclear = |e: &dyn std::fmt::Display| format!("disconnected: {e}");
    let stream = TcpStream::connect(&base.authority)
        .await
        .map_err(|e| format!("cannot be reached: {e}; is it running, and is this its address?"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| unclear(&e))?;
    let request = Request::get(format!("{}/readyz", base.prefix))
        .header(HOST, &base.authority)
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|e| unclear(&e))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| unclear(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|e| unclear(&e))?.to_bytes();
        verdict(status, &body)
    };
    tokio::pin!(exchange);
    tokio::select! {
        verdict = &mut exchange => verdict,
        // The response may have arrived together with the end of the connection.
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(e) => Err(unclear(&e)),
        },
    }
}

fn verdict(status: StatusCode, body: &[u8]) -> Result<(), String> {
    let response: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| response.get(name).and_then(Value::as_str).map(printable);
    match status {
        StatusCode::OK if text("status").as_deref() == Some("ready") => Ok(()),
        StatusCode::SERVICE_UNAVAILABLE => {
            let why = text("detail").or_else(|| text("title")).unwrap_or_else(|| "it gives no reason".into());
            Err(format!("is not ready: {why}"))
        }
        other => Err(format!("answers /readyz with {}: is it Tenantry?", other.as_u16())),
    }
}

/// A text of another process as it may be printed on a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> (String, String) {
        let base = of_flag(url).unwrap();
        (base.authority, base.prefix)
    }

    #[test]
    fn a_url_is_a_base_without_tls() {
        assert_eq!(base("http://localhost:8080"), ("localhost:8080".into(), String::new()));
        assert_eq!(base("http://[::1]:81/iam/"), ("[::1]:81".into(), "/iam".into()));
        assert_eq!(base("http://users"), ("users:80".into(), String::new()));
        for bad in ["https://users", "localhost:8080", "users", "http://", "http://a:b@c", "http://a?b"] {
            let error = of_flag(bad).err().unwrap_or_else(|| panic!("{bad} is taken"));
            assert!(error.detail.contains("use one such as http://127.0.0.1:8080"), "{bad}: {error}");
        }
    }

    #[test]
    fn only_ready_is_ready() {
        assert_eq!(verdict(StatusCode::OK, br#"{"status":"ready"}"#), Ok(()));
        let disk = br#"{"title":"x","detail":"its disk\u001b[31m is full"}"#;
        assert_eq!(
            verdict(StatusCode::SERVICE_UNAVAILABLE, disk).unwrap_err(),
            "is not ready: its disk[31m is full"
        );
        for (status, body) in
            [(StatusCode::OK, "<html>"), (StatusCode::OK, "{}"), (StatusCode::NOT_FOUND, "{}")]
        {
            assert!(verdict(status, body.as_bytes()).unwrap_err().contains("is it Tenantry?"));
        }
        assert!(verdict(StatusCode::SERVICE_UNAVAILABLE, b"").unwrap_err().contains("no reason"));
    }
}
