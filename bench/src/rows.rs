//! The requests of each row.

use std::io::Write as _;

use crate::load::Ask;
use crate::names::{Dice, Names, username};
use crate::seed::{PASSWORD, Seeded};

/// The baseline of a row: what its rate is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// Responses of the bare endpoint.
    Bare,
    /// Creates in a loop without HTTP.
    Loop,
    /// argon2 hashes alone.
    Hash,
}

impl Against {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Loop => "loop",
            Self::Hash => "argon2",
        }
    }
}

/// A row to measure.
pub(crate) struct Plan<'a> {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) against: Against,
    pub(crate) connections: usize,
    /// Also measured with one connection: what a single client sees.
    pub(crate) alone: bool,
    /// Whether its first responses are slow by design, so that it needs a warm-up.
    pub(crate) warms_up: bool,
    pub(crate) status: u16,
    pub(crate) ask: Box<Ask<'a>>,
}

/// The tokens of the requests.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// The huge partner's admin.
    pub(crate) huge: String,
    /// A technical account with the rights of an admin in a small partner.
    pub(crate) small: String,
}

fn get(out: &mut Vec<u8>, token: &str, path: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = write!(out, "GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
}

pub(crate) fn post(out: &mut Vec<u8>, token: &str, path: &str, body: &str) {
    send(out, "POST", token, path, body);
}

pub(crate) fn send(out: &mut Vec<u8>, method: &str, token: &str, path: &str, body: &str) {
    let _ = write!(
        out,
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// A request to the bare endpoint, as large as those to the server.
pub(crate) fn ask_bare(token: &str) -> impl FnMut(&mut Vec<u8>) {
    let token = token.to_owned();
    move |out| get(out, &token, format_args!("/"))
}

/// Alternately pages at any depth and searches.
pub(crate) fn ask_scans(tokens: &Tokens, seeded: &Seeded) -> impl FnMut(&mut Vec<u8>) + use<> {
    let (token, mut is_search) = (tokens.huge.clone(), false);
    let mut page = page(tokens, "lastName", (seeded.users / 100).max(1));
    move |out| {
        is_search = !is_search;
        if is_search { search(out, &token, "ann") } else { page(out) }
    }
}

/// GET one user of the small partner, uniformly.
pub(crate) fn ask_neighbour(token: &str, seeded: &Seeded) -> impl FnMut(&mut Vec<u8>) + use<> {
    let (token, mut dice) = (token.to_owned(), Dice::new(1));
    let ids = seeded.small_ids.clone();
    let count = u64::try_from(ids.end - ids.start).unwrap_or(1);
    move |out| {
        let id = ids.start + i64::try_from(dice.below(count)).unwrap_or(0);
        get(out, &token, format_args!("/api/v1/users/{id}"));
    }
}

/// GET one of the first `count` users, uniformly.
pub(crate) fn ask_user(token: &str, seeded: &Seeded, count: u64) -> impl FnMut(&mut Vec<u8>) + use<> {
    let (token, first, mut dice) = (token.to_owned(), seeded.first_id, Dice::new(count));
    move |out| {
        let id = first + i64::try_from(dice.below(count)).unwrap_or(0);
        get(out, &token, format_args!("/api/v1/users/{id}"));
    }
}

/// The whole list, as a stream.
pub(crate) fn ask_list(token: &str) -> Vec<u8> {
    let mut out = Vec::new();
    get(&mut out, token, format_args!("/api/v1/users"));
    out
}

/// A login of the huge partner's admin.
pub(crate) fn login() -> String {
    format!("grant_type=password&client_id=tenantry&username=admin&password={PASSWORD}")
}

fn reading<'a>(id: &'static str, title: String, ask: impl FnMut(&mut Vec<u8>) + 'a) -> Plan<'a> {
    Plan {
        id,
        title,
        against: Against::Bare,
        connections: 0,
        alone: true,
        warms_up: false,
        status: 200,
        ask: Box::new(ask),
    }
}

/// The rows that read, in the order in which they are measured.
pub(crate) fn reads<'a>(seeded: &'a Seeded, tokens: &'a Tokens) -> Vec<Plan<'a>> {
    let hot = seeded.users.min(1_000);
    let (users, all) = (seeded.users, format!("GET one user, uniformly over {}", seeded.users));
    let mut rows = vec![
        reading("get-uniform", all, ask_user(&tokens.huge, seeded, users)),
        reading("get-hot", format!("GET one user, hot set of {hot}"), ask_user(&tokens.huge, seeded, hot)),
        reading(
            "evaluate",
            "permission evaluation, user in 20 groups of 1,000 entries".into(),
            evaluate(seeded, tokens),
        ),
        reading("page-first", "page of 100 with total, the first".into(), page(tokens, "userId", 1)),
    ];
    let pages = (users / 100).max(1);
    for (id, order) in [
        ("page-by-id", "userId"),
        ("page-by-last-name", "lastName"),
        ("page-by-email", "email"),
        ("page-by-created", "createdAt"),
    ] {
        let title = format!("page of 100 with total, any depth, by {order}");
        rows.push(Plan { warms_up: true, ..reading(id, title, page(tokens, order, pages)) });
    }
    rows.extend(searches(seeded, tokens));
    rows
}

fn page(tokens: &Tokens, order: &'static str, pages: u64) -> impl FnMut(&mut Vec<u8>) + use<> {
    let (token, mut dice) = (tokens.huge.clone(), Dice::new(pages));
    move |out| {
        let page = dice.below(pages);
        get(out, &token, format_args!("/api/v1/users?pageSize=100&sortBy={order}&page={page}"));
    }
}

fn searches<'a>(seeded: &'a Seeded, tokens: &'a Tokens) -> Vec<Plan<'a>> {
    let fixed = |id, title: &str, term: &'static str| {
        let ask = |out: &mut Vec<u8>| search(out, &tokens.huge, term);
        reading(id, format!("search, page of 10, {title}"), ask)
    };
    let (names, mut dice) = (Names::new(), Dice::new(seeded.users));
    // The last name and number of one user: nearly always one hit, and a different term each time.
    let rare = move |out: &mut Vec<u8>| {
        let n = dice.below(seeded.users);
        let name = username(&names.of(n), n);
        search(out, &tokens.huge, name.split_once('.').map_or("", |(_, rest)| rest));
    };
    vec![
        reading("search-rare", "search, page of 10, one hit (name.number)".into(), rare),
        fixed("search-common", "common (ann)", "ann"),
        fixed("search-sorted", "common by another order (ann by lastName)", "ann&sortBy=lastName"),
        fixed("search-two", "two characters (an)", "an"),
        fixed("search-one", "one character (e)", "e"),
        fixed("search-none", "no hit (qqzx)", "qqzx"),
        reading(
            "search-small",
            "search, page of 10, in a partner of 20 (ann)".into(),
            |out: &mut Vec<u8>| {
                search(out, &tokens.small, "ann");
            },
        ),
    ]
}

pub(crate) fn search(out: &mut Vec<u8>, token: &str, term: &str) {
    get(out, token, format_args!("/api/v1/users?pageSize=10&search={term}"));
}

/// A word as a value in a query.
pub(crate) fn encoded(word: &str) -> String {
    word.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => {
            text + char::from(byte).encode_utf8(&mut [0; 4])
        }
        byte => text + &format!("%{byte:02X}"),
    })
}

/// Evaluations for the user in all groups. Every second one is for an action that nobody has.
fn evaluate<'a>(seeded: &'a Seeded, tokens: &'a Tokens) -> impl FnMut(&mut Vec<u8>) + 'a {
    let mut dice = Dice::new(1);
    move |out| {
        let action = if dice.below(2) == 0 { "READ" } else { "DELETE" };
        let (user, object) = (seeded.permitted, dice.below(Seeded::OBJECTS));
        let body = format!(
            r#"{{"subject":{{"type":"user","id":"{user}"}},"action":{{"name":"{action}"}},"resource":{{"type":"SEGMENT","id":"{object}"}}}}"#
        );
        post(out, &tokens.huge, "/access/v1/evaluation", &body);
    }
}

/// Logins of a few concurrent clients: each costs a core about 20 ms.
pub(crate) fn logins<'a>(connections: usize) -> Plan<'a> {
    let request = crate::server::token_request(&login());
    let ask = move |out: &mut Vec<u8>| out.extend_from_slice(&request);
    let title = "log in".to_owned();
    Plan { against: Against::Hash, connections, alone: false, ..reading("login", title, ask) }
}

/// A user to create; `name` must be unused.
pub(crate) fn person(names: &Names, name: &str, n: u64) -> String {
    let (first, last) = names.of(n);
    format!(
        r#"{{"username":"{name}-{n}","status":"ACTIVE","firstName":"{first}","lastName":"{last}","email":"{name}-{n}@example.com","title":"Engineer","phoneNumber":"+31 20 1234567"}}"#
    )
}

/// Creates of users whose unused names begin with `name`.
pub(crate) fn ask_create(token: &str, name: String) -> impl FnMut(&mut Vec<u8>) + use<> {
    let (token, names, mut n) = (token.to_owned(), Names::new(), 0_u64);
    move |out| {
        n += 1;
        post(out, &token, "/api/v1/users", &person(&names, &name, n));
    }
}

/// An import of `count` users, each with a hash of another system.
pub(crate) fn import(token: &str, name: &str, count: u64) -> Vec<u8> {
    const HASH: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
    let (mut out, names, mut body) = (Vec::new(), Names::new(), String::new());
    for n in 0..count {
        let person = person(&names, name, n);
        body.push_str(person.trim_end_matches('}'));
        body.push_str(&format!(",\"passwordHash\":\"{HASH}\"}}\n"));
    }
    let _ = write!(
        out,
        "POST /api/v1/users/import HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    out
}

/// Creates of the huge partner.
pub(crate) fn creates(tokens: &Tokens) -> Plan<'_> {
    let ask = ask_create(&tokens.huge, "new".into());
    let title = "create users, each with event, mail and search index".to_owned();
    Plan { against: Against::Loop, alone: false, status: 201, ..reading("create", title, ask) }
}
