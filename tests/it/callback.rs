//! What a product has at its redirect URI: it tells the test with what people come back.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;

use crate::binary::TIMEOUT;

/// Somebody who came back.
#[derive(Debug)]
pub struct Back {
    pub method: String,
    pub url: Url,
    /// The request line and the headers.
    pub head: String,
    /// What was posted (`response_mode=form_post`).
    pub body: String,
}

impl Back {
    /// A parameter of the answer.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let posted = form_urlencoded::parse(self.body.as_bytes());
        let all = self.url.query_pairs().into_owned().chain(posted.into_owned());
        all.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

/// A listener on a free port. Browsers keep the cookies of `127.0.0.1` apart from those of `localhost`.
pub struct Callback {
    pub address: SocketAddr,
    told: mpsc::UnboundedReceiver<Back>,
}

impl Callback {
    pub async fn listen() -> Self {
        Self::answering("200 OK").await
    }

    /// One that shows nothing: the browser stays where it is.
    pub async fn silent() -> Self {
        Self::answering("204 No Content").await
    }

    async fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address, status, tell.clone()));
            }
        });
        Self { address, told }
    }

    /// The redirect URI.
    pub fn uri(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Waits for whoever comes back.
    pub async fn next(&mut self) -> Back {
        tokio::time::timeout(TIMEOUT, self.told.recv()).await.unwrap().unwrap()
    }
}

async fn answer(
    mut stream: TcpStream,
    address: SocketAddr,
    status: &str,
    tell: mpsc::UnboundedSender<Back>,
) -> Option<()> {
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length:"));
        if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let page = "<!doctype html><html lang=\"en\"><title>Back</title><p id=\"back\">Welcome back.</p></html>";
    let page = if status.starts_with("204") { "" } else { page };
    let length = if page.is_empty() { String::new() } else { format!("content-length: {}\r\n", page.len()) };
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\n{length}connection: close\r\n\r\n{page}");
    let _ = stream.write_all(answer.as_bytes()).await;
    let url = Url::parse(&format!("http://{address}{target}")).unwrap();
    if url.path() != "/favicon.ico" {
        let _ = tell.send(Back { method, url, head, body });
    }
    Some(())
}
