//! The examples of docs/SIGN-IN.md, as they stand there, with the real binary and a real browser.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::binary::{Home, Process};
use crate::browser::Browser;
use crate::callback::Callback;
use crate::harness::ADMIN_PASSWORD;
use crate::proxies::Front;
use crate::real_clients::{Program, python_client};

/// The pieces of the document in a language, in its order.
fn documented(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SIGN-IN.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

/// The only piece in a language.
fn example(language: &str) -> String {
    let pieces = documented(language);
    assert_eq!(pieces.len(), 1, "pieces in {language}");
    pieces.into_iter().next().unwrap()
}

/// A server as the document starts it, and its issuer.
struct Documented {
    home: Home,
    issuer: String,
    _process: Process,
}

impl Documented {
    fn start() -> Self {
        let home = Home::new();
        let process = home.serve();
        let out = process.out();
        let issuer = out.lines().find_map(|line| line.strip_prefix("API:")?.trim().strip_suffix("/api/v1"));
        let issuer = issuer.unwrap_or_else(|| panic!("no address: {out}")).to_owned();
        assert!(issuer.starts_with("http://localhost:"), "{issuer}");
        Self { home, issuer, _process: process }
    }

    /// Registers the client of this name with the command of the document, at this port of this machine.
    fn register(&self, name: &str, port: u16) -> Value {
        let commands = documented("sh");
        let named = format!("--name {name} ");
        let command = commands.iter().find(|command| command.contains(&named)).unwrap();
        let command = command.strip_prefix("tenantry ").unwrap();
        let (before, after) = command.split_once("127.0.0.1:").unwrap();
        let path = after.trim_start_matches(|c: char| c.is_ascii_digit());
        self.home.json(&format!("{before}127.0.0.1:{port}{path}"))
    }
}

fn text(client: &Value, name: &str) -> String {
    client[name].as_str().unwrap_or_else(|| panic!("no {name}: {client}")).to_owned()
}

/// Signs in, and allows what the client asks for.
async fn sign_in_and_allow(browser: &Browser, issuer: &str) {
    browser.arrives(|url| url.starts_with(issuer)).await;
    browser.sign_in("admin", ADMIN_PASSWORD).await;
    browser.arrives(|url| url.contains("/consent")).await;
    browser.submit().await;
}

#[tokio::test]
async fn a_server_side_application_with_authlib() {
    let tenantry = Documented::start();
    let client = tenantry.register("shop", 5000);
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("shop.py");
    let program = Program::listening(|port| {
        let code = example("python").replace("http://localhost:8080", &tenantry.issuer);
        std::fs::write(&script, code.replace("5000", &port.to_string())).unwrap();
        python_client(&script, &tenantry.issuer, &text(&client, "client_id"), &text(&client, "client_secret"))
    })
    .await;
    let browser = Browser::start().await;
    let here = format!("http://127.0.0.1:{}/", program.port);
    browser.goto(&here).await;
    browser.press("a").await;
    sign_in_and_allow(&browser, &tenantry.issuer).await;
    browser.arrives(|url| url == here).await;
    assert_eq!(browser.text().await, "Hello, Admin Admin");
    // Once allowed, nobody is asked again.
    browser.goto(&format!("{here}login")).await;
    browser.arrives(|url| url == here).await;
    // An answer that belongs to no sign-in of this browser.
    browser.goto(&format!("{here}callback?code=x&state=y")).await;
    assert!(browser.text().await.starts_with("Nothing here."));
}

async fn answer(mut stream: tokio::net::TcpStream, page: String) {
    let mut request = [0; 8192];
    let count = stream.read(&mut request).await.unwrap_or(0);
    let is_page = request[..count].starts_with(b"GET / ") || request[..count].starts_with(b"GET /?");
    let (status, page) = if is_page { ("200 OK", page.as_str()) } else { ("404 Not Found", "") };
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}", page.len());
    let _ = stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{page}").as_bytes()).await;
}

/// Serves one page on a free port.
async fn serve_page(page: impl FnOnce(u16) -> String) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = page(port);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Chromium opens connections that it may never use.
            tokio::spawn(answer(stream, page.clone()));
        }
    });
    port
}

#[tokio::test]
async fn a_browser_application_without_a_library() {
    let tenantry = Documented::start();
    let port = serve_page(|port| {
        let client = tenantry.register("spa", port);
        assert_eq!(client.get("client_secret"), None, "{client}");
        let page = example("html").replace("http://localhost:8080", &tenantry.issuer);
        page.replace("CLIENT_ID", &text(&client, "client_id")).replace("5000", &port.to_string())
    })
    .await;
    let here = format!("http://127.0.0.1:{port}/");
    let browser = Browser::start().await;
    browser.goto(&here).await;
    browser.press("#sign-in").await;
    sign_in_and_allow(&browser, &tenantry.issuer).await;
    browser.arrives(|url| url == here).await;
    let deadline = tokio::time::Instant::now() + crate::binary::TIMEOUT;
    while !browser.text().await.starts_with("Hello, Admin Admin") {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{}\n{:?}",
            browser.text().await,
            browser.console().await
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn behind_apache_with_mod_auth_openidc() {
    let tenantry = Documented::start();
    let mut application = Callback::listen().await;
    // The port of a loopback address is the client's own choice.
    let client = tenantry.register("intranet", 8081);
    let front = Front::apache_on(&["auth_openidc", "authn_core", "authz_user"], |port| {
        example("apache")
            .replace("http://localhost:8080", &tenantry.issuer)
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:3000", &application.address.to_string())
            .replace("CLIENT_ID", &text(&client, "client_id"))
            .replace("CLIENT_SECRET", &text(&client, "client_secret"))
    })
    .await;
    let browser = Browser::start().await;
    browser.goto(&format!("http://{}/orders?page=2", front.address)).await;
    sign_in_and_allow(&browser, &tenantry.issuer).await;
    let request = application.next().await;
    assert_eq!((request.url.path(), request.url.query()), ("/orders", Some("page=2")));
    let head = request.head.to_ascii_lowercase();
    assert!(head.contains("oidc_claim_preferred_username: admin"), "{head}");
    // A header that somebody makes up does not get through.
    let made_up =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = made_up.get(format!("http://{}/", front.address)).header("OIDC_CLAIM_sub", "1");
    assert_eq!(request.send().await.unwrap().status(), 302);
}
