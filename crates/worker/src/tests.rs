//! The worker against a real database, with a manual clock.

use std::path::Path;
use std::time::Duration;

use tenantry_core::clock::{Clock, DAY, HOUR, MINUTE, SECOND};
use tenantry_core::model::{Event, PartnerId, Profile, Status, User, UserId};
use tenantry_core::random::Random;
use tenantry_core::values;
use tenantry_domain::services::Services;
use tenantry_domain::users::{self, NewUser};
use tenantry_domain::{events, outbox, partners, password_changes, testing, unit};
use tenantry_mail::{Directory, EmailContent, Mailer, Memory, SendError, Sender};
use tenantry_store::access::{Admin, Operator, nobody};
use tenantry_store::tables::events::{EventPosition, EventQuery, select};

use crate::*;

const START: i64 = 1_795_413_599_123;
const PARTNER: PartnerId = PartnerId(1);

struct Server {
    services: Services,
    clock: Clock,
    memory: Memory,
    mailer: Mailer,
    directory: tempfile::TempDir,
}

impl Server {
    /// Partner 1 with its admin.
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let services = assemble(directory.path(), &clock);
        let admin = person("admin", true);
        unit::write(&services.store, &Operator::of_this_machine(), move |tx| {
            partners::bootstrap(tx, &admin, "$none$").map(drop)
        })
        .await
        .unwrap();
        let memory = Memory::new();
        Self { services, clock, mailer: Mailer::Memory(memory.clone()), memory, directory }
    }

    /// Creates a user, whose temporary password is then in the outbox.
    async fn create(&self, name: &str) -> User {
        create(&self.services, name).await
    }

    async fn deliver(&self) -> Delivered {
        deliver_due(&self.services, &self.mailer).await.unwrap()
    }

    async fn housekeep(&self) -> Housekeeping {
        housekeep(&self.services).await.unwrap()
    }

    /// Retries until it succeeds: a checkpoint of the store may be in progress.
    async fn scrub(&self) {
        for _ in 0..100 {
            if scrub(&self.services).await.unwrap() {
                return;
            }
        }
        panic!("scrubbing never succeeded");
    }

    /// Delivers until nothing is due.
    async fn deliver_all(&self) {
        while self.deliver().await.is_full {}
    }

    fn fail(&self, error: SendError) {
        self.memory.fail_with(Some(error));
    }

    /// The mailed passwords.
    fn passwords(&self) -> Vec<String> {
        self.memory.sent().iter().map(|e| password(&e.content)).collect()
    }

    /// Rows of the outbox, read directly: (letter, attempts).
    fn outbox(&self) -> Vec<(Option<String>, i64)> {
        let sql = "SELECT letter, attempts FROM outbox ORDER BY mail_id";
        let db = rusqlite::Connection::open(self.database()).unwrap();
        let mut rows = db.prepare(sql).unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    fn execute(&self, sql: &str) {
        rusqlite::Connection::open(self.database()).unwrap().execute_batch(sql).unwrap();
    }

    fn database(&self) -> std::path::PathBuf {
        self.directory.path().join("tenantry.db")
    }

    async fn events(&self, kind: events::EventKind) -> Vec<Event> {
        let query = EventQuery { kinds: vec![kind.name().to_owned()], ..EventQuery::default() };
        let scope = Operator::of_this_machine().as_admin_of(PARTNER);
        let read = move |tx: &mut tenantry_store::engine::tx::Tx<'_, Admin>| {
            select(tx, &query, EventPosition::Offset(0), 1_000)
        };
        self.services.store.read(&scope, read).await.unwrap()
    }

    async fn next_due(&self) -> Option<i64> {
        self.services.store.read(&nobody(), |tx| outbox::next_due(tx)).await.unwrap()
    }

    /// How many of these occur in the database file and in its log.
    fn found_in_files(&self, passwords: &[String]) -> (usize, usize) {
        let count = |file: &str| {
            let bytes = std::fs::read(self.directory.path().join(file)).unwrap_or_default();
            let mut starts = vec![false; 1 << 16];
            let start = |b: &[u8]| usize::from(b[0]) << 8 | usize::from(b[1]);
            passwords.iter().for_each(|p| starts[start(p.as_bytes())] = true);
            let places: Vec<usize> = (1..bytes.len()).filter(|&i| starts[start(&bytes[i - 1..])]).collect();
            let is_there = |p: &String| places.iter().any(|&i| bytes[i - 1..].starts_with(p.as_bytes()));
            passwords.iter().filter(|p| is_there(p)).count()
        };
        (count("tenantry.db"), count("tenantry.db-wal"))
    }
}

fn assemble(directory: &Path, clock: &Clock) -> Services {
    testing::services(directory, clock, &Random::seeded(7)).unwrap()
}

fn person(name: &str, is_admin: bool) -> NewUser {
    NewUser {
        username: values::username(name).unwrap(),
        status: Status::Active,
        profile: Profile {
            first_name: String::from("Ada"),
            last_name: String::from("Lovelace"),
            email: format!("{name}@example.org"),
            ..Profile::default()
        },
        groups: Vec::new(),
        is_admin,
    }
}

async fn create(services: &Services, name: &str) -> User {
    let (admin, new) = (Operator::of_this_machine().as_admin_of(PARTNER), person(name, false));
    unit::write(&services.store, &admin, move |tx| users::create(tx, &new)).await.unwrap()
}

async fn reset(services: &Services, user_id: UserId) {
    let admin = Operator::of_this_machine().as_admin_of(PARTNER);
    unit::write(&services.store, &admin, move |tx| password_changes::reset(tx, user_id)).await.unwrap();
}

fn password(what: &EmailContent) -> String {
    match what {
        EmailContent::TemporaryPassword { password, .. } => password.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Waits until `condition` holds, for at most ten seconds.
async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition never held");
}

#[tokio::test]
async fn a_delivered_message_is_removed() {
    let server = Server::start().await;
    server.create("ada").await;
    server.create("bob").await;
    let done = server.deliver().await;
    assert_eq!(done, Delivered { delivered: 2, ..Delivered::default() });
    assert_eq!(server.outbox(), []);
    let sent = server.memory.sent();
    assert_eq!((sent.len(), sent[0].to.address.as_str()), (2, "ada@example.org"));
    assert_eq!(sent[0].created_at, START);
    assert_eq!(server.deliver().await, Delivered::default());
}

#[tokio::test]
async fn a_full_batch_is_reported() {
    let server = Server::start().await;
    for n in 0..201 {
        server.create(&format!("user-{n}")).await;
    }
    assert_eq!(server.deliver().await, Delivered { delivered: 200, is_full: true, ..Delivered::default() });
    assert_eq!(server.deliver().await, Delivered { delivered: 1, ..Delivered::default() });
}

/// A batch must end before the lease of its messages: those that it has no time for are due again at once.
#[tokio::test]
async fn a_batch_that_runs_out_of_time_leaves_the_rest_for_the_next() {
    let server = Server::start().await;
    server.create("ada").await;
    server.create("bob").await;
    let (none, stop) = (Duration::ZERO, tenantry_mail::Stop::default());
    let mut sending = begin(&server.services, &server.mailer, none, &stop).await.unwrap();
    sending.wait().await;
    let none = mark(&server.services, &sending.into_sent()).await.unwrap();
    assert_eq!(none, Delivered { untried: 2, is_full: true, ..Delivered::default() });
    let untouched = server.outbox();
    assert!(untouched.iter().all(|(letter, attempts)| letter.is_some() && *attempts == 0));
    assert_eq!((untouched.len(), server.next_due().await), (2, Some(START)));
    assert_eq!(server.deliver().await.delivered, 2);
}

/// The database may be unavailable when a message was just sent: that must not send it again.
#[tokio::test]
async fn outcomes_that_could_not_be_stored_are_stored_later() {
    let server = Server::start().await;
    server.create("ada").await;
    server.execute("CREATE TRIGGER stuck BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'stuck'); END;");
    let mut rounds = Rounds::new(&server.services, &server.mailer);
    for _ in 0..2 {
        rounds.round().await.unwrap_err();
        assert_eq!((server.memory.sent().len(), server.outbox().len()), (1, 1));
    }
    server.execute("DROP TRIGGER stuck;");
    rounds.round().await.unwrap();
    assert_eq!((server.memory.sent().len(), server.outbox().len()), (1, 0));
}

#[tokio::test]
async fn failures_delay_the_next_attempt() {
    let server = Server::start().await;
    server.create("ada").await;
    server.fail(SendError::temporary("down"));
    assert_eq!(server.deliver().await, Delivered { failed: 1, ..Delivered::default() });
    assert_eq!(server.deliver().await, Delivered::default(), "not due yet");
    let pause = server.next_due().await.unwrap() - START;
    assert!((10 * SECOND..=11 * SECOND).contains(&pause), "{pause}");
    server.clock.advance(pause);
    assert_eq!(server.deliver().await.failed, 1);
    let second = server.next_due().await.unwrap() - START - pause;
    assert!((20 * SECOND..=22 * SECOND).contains(&second), "{second}");
    server.memory.fail_with(None);
    server.clock.advance(second - 1);
    assert_eq!(server.deliver().await, Delivered::default());
    server.clock.advance(1);
    assert_eq!(server.deliver().await.delivered, 1);
    assert_eq!(server.outbox(), []);
}

#[tokio::test]
async fn a_refused_message_is_retried_later() {
    let server = Server::start().await;
    server.create("ada").await;
    server.fail(SendError::permanent("550 no such user"));
    assert_eq!(server.deliver().await.failed, 1);
    let pause = server.next_due().await.unwrap() - START;
    assert!((5 * MINUTE..6 * MINUTE).contains(&pause), "{pause}");
}

#[tokio::test]
async fn twenty_failures_make_a_dead_letter() {
    let server = Server::start().await;
    let ada = server.create("ada").await;
    server.fail(SendError::temporary("down"));
    for n in 1..20 {
        assert_eq!(server.deliver().await.failed, 1, "{n}");
        server.clock.advance(server.next_due().await.unwrap() - server.clock.now());
    }
    assert!(server.clock.now() - START < DAY, "the password was valid all the time");
    let (letter, attempts) = server.outbox().remove(0);
    let letter = letter.unwrap();
    let email: tenantry_mail::Email = serde_json::from_str(&letter).unwrap();
    let secret = password(&email.content);
    assert_eq!((attempts, letter.contains(&secret)), (19, true));

    assert_eq!(server.deliver().await, Delivered { dead_letters: 1, ..Delivered::default() });
    assert_eq!(server.outbox(), [(None, 20)]);
    assert_eq!((server.next_due().await, server.deliver().await), (None, Delivered::default()));
    let [event] = server.events(events::EventKind::MailSetAside).await.try_into().unwrap();
    assert_eq!((event.user_id, event.actor.as_str()), (Some(ada.user_id), "system"));
    assert_eq!(event.after.unwrap().to_string(), r#"{"mailId":1,"attempts":20}"#);
    assert_eq!(event.before, None);
    let db = rusqlite::Connection::open(server.database()).unwrap();
    let leaks: i64 = db
        .query_row(
            "SELECT count(*) FROM events WHERE instr(coalesce(before, '') || coalesce(after, ''), ?1)",
            [&secret],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(leaks, 0);

    // The row is removed after a month, the event stays.
    server.clock.advance(29 * DAY);
    assert_eq!(server.housekeep().await.mails, 0);
    server.clock.advance(DAY);
    assert_eq!(server.housekeep().await.mails, 1);
    assert_eq!((server.outbox(), server.events(events::EventKind::MailSetAside).await.len()), (vec![], 1));
}

#[tokio::test]
async fn an_unreadable_entry_becomes_a_dead_letter() {
    let server = Server::start().await;
    server.create("ada").await;
    server.create("bob").await;
    server.execute("UPDATE outbox SET letter = '{\"to\":' WHERE mail_id = 1");
    let done = server.deliver().await;
    assert_eq!(done, Delivered { delivered: 1, dead_letters: 1, ..Delivered::default() });
    assert_eq!(server.outbox(), [(None, 1)]);
    let [event] = server.events(events::EventKind::MailSetAside).await.try_into().unwrap();
    assert_eq!(event.after.unwrap().to_string(), r#"{"mailId":1,"attempts":1}"#);
}

#[tokio::test]
async fn an_expired_password_is_overwritten_and_not_sent() {
    let server = Server::start().await;
    server.create("ada").await;
    server.clock.advance(DAY - 1);
    assert_eq!(server.housekeep().await, Housekeeping::default());
    server.clock.advance(1);
    assert_eq!(server.housekeep().await.mails, 1);
    assert_eq!(server.outbox(), [(None, 0)]);
    // The same if delivery comes first.
    server.create("bob").await;
    server.clock.advance(DAY);
    assert_eq!(server.deliver().await, Delivered { expired: 1, ..Delivered::default() });
    assert_eq!(server.outbox(), [(None, 0), (None, 0)]);
    assert_eq!((server.memory.sent(), server.next_due().await), (vec![], None));
}

#[tokio::test]
async fn a_message_withdrawn_during_delivery_stays_withdrawn() {
    let server = Server::start().await;
    let ada = server.create("ada").await;
    let due = server.services.store.read(&nobody(), |tx| outbox::list_due(tx, 9)).await.unwrap();
    let mut entry = due[0].0;
    reset(&server.services, ada.user_id).await;
    let failed = outbox::DeliveryOutcome::Failed { refused: false };
    unit::write(&server.services.store, &nobody(), move |tx| outbox::settle(tx, &[(entry, failed)]))
        .await
        .unwrap();
    entry.attempts = 19;
    let scope = tenantry_store::access::system_within(PARTNER);
    unit::write(&server.services.store, &scope, move |tx| outbox::make_dead_letters(tx, &[entry]))
        .await
        .unwrap();
    assert_eq!(server.events(events::EventKind::MailSetAside).await.len(), 0);
    assert_eq!(server.outbox()[0], (None, 0));
    assert_eq!(server.deliver().await.delivered, 1, "the mail with the new password");
}

#[tokio::test]
async fn a_crash_before_the_outcome_is_stored_rewrites_the_same_file() {
    let mut server = Server::start().await;
    let files_in = server.directory.path().join("mail");
    let sender = Sender::new("noreply@example.com", "https://users.example.com/").unwrap();
    server.mailer = Mailer::Directory(Directory::open(&files_in, sender).unwrap());
    server.create("ada").await;
    // Delivered, but the outcome was not stored.
    let mut due = server.services.store.read(&nobody(), |tx| outbox::list_due(tx, 9)).await.unwrap();
    let email = due.remove(0).1.unwrap();
    server.mailer.send(&email).unwrap();
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&files_in).unwrap().map(|e| e.unwrap().path());
        entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = files();
    server.clock.advance(HOUR);
    assert_eq!(server.deliver().await.delivered, 1);
    assert_eq!((files(), before.len()), (before, 1));
    assert_eq!(server.outbox(), []);
}

#[tokio::test]
async fn no_password_is_left_in_the_files() {
    let server = Server::start().await;
    for n in 0..300 {
        let user = server.create(&format!("user-{n}")).await;
        if n % 7 == 0 {
            reset(&server.services, user.user_id).await;
        }
        if n % 100 == 50 {
            server.deliver().await;
        }
    }
    server.deliver_all().await;
    let passwords = server.passwords();
    // The messages are removed, but remain in the log, and in the database if a checkpoint preceded delivery.
    let (database, log) = server.found_in_files(&passwords);
    assert_eq!(passwords.len(), 300);
    assert!(database + log > 0, "{database} + {log}: otherwise this test shows nothing");
    server.scrub().await;
    assert_eq!(server.found_in_files(&passwords), (0, 0));
    // Later messages are written as usual.
    server.create("eve").await;
    assert_eq!(server.deliver().await.delivered, 1);
}

/// Pages of the outbox contain copies of rows that secure_delete does not know of.
#[tokio::test]
async fn no_copy_of_a_message_is_left_in_a_split_page() {
    let server = Server::start().await;
    let random = Random::seeded(11);
    for _ in 0..10 {
        let mut sql = String::from("PRAGMA secure_delete = ON; BEGIN; DELETE FROM outbox WHERE pid > 0;");
        let mut gone = Vec::new();
        for id in 0..1_500 {
            // Partners are mixed, so that pages are split in the middle.
            let (pid, secret) = (1 + random.below(50), random.token::<16>());
            let letter = format!("{}{secret}{}", "x".repeat(120), "y".repeat(40 + random.below(40)));
            sql.push_str(&format!(
                "INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
                 VALUES ({pid}, {id}, 1, 1, '{letter}', 0, 0, 0);"
            ));
            gone.push((id, secret));
        }
        gone.retain(|_| random.below(2) == 0);
        for (id, _) in &gone {
            sql.push_str(&match id % 20 {
                0 => format!("UPDATE outbox SET letter = NULL WHERE mail_id = {id};"),
                _ => format!("DELETE FROM outbox WHERE mail_id = {id};"),
            });
        }
        server.execute(&format!("{sql} COMMIT;"));
        let (before, gone) =
            (server.outbox(), gone.into_iter().map(|(_, secret)| secret).collect::<Vec<_>>());
        server.services.store.empty_log().await.unwrap();
        let (copies, _) = server.found_in_files(&gone);
        if copies > 0 {
            server.scrub().await;
            assert_eq!(server.found_in_files(&gone), (0, 0));
            assert_eq!(server.outbox(), before);
            return;
        }
    }
    panic!("no copy was ever left: is rewriting still needed?");
}

#[tokio::test]
async fn scrubbing_leaves_what_is_due_and_waits_for_long_reads() {
    let server = Server::start().await;
    server.create("ada").await;
    server.fail(SendError::temporary("down"));
    server.deliver().await;
    let (before, due) = (server.outbox(), server.next_due().await);
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM outbox").unwrap();
    assert!(!scrub(&server.services).await.unwrap(), "the log is still needed");
    reader.execute_batch("COMMIT").unwrap();
    server.scrub().await;
    assert_eq!((server.outbox(), server.next_due().await), (before, due));
    server.memory.fail_with(None);
    server.clock.advance(MINUTE);
    assert_eq!(server.deliver().await.delivered, 1);
    // Too many to rewrite.
    server.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) \
         INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
         SELECT 1, i, i, 1, 'x', 0, 0, 0 FROM n;",
    );
    assert!(!scrub(&server.services).await.unwrap());
    assert_eq!(server.outbox().len(), 1_001);
}

#[tokio::test]
async fn tokens_are_kept_for_a_day_after_they_expire() {
    let server = Server::start().await;
    server.execute(&format!(
        "INSERT INTO sessions (pid, session_id, client_id, restricted, created_at, expires_at, last_used_at) \
         VALUES (1, 's', 'c', 0, {START}, {ends}, {START}); \
         INSERT INTO access_tokens (pid, token_hash, session_id, issued_at, expires_at) \
         VALUES (1, 'h', 's', {START}, {ends}); \
         INSERT INTO refresh_tokens (pid, token_hash, session_id, issued_at, expires_at) \
         VALUES (1, 'h', 's', {START}, {ends});",
        ends = START + HOUR,
    ));
    server.clock.advance(HOUR + DAY);
    assert_eq!(server.housekeep().await.sessions, 0);
    server.clock.advance(1);
    assert_eq!(server.housekeep().await.sessions, 3, "the session and its two tokens");
    let db = rusqlite::Connection::open(server.database()).unwrap();
    let count = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM access_tokens) \
                 + (SELECT count(*) FROM refresh_tokens)";
    assert_eq!(db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

/// A session that is refreshed forever must not keep every refresh token that it ever had.
#[tokio::test]
async fn ended_refresh_tokens_of_an_active_session_are_removed() {
    let server = Server::start().await;
    server.execute(&format!(
        "INSERT INTO sessions (pid, session_id, client_id, restricted, created_at, expires_at, last_used_at) \
         VALUES (1, 's', 'c', 0, {START}, {later}, {START}); \
         INSERT INTO refresh_tokens (pid, token_hash, session_id, issued_at, expires_at, used_at) \
         VALUES (1, 'old', 's', {START}, {START}, {START}), (1, 'new', 's', {START}, {later}, 0);",
        later = START + 30 * DAY,
    ));
    server.clock.advance(DAY + 1);
    assert_eq!(server.housekeep().await.sessions, 1);
    let db = rusqlite::Connection::open(server.database()).unwrap();
    let left = "SELECT string_agg(token_hash, ',') FROM refresh_tokens";
    assert_eq!(db.query_row(left, [], |row| row.get::<_, String>(0)).unwrap(), "new");
}

#[tokio::test]
async fn failed_logins_are_removed_when_they_no_longer_count() {
    let server = Server::start().await;
    server.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
         INSERT INTO login_failures (address, at, failures) SELECT '192.0.2.1', {START} - i, 1 FROM n;"
    ));
    server.clock.advance(5 * MINUTE - 500);
    assert_eq!(server.housekeep().await, Housekeeping { failures: 2_001, ..Housekeeping::default() });
    server.clock.advance(500);
    assert_eq!(server.housekeep().await.failures, 499);
    assert_eq!(server.housekeep().await, Housekeeping::default());
}

#[tokio::test]
async fn housekeeping_continues_while_a_step_is_full() {
    let server = Server::start().await;
    server.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) \
         INSERT INTO outbox (pid, mail_id, user_id, secret, letter, next_attempt_at, expires_at, created_at) \
         SELECT 1 + i % 3, i, i, 1, 'x', {START}, {START}, {START} FROM n; \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
         INSERT INTO sessions (pid, session_id, client_id, restricted, created_at, expires_at, last_used_at) \
         SELECT 1, 's' || i, 'c', 0, 0, 1, 0 FROM n;"
    ));
    assert_eq!(
        server.housekeep().await,
        Housekeeping { mails: 2_500, sessions: 1_200, ..Housekeeping::default() }
    );
    assert!(server.outbox().iter().all(|(letter, _)| letter.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_wakes_for_new_mail_and_stops() {
    let server = Server::start().await;
    let worker = Worker::start(server.services.clone(), server.mailer.clone()).unwrap();
    for (n, name) in ["ada", "bob", "eve"].into_iter().enumerate() {
        // It sleeps by now, and would wake by itself only in a minute.
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.create(name).await;
        eventually(|| server.memory.sent().len() == n + 1).await;
    }
    eventually(|| server.outbox().is_empty()).await;
    worker.stop();
    server.create("joe").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.memory.sent().len(), 3);
    // The next worker sends the rest.
    let worker = Worker::start(server.services.clone(), server.mailer.clone()).unwrap();
    eventually(|| server.memory.sent().len() == 4).await;
    drop(worker);
}

/// A killed process may have left delivered messages in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_starts_with_a_scrub() {
    let server = Server::start().await;
    server.create("ada").await;
    server.deliver().await;
    let passwords = server.passwords();
    assert_eq!(server.found_in_files(&passwords), (0, 1));
    let worker = Worker::start(server.services.clone(), server.mailer.clone()).unwrap();
    eventually(|| server.found_in_files(&passwords) == (0, 0)).await;
    worker.stop();
}

/// A relay may take minutes for each response.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn housekeeping_goes_on_while_a_mail_is_being_sent() {
    let server = Server::start().await;
    // Expired: only the housekeeping, or the end of the batch, overwrites it.
    server.create("ada").await;
    server.clock.advance(DAY);
    server.memory.hold(true);
    server.create("bob").await;
    let worker = Worker::start(server.services.clone(), server.mailer.clone()).unwrap();
    eventually(|| server.memory.waiting() == 1 && server.outbox()[0].0.is_none()).await;
    assert!(server.outbox()[1].0.is_some() && server.memory.sent().is_empty());
    server.memory.hold(false);
    eventually(|| server.memory.sent().len() == 1 && server.outbox() == [(None, 0)]).await;
    worker.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_panics_continues_where_it_was() {
    let server = Server::start().await;
    let supervisor = server.services.store.supervisor().clone();
    supervisor.let_panic("worker", 2);
    let worker = Worker::start(server.services.clone(), server.mailer.clone()).unwrap();
    server.create("ada").await;
    eventually(|| server.memory.sent().len() == 1).await;
    assert!(supervisor.missing().is_empty());
    worker.stop();
    let mut text = String::new();
    supervisor.render(&mut text);
    assert!(text.contains("{thread=\"worker\"} 2\n"), "{text}");
}
