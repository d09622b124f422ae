//! Logins beside expensive password hashes: their effect on others, and whether response times distinguish refused
//! logins.

use std::time::{Duration, Instant};

use crate::load::{self, Load, Sample};
use crate::measure::Bench;
use crate::names::{Dice, Names};
use crate::report::{ReportRow, SHARES, p99};
use crate::rows;
use crate::scratch::Stop;
use crate::seed::PASSWORD;
use crate::server::{Server, token_request};
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;

/// Nobody is locked or rate-limited meanwhile: that would only help.
const SETTINGS: [&str; 6] = [
    "--lockout-threshold",
    "1000",
    "--login-failures-per-address",
    "1000000",
    "--trusted-proxies",
    "127.0.0.1/32",
];
/// Connections that guess passwords, and the number of their users.
const HAMMERING: usize = 16;
const HAMMERED: u64 = 10;
/// Refusals per kind for each second that a row is measured.
const SAMPLES_PER_SECOND: f64 = 20.0;
/// Interval between logins, so that their ordinary hashes do not wait for each other.
const SLOT: Duration = Duration::from_millis(60);

/// A hash of another system at the limit.
const MOST_EXPENSIVE: &str = "$2b$13$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe";

/// Measures both.
pub(crate) fn rows(bench: &Bench<'_>, progress: &mut ProgressLine) -> Result<Vec<ReportRow>, CommandError> {
    let server = Server::start_with(bench.binary, bench.data, &SETTINGS, bench.cores, bench.stop)?;
    let refusals = Refusals { bench, server: &server };
    let kinds = refusals.seed()?;
    progress.say("measuring: how much refused logins differ");
    let mut rows = refusals.differences(&kinds)?;
    progress.say("measuring: logins beside guesses at expensive hashes");
    refusals.seed_hammered()?;
    rows.extend(refusals.hammered()?);
    Ok(rows)
}

/// A kind of user, and a refused login of it.
#[derive(Debug, Clone)]
struct RefusalKind {
    id: &'static str,
    title: &'static str,
    request: Vec<u8>,
}

/// Kinds of users: status, stored hash, and whether the right password is used. `own` stands for this server's own
/// hash.
const KINDS: [(&str, &str, &str, Option<&str>, bool); 14] = [
    ("refused-own", "wrong password", "ACTIVE", Some("own"), false),
    ("refused-inactive", "INACTIVE, right password", "INACTIVE", Some("own"), true),
    ("refused-locked", "LOCKED, right password", "LOCKED", Some("own"), true),
    ("refused-none", "no password", "ACTIVE", None, false),
    (
        "refused-locked-expensive",
        "LOCKED, bcrypt 12",
        "LOCKED",
        Some("$2b$12$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe"),
        false,
    ),
    ("refused-ssha", "SSHA", "ACTIVE", Some("{SSHA}nq9U8mmaO/WxGYfpN7Z8Ufqei/FzYWx0c2FsdA=="), false),
    (
        "refused-bcrypt-8",
        "bcrypt 8",
        "ACTIVE",
        Some("$2b$08$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe"),
        false,
    ),
    (
        "refused-bcrypt-12",
        "bcrypt 12",
        "ACTIVE",
        Some("$2b$12$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe"),
        false,
    ),
    (
        "refused-argon2-small",
        "argon2id of 4 MiB, t=3",
        "ACTIVE",
        Some("$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
        false,
    ),
    (
        "refused-argon2-large",
        "argon2id of 64 MiB, t=3",
        "ACTIVE",
        Some("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"),
        false,
    ),
    (
        "refused-scrypt",
        "scrypt N=2^16, r=8",
        "ACTIVE",
        Some("$scrypt$ln=16,r=8,p=1$c2FsdC1vZi0xNi1ieXRlcw$t0eig3u7j79EEbQA0++MN4/EzZmNHsfI7f2SZ61FvOI"),
        false,
    ),
    (
        "refused-pbkdf2",
        "PBKDF2-SHA256 of 600,000 rounds",
        "ACTIVE",
        Some("$pbkdf2-sha256$600000$c2FsdC1vZi0xNi1ieXRlcw$gwzkXi.SaqAMTywRIfNTayiPnL3Yp8FzYgd6mEbe7XU"),
        false,
    ),
    (
        "refused-sha512-crypt",
        "sha512-crypt of 5,000 rounds",
        "ACTIVE",
        Some(
            "$6$saltsalt$j9apHmQ2q1Nb8re3aXsPwT6W18pnNJNITU.nkYzArY6ub2BCjHbgcRVzJ7y9oeUW7YDJCbGXckUP0aIUG7bwN0",
        ),
        false,
    ),
    (
        "refused-sha256-crypt",
        "sha256-crypt of 535,000 rounds",
        "ACTIVE",
        Some("$5$rounds=535000$saltsalt$6QYbGV/SRTWPYM/F8Rpc3hUDnieem0Fe4yv1J/fXpmD"),
        false,
    ),
];

struct Refusals<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
}

impl Refusals<'_> {
    /// Imports users: names, statuses and hashes.
    fn import(&self, users: &[(String, &str, Option<&str>)]) -> Result<(), CommandError> {
        let (token, names) = (self.server.token(&rows::login(), self.bench.stop)?, Names::new());
        let mut body = String::new();
        for (name, status, hash) in users {
            let (first, last) = names.of(1);
            let mut row = serde_json::json!({
                "username": name, "status": status, "firstName": first, "lastName": last,
                "email": format!("{name}@example.com"),
            });
            if let Some((hash, row)) = hash.zip(row.as_object_mut()) {
                row.insert("passwordHash".to_owned(), hash.into());
            }
            body.push_str(&format!("{row}\n"));
        }
        let head = format!(
            "POST /api/v1/users/import HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = load::once(self.server.address, format!("{head}{body}").as_bytes(), self.bench.stop)?;
        let told = format!(r#""created":{},"#, users.len());
        match answer.status == 200 && String::from_utf8_lossy(&answer.body).contains(&told) {
            true => Ok(()),
            false => Err(CommandError::new("server", "users with hashes of other systems were not imported")),
        }
    }

    /// A user per kind. The first one does not exist.
    fn seed(&self) -> Result<Vec<RefusalKind>, CommandError> {
        let own = crate::measure::on_server_core(self.bench.cores, async {
            let hasher = tenantry_passwords::Hasher::new(
                1,
                2,
                tenantry_passwords::HashCost::OWASP,
                tenantry_core::random::Random::system(),
            )?;
            Ok(hasher.hash(PASSWORD.to_owned().into()).await?)
        })?;
        let hash =
            |hash: Option<&'static str>| hash.map(|hash| if hash == "own" { own.as_str() } else { hash });
        let users: Vec<_> = KINDS
            .iter()
            .map(|(id, _, status, stored, _)| ((*id).to_owned(), *status, hash(*stored)))
            .collect();
        self.import(&users)?;
        let login = |name: &str, is_right: bool| {
            let password = if is_right { PASSWORD } else { "Wrong.Tea-Cup-71" };
            let form = format!("grant_type=password&client_id=tenantry&username={name}&password={password}");
            token_request(&form)
        };
        let mut kinds = vec![RefusalKind {
            id: "refused-unknown",
            title: "unknown user",
            request: login("nobody-at-all", false),
        }];
        for (id, title, _, _, is_right) in KINDS {
            kinds.push(RefusalKind { id, title, request: login(id, is_right) });
        }
        let (client, secret) = &self.bench.seeded.small_client;
        let form = format!(
            "grant_type=password&client_id={client}&client_secret={secret}&username=admin&password={PASSWORD}"
        );
        let request = token_request(&form);
        kinds.push(RefusalKind {
            id: "refused-client",
            title: "another partner's client, right password",
            request,
        });
        Ok(kinds)
    }

    /// How much the times of each kind differ from those of a nonexistent user.
    fn differences(&self, kinds: &[RefusalKind]) -> Result<Vec<ReportRow>, CommandError> {
        let count = ((self.bench.time.as_secs_f64() * SAMPLES_PER_SECOND) as usize).clamp(2, 100);
        // The first refusals make the server measure expensive hashes.
        for _ in 0..3 {
            for kind in kinds {
                load::once(self.server.address, &kind.request, self.bench.stop)?;
            }
        }
        let samples = self.interleaved(kinds, count)?;
        let unknown = samples.first().cloned().unwrap_or_default();
        let mut rows = Vec::new();
        for (kind, sample) in kinds.iter().zip(samples) {
            let title = format!("refused login: {}", kind.title);
            let d = kolmogorov_smirnov(&unknown.latencies, &sample.latencies);
            let is_unknown = kind.id == "refused-unknown";
            let row = ReportRow::of(kind.id, title, &sample);
            let latencies = row.latencies;
            rows.push(ReportRow {
                ratio: (!is_unknown).then_some((d, "D")),
                latencies: None,
                alone: latencies,
                busy: 0.0,
                ..row
            });
        }
        Ok(rows)
    }

    /// `count` refusals per kind, one login after the other, in a new random order for each round.
    fn interleaved(&self, kinds: &[RefusalKind], count: usize) -> Result<Vec<Sample>, CommandError> {
        let (mut dice, mut slots) = (Dice::new(7), vec![Vec::new(); kinds.len()]);
        for round in 0..count {
            let mut order: Vec<usize> = (0..kinds.len()).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, usize::try_from(dice.below(at as u64 + 1)).unwrap_or(0));
            }
            for (at, kind) in order.into_iter().enumerate() {
                if let Some(slots) = slots.get_mut(kind) {
                    slots.push(round * kinds.len() + at);
                }
            }
        }
        let (begun, address) = (Instant::now(), self.server.address);
        let threads: Vec<_> = kinds
            .iter()
            .zip(slots)
            .map(|(kind, slots)| {
                let (request, stop) = (kind.request.clone(), self.bench.stop.clone());
                std::thread::spawn(move || one_kind(address, &request, &slots, begun, &stop))
            })
            .collect();
        let failed = |_| Err(CommandError::new("internal", "a thread panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    }

    fn seed_hammered(&self) -> Result<(), CommandError> {
        let users: Vec<_> =
            (0..HAMMERED).map(|n| (format!("hammered-{n}"), "ACTIVE", Some(MOST_EXPENSIVE))).collect();
        self.import(&users)
    }

    /// Correct logins of another user, alone and beside many wrong ones of users with an expensive hash.
    fn hammered(&self) -> Result<[ReportRow; 2], CommandError> {
        let right = from("192.0.2.1", &rows::login());
        let logins = |time: Duration| {
            let load = self.load(1, time, 200);
            load::run(&load, &mut |out: &mut Vec<u8>| out.extend_from_slice(&right), self.bench.stop)
        };
        logins(self.bench.time / 8)?;
        let alone = logins(self.bench.time)?;
        let hammering = {
            let load = self.load(HAMMERING, self.bench.time * 3 / 2, 400);
            let stop = self.bench.stop.clone();
            std::thread::spawn(move || {
                // As in overload: the other client must wait for the server only.
                let _ = rustix::process::setpriority_process(None, 19);
                let mut n = 0;
                let mut ask = |out: &mut Vec<u8>| {
                    n = (n + 1) % HAMMERED;
                    let form = format!(
                        "grant_type=password&client_id=tenantry&username=hammered-{n}&password=Wrong.Tea-Cup-71"
                    );
                    out.extend_from_slice(&from("192.0.2.2", &form));
                };
                load::run(&load, &mut ask, &stop)
            })
        };
        let beside = self.bench.pause(self.bench.time / 4).and_then(|()| logins(self.bench.time));
        let hammering =
            hammering.join().unwrap_or_else(|_| Err(CommandError::new("internal", "a thread panicked")))?;
        let (beside, base) = (beside?, alone.percentiles(SHARES));
        let found = beside.percentiles(SHARES);
        let title = format!(
            "the same beside {HAMMERING} clients that guess passwords of {HAMMERED} users with bcrypt 13"
        );
        let row = ReportRow::of("login-beside-guesses", title, &hammering);
        Ok([
            ReportRow {
                latencies: None,
                alone: Some(base),
                busy: 0.0,
                ..ReportRow::of("login-alone", "log in, right password, one connection".into(), &alone)
            },
            ReportRow {
                ratio: Some((p99(found) / p99(base).max(1e-9), "p99")),
                alone: Some(found),
                failed: beside.failed + hammering.failed,
                refused: Some(hammering.refused_share()),
                ..row
            },
        ])
    }

    fn load(&self, connections: usize, time: Duration, status: u16) -> Load {
        let address = self.server.address;
        Load { address, connections, time, status, may_refuse: status != 200, is_awake: false }
    }
}

/// Refusals of one kind, each in its slot.
fn one_kind(
    address: std::net::SocketAddr,
    request: &[u8],
    slots: &[usize],
    begun: Instant,
    stop: &Stop,
) -> Result<Sample, CommandError> {
    let mut sample = Sample::default();
    for slot in slots {
        let due = begun + SLOT * u32::try_from(*slot).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = load::once(address, request, stop)?;
        sample.answers += 1;
        sample.failed += u64::from(answer.status != 400);
        sample.latencies.push(u32::try_from(answer.took.as_nanos() / 100).unwrap_or(u32::MAX));
    }
    sample.elapsed = begun.elapsed();
    Ok(sample)
}

/// A token request as forwarded by a trusted proxy.
fn from(address: &str, form: &str) -> Vec<u8> {
    let request = String::from_utf8_lossy(&token_request(form)).into_owned();
    request.replacen("\r\n", &format!("\r\nx-forwarded-for: {address}\r\n"), 1).into_bytes()
}

/// The largest distance between the two distributions, 0 to 1.
pub(crate) fn kolmogorov_smirnov(one: &[u32], other: &[u32]) -> f64 {
    let share = |of: &[u32], upto: u32| {
        of.iter().filter(|value| **value <= upto).count() as f64 / of.len().max(1) as f64
    };
    let distance = |at: &u32| (share(one, *at) - share(other, *at)).abs();
    one.iter().chain(other).map(distance).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_is_the_largest_distance() {
        assert_eq!(kolmogorov_smirnov(&[1, 2, 3, 4], &[1, 2, 3, 4]), 0.0);
        assert_eq!(kolmogorov_smirnov(&[1, 2, 3, 4], &[5, 6]), 1.0);
        assert_eq!(kolmogorov_smirnov(&[1, 2, 3, 4], &[3, 4, 5, 6]), 0.5);
    }

    #[test]
    fn a_forwarded_request_names_the_client() {
        let text = String::from_utf8(from("192.0.2.1", "a=b")).unwrap();
        assert!(
            text.starts_with("POST /oauth/token HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\nhost"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\na=b"));
    }
}
