use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;
use crate::{Mailer, testing};

/// What a server received, one entry per line, the message as one.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that answers each command with what `answer` says, or closes the connection.
fn server(answer: fn(&str) -> Option<&'static str>) -> (u16, Heard) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let sink = heard.clone();
    // ends with the test process
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), answer, &sink);
        }
    });
    (port, heard)
}

fn serve(stream: TcpStream, answer: fn(&str) -> Option<&'static str>, heard: &Heard) {
    let mut to = stream.try_clone().unwrap();
    let hear = |what: &str| heard.lock().unwrap().push(what.to_owned());
    hear("(connected)");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut say = |what: &str| to.write_all(format!("{what}\r\n").as_bytes()).is_ok();
    say("220 here");
    while let Some(line) = lines.next() {
        hear(&line);
        let Some(reply) = answer(&line) else { return };
        say(reply);
        if reply.starts_with("354") {
            let message: Vec<String> = lines.by_ref().take_while(|l| l != ".").collect();
            hear(&message.join("\r\n"));
            let Some(reply) = answer("(message)") else { return };
            say(reply);
        }
    }
}

fn kind(line: &str) -> Option<&'static str> {
    Some(match line.split([' ', ':']).next() {
        Some("EHLO") => "250 here",
        Some("DATA") => "354 go on",
        Some("QUIT") => "221 bye",
        _ => "250 ok",
    })
}

fn of_url(url: &str) -> Result<Smtp, String> {
    Smtp::new(SmtpOptions::new(url), testing::sender())
}

fn smtp(port: u16) -> Smtp {
    of_url(&format!("smtp://127.0.0.1:{port}")).unwrap()
}

/// One result for each mail.
fn send(smtp: &Smtp, mails: &[Email]) -> Vec<Result<(), SendError>> {
    smtp.send_batch(mails, testing::later(), &Stop::default())
}

fn count(heard: &Heard, what: &str) -> usize {
    heard.lock().unwrap().iter().filter(|l| l.starts_with(what)).count()
}

#[test]
fn a_batch_goes_over_one_connection() {
    let (port, heard) = server(kind);
    let all = testing::one_of_each();
    let mailer = Mailer::Smtp(smtp(port));
    assert!(mailer.send_batch(&all, testing::later(), &Stop::default()).iter().all(Result::is_ok));
    assert_eq!(count(&heard, "(connected)"), 1);
    assert_eq!(count(&heard, "MAIL FROM:<noreply@example.com>"), all.len());
    assert_eq!(count(&heard, "RCPT TO:<ada@example.org>"), all.len());
    assert_eq!(count(&heard, "EHLO users.example.com"), 1);
    // Nobody waits for the reply to it.
    let deadline = Instant::now() + Duration::from_secs(10);
    while count(&heard, "QUIT") == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(count(&heard, "QUIT"), 1);
    let messages: Vec<String> =
        heard.lock().unwrap().iter().filter(|l| l.starts_with("From:")).cloned().collect();
    assert_eq!(messages.len(), all.len());
    let read = testing::read(messages[0].replace("\r\n..", "\r\n.").as_bytes());
    assert_eq!(read.header("Message-ID"), "<42.1795413599123@example.com>");
    assert!(read.text.lines().any(|l| l == format!("Password: {}", testing::PASSWORD)));
    assert_eq!(mailer.send(&all[0]), Ok(()));
    assert_eq!(count(&heard, "(connected)"), 2);
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let (port, heard) = server(|line| match line {
        "RCPT TO:<gone@example.org>" => Some("550 5.1.1 no such mailbox"),
        "RCPT TO:<full@example.org>" => Some("452 4.2.2 mailbox full"),
        line => kind(line),
    });
    let mut all = testing::one_of_each();
    all[1].to.address = String::from("gone@example.org");
    all[2].to.address = String::from("full@example.org");
    all[3].to.address = String::from("nowhere");
    let sent = send(&smtp(port), &all);
    let gone = sent[1].clone().unwrap_err();
    assert!(gone.permanent && gone.what.contains("550") && gone.what.contains("no such mailbox"), "{gone}");
    let full = sent[2].clone().unwrap_err();
    assert!(!full.permanent && full.what.contains("452"), "{full}");
    assert!(sent[3].clone().unwrap_err().permanent);
    assert_eq!(sent.iter().filter(|s| s.is_ok()).count(), all.len() - 3);
    assert_eq!((count(&heard, "(connected)"), count(&heard, "RSET")), (1, 2));
}

#[test]
fn a_refused_message_says_so_without_the_password() {
    let (port, _) = server(|line| match line {
        "(message)" => Some("554 looks like Kx7=3D&dot.=x<Zz9 to us"),
        line => kind(line),
    });
    let error = Mailer::Smtp(smtp(port)).send(&testing::password("Ada")).unwrap_err();
    assert!(error.permanent && error.what.contains("looks like [redacted] to us"), "{error}");
}

#[test]
fn a_refused_sender_is_not_an_error_of_the_message() {
    let (port, _) =
        server(|line| if line.starts_with("MAIL") { Some("550 who are you") } else { kind(line) });
    assert!(!Mailer::Smtp(smtp(port)).send(&testing::password("Ada")).unwrap_err().permanent);
    let (port, heard) = server(|line| {
        if line.starts_with("EHLO") {
            Some("250-here\r\n250 AUTH PLAIN")
        } else if line.starts_with("AUTH") {
            Some("535 no")
        } else {
            kind(line)
        }
    });
    let url = format!("smtp://me:s%3Ccret@127.0.0.1:{port}");
    let smtp = of_url(&url).unwrap();
    let sent = send(&smtp, &testing::one_of_each());
    assert!(sent.iter().all(|s| s.as_ref().is_err_and(|e| !e.permanent && e.what.contains("535"))));
    assert_eq!((count(&heard, "(connected)"), count(&heard, "AUTH PLAIN AG1lAHM8Y3JldA==")), (1, 1));
    assert!(!format!("{smtp:?}").contains("cret"));
}

#[test]
fn a_server_that_hangs_up_delays_the_rest() {
    let (port, heard) = server(|line| if line == "(message)" { None } else { kind(line) });
    let sent = send(&smtp(port), &testing::one_of_each());
    assert!(sent.iter().all(|s| s.as_ref().is_err_and(|e| !e.permanent)), "{sent:?}");
    assert_eq!(count(&heard, "(connected)"), 2);
    let (port, heard) = server(|line| match line {
        "RCPT TO:<bad@example.org>" => None,
        line => kind(line),
    });
    let mut all = testing::one_of_each();
    all[1].to.address = String::from("bad@example.org");
    let sent = send(&smtp(port), &all);
    assert_eq!(sent.iter().filter(|s| s.is_err()).count(), 1);
    assert_eq!(count(&heard, "(connected)"), 2);
}

#[test]
fn a_server_that_is_down_is_tried_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sent = send(&smtp(port), &testing::one_of_each());
    assert!(sent.iter().all(|s| s.as_ref().is_err_and(|e| !e.permanent)), "{sent:?}");
}

#[test]
fn addresses_outside_ascii_need_a_server_that_takes_them() {
    let mut mail = testing::password("Ada");
    mail.to.address = String::from("zoë@example.org");
    let (port, _) = server(kind);
    let error = Mailer::Smtp(smtp(port)).send(&mail).unwrap_err();
    assert!(!error.permanent && error.what.contains("SMTPUTF8"), "{error}");
    let (port, heard) =
        server(
            |line| {
                if line.starts_with("EHLO") { Some("250-8BITMIME\r\n250 SMTPUTF8") } else { kind(line) }
            },
        );
    assert_eq!(Mailer::Smtp(smtp(port)).send(&mail), Ok(()));
    assert_eq!(count(&heard, "MAIL FROM:<noreply@example.com> SMTPUTF8 BODY=8BITMIME"), 1);
}

#[test]
fn urls() {
    let describe = |url: &str| of_url(url).map(|s| s.describe());
    assert_eq!(describe("smtps://mail.example.com").unwrap(), "SMTP to mail.example.com:465");
    assert_eq!(
        describe("smtp://a:b@mail.example.com/x?tls=required").unwrap(),
        "SMTP to mail.example.com:587"
    );
    assert_eq!(
        describe("smtp://mail.example.com:2525?tls=opportunistic").unwrap(),
        "SMTP to mail.example.com:2525, encrypted if it can"
    );
    assert_eq!(describe("smtp://localhost").unwrap(), "SMTP to localhost:25 in clear");
    assert_eq!(describe("smtp://[::1]:25").unwrap(), "SMTP to [::1]:25 in clear");
    assert_eq!(describe("smtp://[::1]").unwrap(), "SMTP to [::1]:25 in clear");
    for bad in [
        "",
        "mail.example.com:25",
        "http://mail.example.com",
        "smtp://",
        "smtp://secret@mail.example.com",
        "smtp://me:%ZZsecret@mail.example.com",
        "smtp://me:%FFsecret@mail.example.com",
        "smtp://me:secret@mail.example.com:99999",
        "smtp://me:secret@mail.example.com?tls=on",
        "smtp://me:secret@mail.example.com?TLS=required",
        "smtps://me:secret@mail.example.com?tls=opportunistic",
        "smtp://me:secret@mail.example.com\nx",
    ] {
        let error = describe(bad).unwrap_err();
        assert!(!error.contains("secret") && !error.is_empty(), "{bad}: {error}");
    }
}

/// A relay that does not answer in this phase: `greet`, the word of a command, or `(message)`.
fn silent(phase: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut to = stream.try_clone().unwrap();
            let mut say = |what: &str| to.write_all(format!("{what}\r\n").as_bytes()).is_ok();
            if phase != "greet" {
                say("220 here");
            }
            let mut is_content = false;
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if is_content && line != "." {
                    continue;
                }
                let word = if is_content { "(message)" } else { line.split([' ', ':']).next().unwrap() };
                is_content = line == "DATA" && phase != "DATA";
                if word != phase && phase != "greet" {
                    say(kind(&line).unwrap());
                }
            }
        }
    });
    port
}

#[test]
fn a_timeout_is_named_with_what_was_waited_for() {
    let soon = Duration::from_millis(20);
    for (phase, what) in [
        ("greet", "the relay did not greet within 20 milliseconds; if it encrypts from the start"),
        ("EHLO", "the relay did not answer EHLO within 1 second"),
        ("MAIL", "the relay did not answer MAIL FROM within 1 second"),
        ("RCPT", "the relay did not answer RCPT TO within 1 second"),
        ("DATA", "the relay did not answer DATA within 20 milliseconds"),
        ("(message)", "the relay did not confirm the message within 20 milliseconds"),
    ] {
        // Only this phase is short: a slow machine must not meet another timeout first.
        let mut timeouts = Timeouts::STANDARD;
        match phase {
            "greet" => timeouts.greeting = soon,
            "DATA" => timeouts.data = soon,
            "(message)" => timeouts.end = soon,
            // The commands before it share its time.
            _ => timeouts.command = Duration::from_secs(1),
        }
        let smtp = smtp(silent(phase)).with_timeouts(timeouts);
        let sent = send(&smtp, &testing::one_of_each()[..1]);
        let error = sent[0].clone().unwrap_err();
        assert!(!error.permanent && error.what.starts_with(what), "{phase}: {error}");
    }
}

#[test]
fn a_stop_ends_the_attempt_as_if_it_had_not_been_made() {
    for phase in ["greet", "EHLO", "MAIL", "RCPT", "DATA"] {
        let (smtp, stop) = (smtp(silent(phase)), Stop::default());
        let asks = stop.clone();
        let sent = std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                smtp.send_batch(&testing::one_of_each(), Instant::now() + Duration::from_secs(600), &stop)
            });
            asks.request();
            sending.join().unwrap()
        });
        assert!(sent.is_empty(), "{phase}: {sent:?}");
    }
    // None is begun later.
    let stop = Stop::default();
    stop.request();
    let (port, heard) = server(kind);
    assert!(smtp(port).send_batch(&testing::one_of_each(), testing::later(), &stop).is_empty());
    assert_eq!(count(&heard, "(connected)"), 0);
}

#[test]
fn a_reply_without_end_is_not_read_for_ever() {
    // A line that never ends, and a reply of lines that never end.
    for flood in ["250-x\r\n", "250-xxxxxxxxxxxxxxxx"] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(flood.as_bytes()).is_ok() {}
        });
        let error = send(&smtp(port), &testing::one_of_each()[..1])[0].clone().unwrap_err();
        assert!(error.what.len() <= 500, "{error}");
        assert!(error.what.contains("too long") || error.what.contains("does not speak SMTP"), "{error}");
    }
}

#[test]
fn extensions_are_known_in_any_case() {
    let mut mail = testing::password("Ada");
    mail.to.address = String::from("zoë@example.org");
    let (port, _) = server(|line| {
        if line.starts_with("EHLO") { Some("250-here\r\n250-8bitmime\r\n250 SmtpUtf8") } else { kind(line) }
    });
    assert_eq!(Mailer::Smtp(smtp(port)).send(&mail), Ok(()));
}

#[test]
fn the_name_in_ehlo_is_a_domain_or_an_address_in_brackets() {
    let hosts = ["users.example.com", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"].map(helo_of);
    assert_eq!(hosts, ["users.example.com", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"]);
    for (url, host) in [
        ("https://users.example.com:8443/iam", "users.example.com"),
        ("http://[2001:db8::1]:8080", "2001:db8::1"),
        ("http://127.0.0.1", "127.0.0.1"),
    ] {
        assert_eq!(Sender::new("a@example.com", url).unwrap().host(), host);
    }
}

#[test]
fn settings_are_shown_without_secrets() {
    let smtp = of_url("smtps://ada:hush@mail.example.com").unwrap();
    let shown: Vec<String> =
        smtp.details().into_iter().map(|(label, value)| format!("{label}: {value}")).collect();
    assert!(shown.contains(&String::from("login: ada, by password")), "{shown:?}");
    assert!(shown.contains(&String::from("EHLO name: users.example.com")), "{shown:?}");
    assert!(!shown.join(" ").contains("hush"));
}
