//! Signing in: pages, authorization codes, tokens and what clients ask for.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use crate::load::{self, Load, Sample};
use crate::measure::{Bench, middle, on_server_core};
use crate::passkeys::{Passkey, PasskeyForm};
use crate::report::{ReportRow, SHARES};
use crate::rows;
use crate::scratch::Stop;
use crate::seed::{self, PASSWORD};
use crate::server::{Bare, Server};
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;

/// Slices of a row and of its baseline.
const TURNS: u32 = 8;
/// Concurrent logins.
const LOGINS: usize = 16;
/// RFC 7636, Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "https://shop.example/callback";
/// Wait for a signing key, which is made in the background.
const KEY: Duration = Duration::from_secs(30);

/// Measures all of it.
pub(crate) fn rows(bench: &Bench<'_>, progress: &mut ProgressLine) -> Result<Vec<ReportRow>, CommandError> {
    let settings = bench.database_url.map(|url| ["--database-url", url]);
    let settings = settings.as_ref().map_or(&[][..], |words| words);
    let server = Server::start_with(bench.binary, bench.data, settings, bench.cores, bench.stop)?;
    let token = server.token(&rows::login(), bench.stop)?;
    let mut measuring = SignIn { bench, server: &server, bare: Bare::start(bench.cores)?, token };
    let cookie = measuring.session()?;
    let [es256, rs256] = ["ES256", "RS256"].map(|alg| measuring.client(alg));
    let (es256, rs256) = (es256?, rs256?);
    measuring.wait_for_key(&es256, &cookie)?;
    measuring.wait_for_key(&rs256, &cookie)?;
    let mut found = Vec::new();
    progress.say("measuring: pages and metadata");
    for (id, title, path) in [
        ("sign-in-page", "the sign-in page", "/sign-in"),
        ("discovery", "the OpenID configuration", "/.well-known/openid-configuration"),
        ("jwks", "the public keys (JWKS)", "/oauth/jwks"),
    ] {
        found.push(measuring.against_bare(id, title, 200, &get(path, ""))?);
    }
    let tokens = measuring.exchange_once(&es256, &cookie)?;
    let userinfo = get("/oauth/userinfo", &format!("authorization: Bearer {tokens}\r\n"));
    found.push(measuring.against_bare("userinfo", "userinfo", 200, &userinfo)?);
    progress.say("measuring: codes and tokens");
    let authorize = get(&es256.authorize(), &format!("cookie: {cookie}\r\n"));
    found.push(measuring.against_bare("authorize", "authorize with a session, a code", 303, &authorize)?);
    let title = "exchange a code for tokens, ES256, with refresh token";
    found.push(measuring.exchanges("code-es256", title, &es256, &cookie, Baseline::Bare)?);
    let title = "exchange a code for tokens, RS256, with refresh token";
    found.push(measuring.exchanges("code-rs256", title, &rs256, &cookie, Baseline::RsaSignatures)?);
    progress.say("measuring: signing in with a password");
    found.extend(measuring.passwords()?);
    progress.say("measuring: signing in with a passkey");
    found.push(measuring.passkeys()?);
    Ok(found)
}

/// What exchanges are compared with.
#[derive(Debug, Clone, Copy)]
enum Baseline {
    Bare,
    /// RSA signatures alone, on the server's core.
    RsaSignatures,
}

impl Baseline {
    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::RsaSignatures => "rsa",
        }
    }
}

/// A client of the huge partner.
#[derive(Debug)]
struct Client {
    id: String,
}

impl Client {
    fn authorize(&self) -> String {
        format!(
            "/oauth/authorize?response_type=code&client_id={}&redirect_uri={}&scope=openid%20email%20offline_access&\
             state=bench&nonce=bench&code_challenge={CHALLENGE}&code_challenge_method=S256",
            self.id,
            rows::encoded(REDIRECT)
        )
    }

    fn exchange(&self, code: &str) -> Vec<u8> {
        let form = format!(
            "grant_type=authorization_code&client_id={}&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
            self.id,
            rows::encoded(REDIRECT)
        );
        crate::server::token_request(&form)
    }
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\naccept: text/html\r\n{headers}\r\n").into_bytes()
}

/// The form of the sign-in page, as the page's own origin posts it.
fn sign_in_form(token: &str, cookie: &str) -> Vec<u8> {
    let token = rows::encoded(token);
    posted("/sign-in", cookie, &format!("token={token}&username=admin&password={PASSWORD}"))
}

/// A form, as a page's own origin posts it.
fn posted(path: &str, cookie: &str, form: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nsec-fetch-site: same-origin\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

/// The head and the body of a response on a connection that is kept.
fn ask(stream: &mut TcpStream, request: &[u8]) -> Result<(String, String), CommandError> {
    let failed = |e: std::io::Error| CommandError::new("load", format!("a request failed: {e}"));
    stream.write_all(request).map_err(failed)?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let count = stream.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            return Ok((head.to_owned(), body.to_owned()));
        }
    }
}

/// The value of a header.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn unexpected(what: &str, head: &str) -> CommandError {
    CommandError::new(
        "server",
        format!("{what} was answered with {}", head.lines().next().unwrap_or_default()),
    )
}

struct SignIn<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    bare: Bare,
    /// The huge partner's admin.
    token: String,
}

impl SignIn<'_> {
    fn connect(&self) -> Result<TcpStream, CommandError> {
        let failed = |e: std::io::Error| CommandError::new("load", format!("cannot connect: {e}"));
        let stream = TcpStream::connect(self.server.address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(load::TIMEOUT)).map_err(failed)?;
        Ok(stream)
    }

    /// The token of the sign-in form, and the cookie that it is tied to.
    fn form(&self) -> Result<(String, String), CommandError> {
        let (head, page) = ask(&mut self.connect()?, &get("/sign-in", ""))?;
        let token = page.split_once("name=\"token\" value=\"").and_then(|(_, rest)| rest.split('"').next());
        let cookie = header(&head, "set-cookie").and_then(|cookie| cookie.split(';').next());
        match (token, cookie) {
            (Some(token), Some(cookie)) => Ok((token.to_owned(), cookie.to_owned())),
            _ => Err(unexpected("the sign-in page", &head)),
        }
    }

    /// Signs in; the cookie of the session.
    fn session(&self) -> Result<String, CommandError> {
        let (token, cookie) = self.form()?;
        let (head, _) = ask(&mut self.connect()?, &sign_in_form(&token, &cookie))?;
        let cookies = head.lines().filter_map(|line| line.split_once(':'));
        let cookies = cookies.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        // Of those that are set, the one of the session; others are removed.
        let set = cookies.filter_map(|(_, set)| set.trim().split(';').next());
        let session = set.filter(|pair| !pair.ends_with('=')).max_by_key(|pair| pair.len());
        session.map(str::to_owned).ok_or_else(|| unexpected("a sign-in", &head))
    }

    /// Registers a client whose ID tokens are signed with this algorithm.
    fn client(&self, alg: &str) -> Result<Client, CommandError> {
        let body = json!({
            "name": format!("bench {alg}"), "kind": "public", "redirectUris": [REDIRECT],
            "grants": ["authorization_code", "refresh_token"],
            "scopes": ["openid", "email", "offline_access"], "idTokenAlg": alg, "requireConsent": false,
        });
        let mut request = Vec::new();
        rows::post(&mut request, &self.token, "/api/v1/clients", &body.to_string());
        let (head, body) = ask(&mut self.connect()?, &request)?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let id = body.get("clientId").and_then(Value::as_str);
        id.map(|id| Client { id: id.to_owned() }).ok_or_else(|| unexpected("a new client", &head))
    }

    /// So many codes of this client.
    fn codes(&self, client: &Client, cookie: &str, count: usize) -> Result<VecDeque<Vec<u8>>, CommandError> {
        let (mut stream, request) =
            (self.connect()?, get(&client.authorize(), &format!("cookie: {cookie}\r\n")));
        let mut all = VecDeque::with_capacity(count);
        for _ in 0..count {
            self.bench.stop.check()?;
            let (head, _) = ask(&mut stream, &request)?;
            let to = header(&head, "location").unwrap_or_default();
            let code = to.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
            let code = code.ok_or_else(|| unexpected("an authorization request", &head))?;
            all.push_back(client.exchange(code));
        }
        Ok(all)
    }

    /// Exchanges a code; the access token.
    fn exchange_once(&self, client: &Client, cookie: &str) -> Result<String, CommandError> {
        let request = self.codes(client, cookie, 1)?.pop_front().unwrap_or_default();
        let (head, body) = ask(&mut self.connect()?, &request)?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let token = body.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| unexpected("a code", &head))
    }

    /// Waits until there is a key to sign the ID tokens of this client with.
    fn wait_for_key(&self, client: &Client, cookie: &str) -> Result<(), CommandError> {
        let begun = Instant::now();
        while let Err(refusal) = self.exchange_once(client, cookie) {
            if begun.elapsed() > KEY {
                return Err(refusal);
            }
            self.bench.pause(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn load(&self, connections: usize, time: Duration, status: u16) -> Load {
        let is_awake = connections > 1 && self.bench.cores.is_some();
        Load { address: self.server.address, connections, time, status, may_refuse: false, is_awake }
    }

    fn bare_rate(&self, time: Duration) -> Result<f64, CommandError> {
        let load = Load { address: self.bare.address, ..self.load(self.bench.connections, time, 200) };
        Ok(load::run(&load, &mut rows::ask_bare(&self.token), self.bench.stop)?.per_second())
    }

    /// The same request again and again, in slices that alternate with the bare endpoint.
    fn against_bare(
        &self,
        id: &'static str,
        title: &str,
        status: u16,
        request: &[u8],
    ) -> Result<ReportRow, CommandError> {
        let (bench, slice) = (self.bench, self.bench.time / TURNS);
        let mut ask = |out: &mut Vec<u8>| out.extend_from_slice(request);
        let (mut all, mut ratios) = (Sample::default(), Vec::new());
        load::run(&self.load(bench.connections, slice, status), &mut ask, bench.stop)?;
        for _ in 0..TURNS {
            let bare = self.bare_rate(slice / 4)?;
            let load = self.load(bench.connections, slice * 3 / 4, status);
            let sample = load::run(&load, &mut ask, bench.stop)?;
            ratios.push(sample.per_second() / bare.max(1e-9));
            all.add(sample);
        }
        let alone = load::run(&self.load(1, bench.time / 4, status), &mut ask, bench.stop)?;
        let mut row = ReportRow::of(id, title.to_owned(), &all);
        row.failed += alone.failed;
        row.alone = Some(alone.percentiles(SHARES));
        row.ratio = Some((middle(ratios), "bare"));
        row.memory = Some((self.server.memory(), self.server.memory().own));
        Ok(row)
    }

    /// Exchanges of codes, which are made before each slice.
    fn exchanges(
        &self,
        id: &'static str,
        title: &str,
        client: &Client,
        cookie: &str,
        baseline: Baseline,
    ) -> Result<ReportRow, CommandError> {
        self.prepared((id, title), 200, baseline, |count| self.codes(client, cookie, count))
    }

    /// Sign-ins with a passkey. The answers to the pages are made before each slice.
    fn passkeys(&self) -> Result<ReportRow, CommandError> {
        let passkey = self.add_passkey()?;
        let id = ("sign-in-passkey", "sign in with a passkey, ES256");
        self.prepared(id, 303, Baseline::Bare, |count| self.answers(&passkey, count))
    }

    /// Adds a passkey to the account of a person who has just signed in.
    fn add_passkey(&self) -> Result<Passkey, CommandError> {
        let cookie = self.session()?;
        let (head, page) =
            ask(&mut self.connect()?, &get("/account/passkeys", &format!("cookie: {cookie}\r\n")))?;
        let form = PasskeyForm::on(&page, "data-passkey-create");
        let form = form.ok_or_else(|| unexpected("the page of passkeys", &head))?;
        let (passkey, credential) = Passkey::create(&form.options, &form.origin)?;
        let body = format!(
            "token={}&userHandle={}&name=bench&credential={}",
            rows::encoded(&form.token),
            rows::encoded(passkey.user_handle()),
            rows::encoded(&credential)
        );
        let (head, _) = ask(&mut self.connect()?, &posted("/account/passkeys", &cookie, &body))?;
        if head.starts_with("HTTP/1.1 200") { Ok(passkey) } else { Err(unexpected("a new passkey", &head)) }
    }

    /// So many answers to sign-in pages.
    fn answers(&self, passkey: &Passkey, count: usize) -> Result<VecDeque<Vec<u8>>, CommandError> {
        let ((_, cookie), mut stream) = (self.form()?, self.connect()?);
        let request = get("/sign-in", &format!("cookie: {cookie}\r\n"));
        let mut all = VecDeque::with_capacity(count);
        for _ in 0..count {
            self.bench.stop.check()?;
            let (head, page) = ask(&mut stream, &request)?;
            let form = PasskeyForm::on(&page, "data-passkey-get");
            let form = form.ok_or_else(|| unexpected("the sign-in page", &head))?;
            let credential = passkey.get(&form.options, &form.origin)?;
            let (token, credential) = (rows::encoded(&form.token), rows::encoded(&credential));
            all.push_back(posted(
                "/sign-in/passkey",
                &cookie,
                &format!("token={token}&credential={credential}"),
            ));
        }
        Ok(all)
    }

    /// Requests that are good once, and made before each slice.
    fn prepared(
        &self,
        (id, title): (&'static str, &str),
        status: u16,
        baseline: Baseline,
        prepare: impl Fn(usize) -> Result<VecDeque<Vec<u8>>, CommandError>,
    ) -> Result<ReportRow, CommandError> {
        let (bench, slice) = (self.bench, self.bench.time / TURNS);
        let (mut all, mut ratios, mut per_second) = (Sample::default(), Vec::new(), 1_000.0);
        // The first slice only tells how many requests a slice needs.
        for turn in 0..=TURNS {
            let other = match baseline {
                Baseline::Bare => self.bare_rate(slice / 4)?,
                Baseline::RsaSignatures => {
                    on_server_core(bench.cores, async { sign_in_a_loop(slice / 4, bench.stop) })?
                }
            };
            let time = if turn == 0 { slice / 8 } else { slice * 3 / 4 };
            let count = (per_second * time.as_secs_f64() * 2.0) as usize + 2 * bench.connections;
            let mut requests = prepare(count)?;
            let mut ask = |out: &mut Vec<u8>| out.extend(requests.pop_front().unwrap_or_default());
            let sample = load::run(&self.load(bench.connections, time, status), &mut ask, bench.stop)?;
            per_second = sample.per_second().max(per_second);
            if turn > 0 {
                ratios.push(sample.per_second() / other.max(1e-9));
                all.add(sample);
            }
        }
        let mut row = ReportRow::of(id, title.to_owned(), &all);
        row.ratio = Some((middle(ratios), baseline.name()));
        row.memory = Some((self.server.memory(), self.server.memory().own));
        Ok(row)
    }

    /// Sign-ins with a password, and their effect on a client that reads.
    fn passwords(&mut self) -> Result<[ReportRow; 2], CommandError> {
        let (token, cookie) = self.form()?;
        let request = sign_in_form(&token, &cookie);
        let (bench, slice) = (self.bench, self.bench.time * 2 / TURNS);
        let mut ask = |out: &mut Vec<u8>| out.extend_from_slice(&request);
        let (mut all, mut ratios) = (Sample::default(), Vec::new());
        let load = |time| Load { is_awake: false, ..self.load(LOGINS, time, 303) };
        for _ in 0..TURNS / 2 {
            let hashes = on_server_core(bench.cores, seed::hash_in_a_loop(slice / 4, bench.stop))?;
            let sample = load::run(&load(slice * 3 / 4), &mut ask, bench.stop)?;
            ratios.push(sample.per_second() / hashes.max(1e-9));
            all.add(sample);
        }
        let mut alone = ReportRow::of("sign-in", "sign in with a password on the page".into(), &all);
        alone.ratio = Some((middle(ratios), "argon2"));
        let (load, stop, request) = (load(bench.time), bench.stop.clone(), request.clone());
        let signing_in = std::thread::spawn(move || {
            let mut ask = |out: &mut Vec<u8>| out.extend_from_slice(&request);
            load::run(&load, &mut ask, &stop)
        });
        let mut get = rows::ask_user(&self.token, bench.seeded, bench.seeded.users);
        let reads = bench
            .pause(bench.time / 4)
            .and_then(|()| load::run(&self.load(1, bench.time / 2, 200), &mut get, bench.stop));
        let beside =
            signing_in.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
        let title = format!("GET one user with one connection, beside {LOGINS} people who sign in");
        let mut row = ReportRow::of("get-beside-sign-ins", title, &reads?);
        (row.alone, row.latencies) = (row.latencies, None);
        row.failed += beside.failed;
        Ok([alone, row])
    }
}

/// RSA signatures per second, as those of ID tokens: 2,048 bits, PKCS#1, SHA-256.
fn sign_in_a_loop(time: Duration, stop: &Stop) -> Result<f64, CommandError> {
    let failed = |_| CommandError::new("internal", "the cryptographic library failed");
    static KEY: std::sync::OnceLock<KeyPair> = std::sync::OnceLock::new();
    let key = match KEY.get() {
        Some(key) => key,
        None => {
            let made = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            KEY.get_or_init(|| made)
        }
    };
    let (random, mut signature) = (SystemRandom::new(), vec![0; key.public_modulus_len()]);
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < time {
        stop.check()?;
        key.sign(&RSA_PKCS1_SHA256, &random, &[b'x'; 600], &mut signature).map_err(failed)?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
