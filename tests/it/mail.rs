//! Mails: through a real SMTP server (aiosmtpd) and as files, and what becomes of them when the server refuses.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use tenantry::app::App;
use tenantry::config::Config;
use tenantry_core::clock::{Clock, HOUR, MINUTE, SECOND};
use tenantry_core::languages::Language;
use tenantry_core::model::{PartnerId, Profile, Status};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_domain::unit;
use tenantry_domain::users::{self, NewUser};
use tenantry_mail::{Mailer, Sender, Smtp, SmtpOptions};
use tenantry_passwords::HashCost;
use tenantry_store::access::Operator;
use tenantry_worker::Delivered;

use crate::binary::{GIVEN, Home, Process, TIMEOUT, password_in};
use crate::fixtures::with;
use crate::harness::{T, new_user, password_of};

/// The interpreter that has aiosmtpd.
pub fn python() -> PathBuf {
    let given = std::env::var_os("TENANTRY_TEST_PYTHON").map(PathBuf::from);
    let made = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-python/bin/python"));
    let python = given.unwrap_or(made);
    assert!(
        python.exists(),
        "there is no {}: run scripts/test, which installs aiosmtpd for this test",
        python.display()
    );
    python
}

/// An SMTP server in a process of its own. Killed by its id when dropped.
pub struct SmtpServer {
    child: Child,
    commands: ChildStdin,
    told: Receiver<Value>,
    pub port: u16,
}

impl SmtpServer {
    /// One to which nobody can connect yet.
    fn down() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smtp_server.py");
        let mut command = Command::new(python());
        command.arg("-u").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut server = Self { child, commands, told, port: 0 };
        server.port = server.next()["port"].as_u64().unwrap().try_into().unwrap();
        server
    }

    pub fn up() -> Self {
        let mut server = Self::down();
        server.rise();
        server
    }

    fn rise(&mut self) {
        self.say("up");
        assert_eq!(self.next(), json!({ "up": true }));
    }

    fn say(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }

    fn next(&self) -> Value {
        self.told.recv_timeout(TIMEOUT).unwrap_or_else(|e| panic!("the SMTP server says nothing: {e}"))
    }

    /// The messages since the last look.
    fn messages(&mut self) -> Vec<Value> {
        self.say("mark");
        let mut messages = Vec::new();
        loop {
            let told = self.next();
            if told["mark"] == true {
                return messages;
            }
            messages.push(told);
        }
    }

    fn mailer(&self) -> Mailer {
        let sender = Sender::new("Example Users <users@example.com>", "https://users.example.com").unwrap();
        Mailer::Smtp(Smtp::new(SmtpOptions::new(&self.url()), sender).unwrap())
    }

    fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}/tests", self.port)
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text<'m>(message: &'m Value, name: &str) -> &'m str {
    message[name].as_str().unwrap_or_else(|| panic!("no {name}: {message}"))
}

fn done(delivered: usize, failed: usize) -> Delivered {
    Delivered { delivered, failed, ..Delivered::default() }
}

#[tokio::test]
async fn a_new_users_password_arrives_and_works() {
    let (t, mut smtp) = (T::start().await, SmtpServer::up());
    let user = with(
        &new_user("fenna"),
        json!({ "firstName": "Zoë <b>Ünal</b>", "lastName": "O'Neil & \"Søn\" 李" }),
    );
    t.admin().await.create_with(&user).await;
    let sent = tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap();
    assert_eq!(sent, done(1, 0));
    let messages = smtp.messages();
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(message["sender"], "users@example.com");
    assert_eq!(message["recipients"], json!(["fenna@example.com"]));
    let headers = &message["headers"];
    assert_eq!(headers["From"], "Example Users <users@example.com>");
    assert_eq!(headers["Subject"], "Your new account: temporary password");
    assert_eq!(headers["Date"], "Mon, 23 Nov 2026 09:00:00 +0000");
    assert_eq!(headers["Auto-Submitted"], "auto-generated");
    // Whole in the header and the text, harmless in HTML. On the wire all is ASCII.
    let name = "Zoë <b>Ünal</b> O'Neil & \"Søn\" 李";
    assert_eq!(text(message, "name"), name);
    assert!(text(message, "text").starts_with(&format!("Hello {name},")), "{}", text(message, "text"));
    let html = text(message, "html");
    assert!(
        html.contains("Hello Zoë &#60;b&#62;Ünal&#60;/b&#62; O&#39;Neil &#38; &#34;Søn&#34; 李,"),
        "{html}"
    );
    assert!(!html.contains("<b>"), "{html}");
    assert!(text(message, "raw").is_ascii());
    let password = password_in(text(message, "text"));
    t.secret(&password);
    assert!(html.contains(&password));
    let response = t.try_login("fenna", &password).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
    assert_eq!(
        tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap(),
        done(0, 0),
        "it went once"
    );
    assert_eq!(smtp.messages(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_server_that_refuses_and_then_accepts_gets_the_same_message_later() {
    let (t, mut smtp) = (T::start().await, SmtpServer::up());
    t.admin().await.create("fenna").await;
    for response in ["451 4.7.1 greylisted", "drop", "550 5.7.1 no"] {
        smtp.say(&format!("answer {response}"));
    }
    let mailer = smtp.mailer();
    // Refused for now, taken but not confirmed, refused for good: each time a pause, then again.
    let mut seen = Vec::new();
    for pause in [10 * SECOND, 20 * SECOND, 20 * MINUTE] {
        assert_eq!(tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap(), done(0, 1));
        seen.extend(smtp.messages());
        // Not before its time, which is the pause and at most a tenth more.
        t.clock.advance(pause - 1);
        assert_eq!(tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap(), done(0, 0));
        t.clock.advance(pause / 10 + 2);
    }
    assert_eq!(tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap(), done(1, 0));
    seen.extend(smtp.messages());
    let responses: Vec<&str> = seen.iter().map(|message| text(message, "answer")).collect();
    assert_eq!(responses, ["451 4.7.1 greylisted", "drop", "550 5.7.1 no", "250 taken"]);
    let id = text(&seen[0]["headers"], "Message-ID");
    assert!(id.ends_with("@example.com>"), "{id}");
    for message in &seen {
        assert_eq!(message["headers"]["Message-ID"], id);
        assert_eq!(message["raw"], seen[0]["raw"], "the same bytes");
    }
    // Many pauses later the password still is what it was.
    let password = password_in(text(&seen[3], "text"));
    t.try_login("fenna", &password).await.expect(200);
    t.clock.advance(10 * HOUR);
    assert_eq!(tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap(), done(0, 0));
}

#[tokio::test]
async fn a_server_that_is_down_delays_mail_and_nothing_is_lost() {
    let (t, mut smtp) = (T::start().await, SmtpServer::down());
    let admin = t.admin().await;
    for name in ["one", "two", "three"] {
        admin.create(name).await;
    }
    assert_eq!(tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap(), done(0, 3));
    smtp.rise();
    // It is there again, but turns the first connection away.
    smtp.say("greet 421 too busy");
    t.clock.advance(11 * SECOND);
    assert_eq!(tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap(), done(0, 3));
    assert_eq!(smtp.messages(), Vec::<Value>::new());
    t.clock.advance(22 * SECOND);
    assert_eq!(tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap(), done(3, 0));
    let messages = smtp.messages();
    let mut to = Vec::new();
    for message in &messages {
        let name = message["recipients"][0].as_str().unwrap().strip_suffix("@example.com").unwrap();
        t.try_login(name, &password_in(text(message, "text"))).await.expect(200);
        to.push(name);
    }
    to.sort_unstable();
    assert_eq!(to, ["one", "three", "two"]);
}

#[tokio::test]
async fn one_refused_recipient_delays_no_other() {
    let (t, mut smtp) = (T::start().await, SmtpServer::up());
    let admin = t.admin().await;
    for name in ["one", "two", "three"] {
        admin.create(name).await;
    }
    smtp.say("answer 250 taken");
    smtp.say("answer 550 5.1.1 nobody here");
    assert_eq!(tenantry_worker::deliver_due(&t.app, &smtp.mailer()).await.unwrap(), done(2, 1));
    let responses: Vec<String> = smtp.messages().iter().map(|m| text(m, "answer").to_owned()).collect();
    assert_eq!(responses, ["250 taken", "550 5.1.1 nobody here", "250 taken"]);
}

#[tokio::test]
async fn a_message_that_fails_twenty_times_becomes_a_dead_letter_with_an_event() {
    let (t, smtp) = (T::start().await, SmtpServer::down());
    let admin = t.admin().await;
    let user = admin.create("fenna").await;
    let mailer = smtp.mailer();
    for attempt in 1..=20 {
        let sent = tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap();
        let wanted = if attempt < 20 { done(0, 1) } else { Delivered { dead_letters: 1, ..done(0, 0) } };
        assert_eq!(sent, wanted, "attempt {attempt}");
        t.clock.advance(HOUR + HOUR / 10);
    }
    assert_eq!(
        tenantry_worker::deliver_due(&t.app, &mailer).await.unwrap(),
        done(0, 0),
        "not retried for ever"
    );
    let events = t.admin().await.events().await;
    let event = events.last().unwrap();
    // The login of just now comes after it.
    let event = if event["type"] == "session.started" { &events[events.len() - 2] } else { event };
    assert_eq!((text(event, "type"), &event["userId"]), ("mail.set_aside", &user["userId"]), "{events:?}");
}

/// The subjects and recipients of messages.
fn notices(messages: &[Value]) -> Vec<(&str, &str)> {
    messages
        .iter()
        .map(|message| (message["recipients"][0].as_str().unwrap(), text(&message["headers"], "Subject")))
        .collect()
}

#[tokio::test]
async fn mails_are_in_the_language_of_their_reader() {
    let t = T::start().await;
    let admin = t.admin().await;
    let language_of =
        async |name: &str| t.mails_to(&format!("{name}@example.com")).await.last().unwrap().language;
    let mut ids = Vec::new();
    for (name, locale, expected) in [
        ("fenna", Value::Null, Language::En),
        ("gus", json!("nl-BE"), Language::Nl),
        ("hua", json!("zh-CN"), Language::ZhHans),
        ("ivo", json!("zh-TW"), Language::En),
        ("jan", json!("de"), Language::En),
        ("kai", json!("sv"), Language::Sv),
    ] {
        let created = admin.create_with(&with(&new_user(name), json!({ "locale": locale }))).await;
        ids.push(created["userId"].as_i64().unwrap());
        assert_eq!(language_of(name).await, expected, "{name}");
    }
    // A later mail is in the language that is set by then.
    let id = ids[1];
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "locale": "it" })).await.expect(200);
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    assert_eq!(language_of("gus").await, Language::It);
}

#[tokio::test]
async fn the_binary_mails_passwords_and_notices_through_smtp() {
    let (home, mut smtp) = (Home::new(), SmtpServer::up());
    let url = smtp.url();
    let args =
        ["--smtp-url", &url, "--mail-from", "users@example.com", "--public-url", "https://u.example.com"];
    let mut command = crate::binary::tenantry(
        crate::binary::binary(),
        home.path(),
        &[&["serve", "--listen", "127.0.0.1:0"], &args[..4]].concat(),
        &GIVEN,
    );
    command.args(["--sign-in-url", "https://shop.example.com/login?from=mail"]);
    let server = Process::start(&mut command).unwrap();
    assert!(
        server.out().contains(&format!("\nmail: SMTP to 127.0.0.1:{} in clear\n", smtp.port)),
        "{}",
        server.out()
    );
    let admin = server.admin().await;
    let user = admin.create("fenna").await;
    let welcome = smtp.next();
    let temporary = password_in(text(&welcome, "text"));
    let link = "\nSign in: https://shop.example.com/login?from=mail\nUsername: fenna\nPassword: ";
    assert!(text(&welcome, "text").replace('\r', "").contains(link), "{}", text(&welcome, "text"));
    let fenna = server.login("fenna", &temporary).await;
    let body = json!({ "oldPassword": temporary, "newPassword": password_of("fenna") });
    fenna.post("/api/v1/users/self/update-password", &body).await.expect(200);
    let changed = smtp.next();
    assert_eq!(notices(std::slice::from_ref(&changed)), [("fenna@example.com", "Your password was changed")]);
    let own = json!({ "status": "ACTIVE", "firstName": "F", "lastName": "G", "email": "new@example.net" });
    fenna.put("/api/v1/users/self/update", &own).await.expect(200);
    let moved = smtp.next();
    assert_eq!(
        notices(std::slice::from_ref(&moved)),
        [("fenna@example.com", "Your e-mail address was changed")]
    );
    assert!(text(&moved, "text").contains("n***@example.net"));
    home.json("user lock fenna");
    let locked = smtp.next();
    assert_eq!(notices(std::slice::from_ref(&locked))[0].1, "Your account was locked");
    home.json("user unlock fenna");
    let path = format!("/api/v1/users/{}/reset-password", user["userId"]);
    admin.post(&path, &json!({})).await.expect(200);
    let reset = smtp.next();
    let again = password_in(text(&reset, "text"));
    // No notice has a secret.
    for notice in [&changed, &moved, &locked] {
        for secret in [&temporary, &password_of("fenna"), &again] {
            assert!(!text(notice, "raw").contains(secret.as_str()));
        }
        assert!(!text(notice, "text").contains("Password: "));
    }
    server.try_login("fenna", &again).await.expect(200);
    assert!(!home.data().join("mail").exists(), "no mail is a file");
    assert_eq!(server.terminate().code, Some(0));
    assert_eq!(smtp.messages(), Vec::<Value>::new(), "each went once");
}

#[tokio::test]
async fn no_request_waits_for_a_mail_server_that_says_nothing() {
    let home = Home::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", silent.local_addr().unwrap());
    // One thread for all requests: if one waited, all would.
    let server = Process::serve(home.path(), &["--smtp-url", &url, "--worker-threads", "1"], &GIVEN);
    let admin = server.admin().await;
    admin.create("one").await;
    // The server's worker now waits for a greeting on this connection, which never comes.
    let (held, _) = silent.accept().unwrap();
    admin.create("two").await;
    admin.get("/api/v1/users/").await.expect(200);
    server.admin().await;
    home.json("user reset-password two");
    assert_eq!(server.kill().code, None);
    drop(held);
    // None of it is lost: another start, with a mail directory, sends the messages that are still valid.
    let server = home.serve();
    let mails = home.mails(2).await;
    let to = |name: &str| mails.iter().filter(|mail| mail.contains(&format!("Username: {name}\n"))).count();
    assert_eq!((to("one"), to("two")), (1, 1), "of two passwords only the newest is mailed");
    assert_eq!(server.terminate().code, Some(0));
    assert_eq!(home.mail_names().len(), 2);
}

#[tokio::test]
async fn a_server_killed_while_it_delivers_loses_no_mail() {
    const USERS: usize = 120;
    let (home, mut smtp) = (Home::new(), SmtpServer::up());
    // Commands only queue: all messages are due when the server starts.
    assert_eq!(home.serve().terminate().code, Some(0));
    let by = Operator::of_this_machine();
    {
        let config = Config::for_tests(&home.data());
        let app = App::assemble(config, Clock::system(), Random::system(), HashCost::FOR_TESTS).unwrap();
        let admin = by.as_admin_of(PartnerId(1));
        unit::write_large(&app.store, &admin, move |tx| {
            for n in 0..USERS {
                let new = described(&format!("user{n}"));
                users::create(tx, &new)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    }
    let url = smtp.url();
    let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
    let mut seen: Vec<Value> = (0..70).map(|_| smtp.next()).collect();
    assert_eq!(server.kill().code, None);
    seen.extend(smtp.messages());
    assert!(seen.len() < USERS, "it was killed in the middle");
    let server = Process::serve(home.path(), &["--smtp-url", &url], &GIVEN);
    let to = |message: &Value| message["recipients"][0].as_str().unwrap().to_owned();
    let mut people: BTreeSet<String> = seen.iter().map(to).collect();
    while people.len() < USERS {
        let message = smtp.next();
        people.insert(to(&message));
        seen.push(message);
    }
    assert_eq!(server.terminate().code, Some(0));
    seen.extend(smtp.messages());
    // What came twice has the same id and password, so mailboxes can tell; it is at most one batch.
    let id = |message: &Value| text(&message["headers"], "Message-ID").to_owned();
    let messages: BTreeSet<_> = seen.iter().map(|m| (to(m), id(m), password_in(text(m, "text")))).collect();
    assert_eq!(messages.len(), USERS);
    assert_eq!(seen.iter().map(id).collect::<BTreeSet<_>>().len(), USERS);
    assert!(seen.len() <= USERS + 50, "{} messages", seen.len());
}

/// An ACTIVE user of this name, as the rules take one.
fn described(username: &str) -> NewUser {
    NewUser {
        profile: Profile {
            first_name: String::from("Fenna"),
            last_name: String::from("Jansen"),
            email: format!("{username}@example.com"),
            ..Profile::default()
        },
        username: values::username(username).unwrap(),
        status: Status::Active,
        groups: Vec::new(),
        is_admin: false,
    }
}

#[tokio::test]
async fn without_a_mail_server_each_mail_is_a_file() {
    let home = Home::new();
    let server = home.serve();
    assert!(server.out().ends_with("\nmail: files in ./tenantry-data/mail\n"));
    let admin = server.admin().await;
    let body = with(&new_user("fenna"), json!({ "firstName": "Zoë", "lastName": "<i>李</i>" }));
    admin.create_with(&body).await;
    let mail = home.mails(1).await.remove(0);
    let names = home.mail_names();
    let [name] = &names[..] else { panic!("{names:?}") };
    // 20261123T055959.123Z-1.eml
    let (time, rest) = name.split_once("Z-").unwrap();
    assert!(time.len() == 19 && time.as_bytes()[8] == b'T', "{name}");
    assert!(time.chars().all(|c| c.is_ascii_digit() || matches!(c, 'T' | '.')), "{name}");
    assert_eq!(rest, "1.eml");
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.data().join("mail")), 0o700);
    assert_eq!(mode(home.data().join("mail").join(name)), 0o600);
    assert!(mail.contains("\nTo: =?utf-8?b?") && mail.is_ascii(), "{mail}");
    assert!(mail.contains("&#60;i&#62;") && mail.matches("<i>").count() == 1, "{mail}");
    server.login("fenna", &password_in(&mail)).await;
    // The outbox is the one place where the password stood in clear, and it stands there no more.
    let database = rusqlite::Connection::open(home.data().join("tenantry.db")).unwrap();
    let left: i64 =
        database.query_row("SELECT count(*) FROM outbox WHERE letter IS NOT NULL", [], |r| r.get(0)).unwrap();
    drop(database);
    assert!(left <= 1, "at most the message that is being marked");
    assert_eq!(server.terminate().code, Some(0));
    let database = std::fs::read(home.data().join("tenantry.db")).unwrap();
    let password = password_in(&mail);
    assert!(!database.windows(password.len()).any(|part| part == password.as_bytes()));
}
