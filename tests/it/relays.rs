//! Mail relays as they are: private authorities, late greetings, names in EHLO, tokens, and what they refuse; through
//! `tenantry mail test` and the server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::binary::{Ended, GIVEN, Home, Process, TIMEOUT, command, password_in};
use crate::databases::Database;
use crate::mail::python;

/// A relay with tricks (relay.py). Killed by its id when dropped.
struct Relay {
    child: Child,
    commands: ChildStdin,
    told: Receiver<Value>,
    port: u64,
}

impl Relay {
    fn start(args: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/relay.py");
        let mut command = Command::new(python());
        command.arg("-u").arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut relay = Self { child, commands, told, port: 0 };
        relay.port = relay.next()["port"].as_u64().unwrap();
        relay
    }

    /// `smtp://127.0.0.1:1234` with this behind it, or with a user in it.
    fn url(&self, scheme: &str, behind: &str) -> String {
        format!("{scheme}127.0.0.1:{}{behind}", self.port)
    }

    fn say(&mut self, line: &str) {
        writeln!(self.commands, "{line}").unwrap();
    }

    fn next(&self) -> Value {
        self.told.recv_timeout(TIMEOUT).unwrap_or_else(|e| panic!("the relay says nothing: {e}"))
    }

    /// What it tells until it tells something with this key, which is last.
    fn until(&self, key: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if !all.last().unwrap()[key].is_null() {
                return all;
            }
        }
    }

    /// The next message that it accepts.
    fn message(&self) -> String {
        self.until("message").pop().unwrap()["message"].as_str().unwrap().to_owned()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Certificates, made for a test.
struct Certificates(PathBuf);

impl Certificates {
    /// An authority `ca.pem`, a certificate of it for 127.0.0.1 `srv.pem` and for another name `other.pem`, and a self-signed
    /// one for 127.0.0.1 `self.pem`, each with its key.
    fn new(home: &Home) -> Self {
        let made = Self(home.path().join("tls"));
        std::fs::create_dir(&made.0).unwrap();
        made.openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=Private -addext \
             basicConstraints=critical,CA:TRUE",
        );
        for (name, of) in [("srv", "IP:127.0.0.1,DNS:localhost"), ("other", "DNS:mail.example.com")] {
            made.openssl(&format!(
                "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN=relay"
            ));
            std::fs::write(made.0.join("ext"), format!("subjectAltName={of}\n")).unwrap();
            made.openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
            ));
        }
        // As Debian makes one for Postfix.
        made.openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout self.key -out self.pem -subj /CN=relay -addext \
             subjectAltName=IP:127.0.0.1",
        );
        made
    }

    fn openssl(&self, line: &str) {
        let done = Command::new("openssl").args(line.split_whitespace()).current_dir(&self.0).output();
        let done = done.unwrap_or_else(|e| panic!("cannot run openssl, which scripts/test installs: {e}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A relay with this certificate.
    fn relay(&self, name: &str, more: &[&str]) -> Relay {
        let (cert, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        Relay::start(&[&["--cert", &cert, "--key", &key], more].concat())
    }
}

/// `tenantry mail test`.
fn mail_test(home: &Home, url: &str, args: &[&str]) -> Ended {
    let command_line = ["mail", "test", "ada@example.org", "--smtp-url", url];
    command(home.path(), &[&command_line, args].concat())
}

#[track_caller]
fn assert_accepted(ended: &Ended, parts: &[&str]) {
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    for part in parts.iter().chain(&["the relay has accepted the test mail to ada@example.org"]) {
        assert!(ended.out.contains(part), "{part:?} is not in {}", ended.out);
    }
}

#[track_caller]
fn assert_failed(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    for part in parts.iter().chain(&["tenantry: the test mail to ada@example.org was not sent: "]) {
        assert!(ended.err.contains(part), "{part:?} is not in {}", ended.err);
    }
}

#[tokio::test]
async fn a_relay_with_a_private_authority_is_trusted_by_its_file() {
    let home = Home::new();
    let tls = Certificates::new(&home);
    let ca = tls.path("ca.pem");
    for (wrapped, scheme, behind) in [(true, "smtps://", ""), (false, "smtp://", "?tls=required")] {
        let more: &[&str] = if wrapped { &["--wrapped"] } else { &[] };
        let relay = tls.relay("srv", more);
        let url = relay.url(scheme, behind);
        let hint = "signed by an authority that is not trusted; set smtp-ca-file to a PEM file";
        assert_failed(&mail_test(&home, &url, &[]), &["UnknownIssuer", hint]);
        let accepted = mail_test(&home, &url, &["--smtp-ca-file", &ca]);
        assert_accepted(&accepted, &["TLS 1.3 with TLS13_", "the certificate is valid", &ca]);
        assert!(relay.message().contains("This is a test of mail delivery."));
        // And the server.
        let server = Process::serve(home.path(), &["--smtp-url", &url, "--smtp-ca-file", &ca], &GIVEN);
        server.admin().await.create(if wrapped { "fenna" } else { "gus" }).await;
        assert!(relay.message().contains("Your new account"));
        assert_eq!(server.terminate().code, Some(0));

        // For another name; `localhost` is in the certificate as well.
        let relay = tls.relay("other", more);
        let told = mail_test(&home, &relay.url(scheme, behind), &["--smtp-ca-file", &ca]);
        assert_failed(&told, &["not for 127.0.0.1, but for", "mail.example.com", "use a name that is in"]);
        // A self-signed certificate is its own authority.
        let relay = tls.relay("self", more);
        let url = relay.url(scheme, behind);
        assert_eq!(mail_test(&home, &url, &["--smtp-ca-file", &ca]).code, Some(1));
        let own = tls.path("self.pem");
        assert_accepted(&mail_test(&home, &url, &["--smtp-ca-file", &own]), &["the certificate is valid"]);
    }
    // At the start the file is named.
    std::fs::write(home.path().join("empty.pem"), "no certificate\n").unwrap();
    for file in ["/no/such/ca.pem", "empty.pem"] {
        let args = ["--smtp-url", "smtps://127.0.0.1:1", "--smtp-ca-file", file];
        let said = home.refused(&args, &GIVEN).refused(1);
        assert!(said.contains(&format!("smtp-ca-file: {file} contains no readable certificates")), "{said}");
    }
}

#[test]
fn opportunistic_tls_takes_any_certificate_or_none() {
    let home = Home::new();
    let tls = Certificates::new(&home);
    let test = |relay: &Relay| mail_test(&home, &relay.url("smtp://", "?tls=opportunistic"), &[]);
    for name in ["self", "srv", "other"] {
        let relay = tls.relay(name, &[]);
        assert_accepted(&test(&relay), &["TLS 1.3", "not verified, as tls=opportunistic allows"]);
        assert!(relay.message().contains("This is a test"));
    }
    // No TLS there, none at present, and a broken one.
    let accepted = test(&Relay::start(&[]));
    assert!(accepted.code == Some(0) && !accepted.out.contains("STARTTLS\n"), "{}", accepted.out);
    let relay = tls.relay("self", &["--say", "starttls=454 4.7.0 TLS not available"]);
    assert_accepted(&test(&relay), &["> STARTTLS", "454 4.7.0", "in clear, as tls=opportunistic allows"]);
    let relay = tls.relay("self", &["--say", "handshake=broken"]);
    assert_accepted(&test(&relay), &["once more in clear, as tls=opportunistic allows"]);
    // Required TLS is never without.
    let required = |relay: &Relay| mail_test(&home, &relay.url("smtp://", "?tls=required"), &[]);
    assert_failed(&required(&tls.relay("self", &[])), &["is not trusted", "smtp-ca-file"]);
    assert_failed(&required(&Relay::start(&[])), &["does not offer STARTTLS, and smtp-url has tls=required"]);
    let relay = tls.relay("self", &["--say", "starttls=454 4.7.0 TLS not available"]);
    assert_failed(&required(&relay), &["refused STARTTLS: 454 4.7.0 TLS not available"]);
}

#[tokio::test]
async fn a_relay_may_take_its_time_with_each_answer() {
    for phase in ["greet", "ehlo", "mail", "rcpt", "data", "end"] {
        let (home, mut relay) = (Home::new(), Relay::start(&["--hold", phase]));
        let url = relay.url("smtp://", "");
        let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
        let admin = server.admin().await;
        admin.create("fenna").await;
        // The server waits for the relay, and nobody waits for the server.
        admin.create("gus").await;
        relay.say("go");
        for name in ["fenna", "gus"] {
            let password = password_in(&relay.message().replace("\r\n", "\n"));
            server.try_login(name, &password).await.expect(200);
        }
        assert_eq!(server.terminate().code, Some(0));
    }
}

/// A relay may take minutes, a stop may not.
#[tokio::test]
async fn a_stop_does_not_wait_for_a_relay_that_says_nothing() {
    for (phase, last_words) in [("greet", ""), ("rcpt", "RCPT TO:<fenna@example.com>")] {
        let (home, mut relay) = (Home::new(), Relay::start(&["--hold", phase]));
        let url = relay.url("smtp://", "");
        let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
        server.admin().await.create("fenna").await;
        while phase == "rcpt" && relay.next()["c"] != last_words {}
        let ended = server.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(!ended.err.contains("mail was not delivered"), "{}", ended.err);
        // It was no failed attempt: the next start sends it at once.
        relay.say("go");
        let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
        assert!(relay.message().contains("fenna@example.com"));
        assert_eq!(server.terminate().code, Some(0));
    }
}

/// A message that was handed over is waited for: without the response it would be sent twice.
#[tokio::test]
async fn a_stop_waits_for_the_answer_to_a_message() {
    let (home, mut relay) = (Home::new(), Relay::start(&["--hold", "end"]));
    let url = relay.url("smtp://", "");
    let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
    server.admin().await.create("fenna").await;
    // Not only DATA: before its end the message is not handed over.
    relay.until("received");
    server.ask_to_stop();
    relay.say("go");
    assert!(relay.message().contains("fenna@example.com"));
    assert_eq!(server.ended().code, Some(0));
    let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
    server.admin().await.create("gus").await;
    assert!(relay.message().contains("gus@example.com"), "fenna's went once");
    assert_eq!(server.terminate().code, Some(0));
}

#[test]
fn ehlo_says_the_host_of_the_public_url() {
    let home = Home::new();
    let relay = Relay::start(&["--names"]);
    let url = relay.url("smtp://", "");
    let hint = "set public-url to a host with a domain, or smtp-helo to a name that the relay accepts";
    assert_failed(&mail_test(&home, &url, &[]), &["refused the name in EHLO: 504 5.5.2 <localhost>", hint]);
    let local = ["--public-url", "http://127.0.0.1:8080"];
    assert_failed(&mail_test(&home, &url, &local), &["504 5.5.2 <[127.0.0.1]>", hint]);
    for code in ["501", "550", "554"] {
        let relay = Relay::start(&["--names", "--say", &format!("name={code} who are you")]);
        assert_failed(&mail_test(&home, &relay.url("smtp://", ""), &[]), &[code, hint]);
    }
    let public = ["--public-url", "https://users.example.com:8443/iam"];
    assert_accepted(&mail_test(&home, &url, &public), &["> EHLO users.example.com\n"]);
    let other = ["--smtp-helo", "mx.example.net"];
    assert_accepted(&mail_test(&home, &url, &other), &["> EHLO mx.example.net\n"]);
    assert_accepted(&mail_test(&home, &url, &[&public[..], &other].concat()), &["> EHLO mx.example.net\n"]);
    // As other programs have it, at the end of the URL.
    let behind = relay.url("smtp://", "/mx.example.org");
    assert_accepted(&mail_test(&home, &behind, &public), &["> EHLO mx.example.org\n"]);
    let relay = Relay::start(&[]);
    let v6 = ["--public-url", "http://[2001:db8::1]:8080"];
    assert_accepted(&mail_test(&home, &relay.url("smtp://", ""), &v6), &["> EHLO [IPv6:2001:db8::1]\n"]);
    for bad in ["users example", "-a.example", "a..b", "[1.2.3]", "ünal.example"] {
        let said = mail_test(&home, &url, &[&format!("--smtp-helo={bad}")]);
        assert!(said.code == Some(2) && said.err.contains("smtp-helo"), "{bad}: {}", said.err);
    }
}

#[tokio::test]
async fn a_token_is_read_again_for_each_connection_and_never_shown() {
    const OLD: &str = "ya29.old-token-of-the-first-hour";
    const NEW: &str = "ya29.new-token-of-the-second-hour";
    let home = Home::new();
    let tls = Certificates::new(&home);
    let mut relay = tls.relay("srv", &["--auth", "PLAIN XOAUTH2", "--token", OLD]);
    let url = relay.url("smtp://ada%40example.com@", "?tls=required");
    let (ca, file) = (tls.path("ca.pem"), home.path().join("token"));
    let token_file = file.to_str().unwrap().to_owned();
    std::fs::write(&file, format!("{OLD}\n")).unwrap();
    let by_file = ["--smtp-ca-file", &ca, "--smtp-oauth-token-file", &token_file];
    let hidden = |ended: &Ended, token: &str| {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("user=ada@example.com\x01auth=Bearer {token}\x01\x01"),
        );
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains(token) && !text.contains(&encoded), "{text}");
        }
    };
    let done = mail_test(&home, &url, &by_file);
    assert_accepted(&done, &["> AUTH XOAUTH2 [hidden]", "< 235", "ada@example.com, by the token of"]);
    hidden(&done, OLD);
    // A command.
    let print = format!("cat {token_file}");
    let by_command = ["--smtp-ca-file", &ca, "--smtp-oauth-token-command", &print];
    assert_accepted(&mail_test(&home, &url, &by_command), &["by the token of smtp-oauth-token-command"]);
    // The server's, while it expires and is renewed.
    let args = [&["--smtp-url", url.as_str(), "--log", "trace"][..], &by_file].concat();
    let server = Process::serve(home.path(), &args, &GIVEN);
    let admin = server.admin().await;
    admin.create("fenna").await;
    while !relay.message().contains("fenna@example.com") {}
    relay.say(&format!("token {NEW}"));
    relay.until("token");
    // The new one is there before the next mail, for which the file is read again.
    std::fs::write(&file, NEW).unwrap();
    admin.create("gus").await;
    while !relay.message().contains("gus@example.com") {}
    let ended = server.terminate();
    hidden(&ended, NEW);
    hidden(&ended, OLD);

    // An expired one: the challenge is answered, the relay's status told.
    std::fs::write(&file, OLD).unwrap();
    let done = mail_test(&home, &url, &by_file);
    assert_failed(&done, &["535 5.7.8", "status 401", "is it expired", "for this user"]);
    assert!(done.out.contains("> (empty line)"), "{}", done.out);
    hidden(&done, OLD);
    // Renewed while the relay refuses the old one.
    let renewing = format!("cat {token_file}; echo {NEW} > {token_file}");
    let by_command = ["--smtp-ca-file", &ca, "--smtp-oauth-token-command", &renewing];
    let done = mail_test(&home, &url, &by_command);
    assert_accepted(&done, &["the token has been renewed; once more"]);

    // What does not go together is refused at the start.
    for (url, args, what) in [
        ("smtps://ada:pw@127.0.0.1:1", &by_file[2..], "has a password, and smtp-oauth-token-file is set"),
        ("smtps://127.0.0.1:1", &by_file[2..], "is for a user, and smtp-url has none"),
        ("smtp://ada@mail.example.com", &by_file[2..], "requires TLS with a relay that is verified"),
        ("smtp://ada@mail.example.com?tls=opportunistic", &by_command[2..], "requires TLS"),
        ("smtps://ada@127.0.0.1:1", &[], "has a user and no password"),
        ("smtps://ada@127.0.0.1:1", &[by_file[2], by_file[3], by_command[2], by_command[3]], "are both set"),
    ] {
        let said = home.refused(&[&["--smtp-url", url], args].concat(), &GIVEN).refused(1);
        assert!(said.contains(what), "{said}");
    }
    // None there.
    let none = ["--smtp-ca-file", &ca, "--smtp-oauth-token-file", "/no/such/token"];
    assert_failed(&mail_test(&home, &url, &none), &["smtp-oauth-token-file: cannot read /no/such/token"]);
    let none = ["--smtp-ca-file", &ca, "--smtp-oauth-token-command", "echo no token for you >&2; exit 4"];
    assert_failed(&mail_test(&home, &url, &none), &["exit status: 4", "no token for you"]);
    let relay = tls.relay("srv", &["--auth", "PLAIN LOGIN"]);
    let url = relay.url("smtp://ada@", "?tls=required");
    assert_failed(
        &mail_test(&home, &url, &by_file),
        &["offers the authentication PLAIN LOGIN, and not XOAUTH2"],
    );
}

#[test]
fn passwords_are_sent_as_the_relay_asks_and_not_shown() {
    let home = Home::new();
    for (auth, line) in
        [("PLAIN LOGIN", "> AUTH PLAIN [hidden]"), ("LOGIN", "> AUTH LOGIN\n"), ("login", "> [hidden]")]
    {
        let relay = Relay::start(&["--auth", auth]);
        let done = mail_test(&home, &relay.url("smtp://ada:Hush%40Hush@", ""), &[]);
        assert_accepted(&done, &[line, "not verified; use tls=required"]);
        assert!(!done.out.contains("Hush") && !done.out.contains("SHVzaEBIdXNo"), "{}", done.out);
    }
    for (auth, what) in
        [("", "no authentication without TLS: add ?tls=required"), ("GSSAPI", "and not PLAIN or LOGIN")]
    {
        let relay = Relay::start(&["--auth", auth]);
        assert_failed(&mail_test(&home, &relay.url("smtp://ada:hush@", ""), &[]), &[what]);
    }
}

/// Each refusal is named with what to do about it.
#[test]
fn refusals_are_named_with_the_remedy() {
    let home = Home::new();
    let later = "it is tried again later";
    for (says, parts) in [
        ("greet=421 4.3.2 too many connections", ["refused the connection: 421 4.3.2", later]),
        (
            "greet=554 5.7.1 not you",
            ["refused the connection: 554 5.7.1 not you", "does not accept mail from this machine"],
        ),
        ("greet=drop", ["closed the connection and did not greet", "use smtps://"]),
        (
            "ehlo=drop",
            ["closed the connection and did not answer EHLO", "may not know this machine's address"],
        ),
        (
            "greet=HTTP/1.1 400 Bad Request",
            ["does not speak SMTP (it says \"HTTP/1.1 400 Bad Request\")", "check host and port"],
        ),
        ("greet=* OK IMAP4rev1 ready", ["does not speak SMTP", "check host and port in smtp-url"]),
        (
            "mail=530 5.7.0 Must issue a STARTTLS command first",
            ["refused the sender: 530 5.7.0", "add ?tls=required to smtp-url"],
        ),
        (
            "mail=530 5.7.0 Authentication required",
            ["530 5.7.0 Authentication required", "put user and password in smtp-url"],
        ),
        ("mail=550 5.1.0 sender rejected", ["refused the sender: 550 5.1.0", "check mail-from"]),
        ("mail=421 4.7.0 slow down", ["421 4.7.0 slow down", later]),
        ("mail=452 4.3.1 out of space", ["452 4.3.1", "has no room at present"]),
        ("rcpt=451 4.7.1 greylisted", ["refused the recipient: 451 4.7.1 greylisted", later]),
        (
            "rcpt=554 5.7.1 <ada@example.org>: Relay access denied",
            ["Relay access denied", "only after a login"],
        ),
        ("rcpt=552 5.2.2 over quota", ["552 5.2.2 over quota", "the mailbox of the recipient is full"]),
        ("rcpt=drop", ["closed the connection and did not answer RCPT TO", "relay"]),
        ("data=554 5.5.1 no valid recipients", ["refused the message: 554 5.5.1", "relay"]),
        ("end=552 5.3.4 message too big", ["refused the message: 552 5.3.4", "no messages of this size"]),
        ("end=554 5.7.1 spam", ["refused the message: 554 5.7.1 spam", "relay"]),
        ("end=drop", ["closed the connection and did not confirm the message", "relay"]),
    ] {
        let relay = Relay::start(&["--say", says]);
        assert_failed(&mail_test(&home, &relay.url("smtp://", ""), &[]), &parts);
    }
    for (says, parts) in [
        ("auth=535 5.7.8 bad credentials", ["refused the login: 535 5.7.8", "@ is written %40"]),
        ("auth=454 4.7.0 try later", ["refused the login: 454 4.7.0", "cannot check logins at present"]),
        ("auth=538 5.7.11 encryption required", ["538 5.7.11", "add ?tls=required to smtp-url"]),
    ] {
        let relay = Relay::start(&["--say", says, "--auth", "PLAIN"]);
        assert_failed(&mail_test(&home, &relay.url("smtp://ada:hush@", ""), &[]), &parts);
    }
    // A relay of before EHLO.
    let relay = Relay::start(&["--say", "ehlo=502 5.5.1 not implemented"]);
    assert_accepted(&mail_test(&home, &relay.url("smtp://", ""), &[]), &["> HELO localhost"]);
}

#[test]
fn tls_at_the_wrong_port_is_named() {
    let home = Home::new();
    // In clear where TLS is expected.
    let said = mail_test(&home, &Relay::start(&[]).url("smtps://", ""), &[]);
    assert_failed(&said, &["does not answer in TLS", "use smtp:// with ?tls=required"]);
    // TLS where clear is expected: this one sends an alert first, as some do.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"\x15\x03\x03\x00\x02\x02\x0a").unwrap();
        }
    });
    let said = mail_test(&home, &format!("smtp://127.0.0.1:{port}"), &[]);
    assert_failed(&said, &["does not speak SMTP", "it speaks TLS: use smtps://"]);
    // Nobody there, and no such host.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = mail_test(&home, &format!("smtp://127.0.0.1:{port}"), &[]);
    assert_failed(&said, &["nothing listens on 127.0.0.1:", "check host and port in smtp-url"]);
    let said = mail_test(&home, "smtp://relay.invalid", &[]);
    assert_failed(&said, &["relay.invalid has no address", "check the host in smtp-url"]);
}

#[test]
fn without_a_relay_the_test_mail_is_a_file() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let done = command(home.path(), &["mail", "test", "ada@example.org"]).done();
    assert!(done.contains("./tenantry-data/mail") && done.contains("was written to a file"), "{done}");
    let [name] = &home.mail_names()[..] else { panic!("{:?}", home.mail_names()) };
    assert!(home.mail(name).contains("Subject: Test of mail delivery"));
    let said = command(home.path(), &["mail", "test", "nobody"]);
    assert_failed(
        &Ended { err: said.err.replace("nobody was", "ada@example.org was"), ..said },
        &["the recipient's address cannot be used"],
    );
}

/// A command only queues mail; the server sends it at once, and not at its next look a minute later.
#[tokio::test]
async fn mail_of_a_command_is_sent_at_once() {
    let (home, relay, database) = (Home::new(), Relay::start(&[]), Database::blank());
    let (url, database_url) = (relay.url("smtp://", ""), database.url());
    let mut env = vec![GIVEN[0]];
    env.extend(database_url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
    let server = Process::serve(home.path(), &["--smtp-url", &url], &env);
    // Its worker sleeps now: it has nothing to do, and its first mail is out.
    server.admin().await.create("fenna").await;
    relay.message();
    for (line, subject) in [
        (
            "partner create --name Other --admin-username olga --admin-email olga@example.net",
            "olga@example.net",
        ),
        ("user reset-password fenna", "fenna@example.com"),
        (
            "user create --partner 1 --username gus --email gus@example.com --first-name G --last-name G",
            "gus@example.com",
        ),
    ] {
        let mut args: Vec<&str> = line.split(' ').collect();
        if let Some(url) = &database_url {
            args.extend(["--database-url", url.as_str()]);
        }
        let done = command(home.path(), &args);
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(relay.message().contains(subject));
    }
    assert_eq!(server.terminate().code, Some(0));
}
