//! Users that come from elsewhere over HTTP, and all of them as rows again.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Bytes, Frame};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use tenantry_core::clock::DAY;
use tenantry_core::error::Error;
use tenantry_core::model::{GroupId, PartnerId, Profile, Status};
use tenantry_core::values;
use tenantry_domain::unit;
use tenantry_domain::user_import::{
    self, BatchStrategy, ImportOptions, ImportRow, ImportedUser, RowContent, RowPlace,
};
use tenantry_domain::users::{BroughtTimes, NewUser};
use tenantry_passwords::ImportedHash;
use tenantry_store::access::{Admin, Operator};
use tenantry_store::engine::tx::Tx;

use crate::databases::is_postgres;
use crate::fixtures::{with, without};
use crate::foreign_hashes::{BCRYPT, OLD, SSHA};
use crate::harness::{Person, T, TestResponse, new_user};
use crate::user_fields::nulls;

const IMPORT: &str = "/api/v1/users/import";
const NDJSON: &str = "application/x-ndjson";

/// Rows as they stand in a file.
pub fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn idle(name: &str) -> Value {
    with(&new_user(name), json!({ "status": "INACTIVE" }))
}

async fn import(person: &Person<'_>, query: &str, rows: &[Value]) -> TestResponse {
    person.send(Method::POST, &format!("{IMPORT}{query}"), Some(lines(rows).into_bytes()), NDJSON).await
}

async fn keyed(person: &Person<'_>, key: &str, body: String) -> TestResponse {
    let request = person.request(Method::POST, IMPORT).header("idempotency-key", key);
    TestResponse::of(request.header("content-type", NDJSON).body(body).send().await.unwrap()).await
}

async fn total(person: &Person<'_>) -> i64 {
    person.get("/api/v1/users?page=0").await.expect(200).body["total"].as_i64().unwrap()
}

/// How many rows were created, updated, skipped and rejected.
pub fn counts(response: &Value) -> [u64; 4] {
    ["created", "updated", "skipped", "failed"].map(|name| response[name].as_u64().unwrap())
}

/// `line field code` of each reason for which rows were rejected.
pub fn reasons(response: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for row in response["rejected"].as_array().unwrap() {
        for error in row["errors"].as_array().unwrap() {
            let word = |name: &str| error[name].as_str().unwrap().to_owned();
            all.push(format!("{} {} {}", row["line"], word("field"), word("code")));
        }
    }
    all
}

#[tokio::test]
async fn rows_become_the_users_that_creates_would_make() {
    let t = T::start().await;
    let admin = t.admin().await;
    t.secret(OLD);
    t.secret(BCRYPT);
    let (editors, sailors) = (admin.create_group("Editors").await, admin.create_group("Ærø Sailors").await);
    let mails = t.mails().await.len();
    let rows = [
        with(&new_user("bea"), json!({ "groups": ["EDITORS", sailors, editors], "passwordHash": BCRYPT })),
        with(
            &new_user("sofia"),
            json!({ "isAdmin": "true", "externalId": "x-1", "title": "T", "passwordHash": SSHA }),
        ),
        with(&new_user("nils"), json!({ "passwordHash": null, "groups": ["ærø sailors"], "pid": 1 })),
        with(&new_user("idle"), json!({ "status": "INACTIVE", "passwordHash": BCRYPT })),
    ];
    let response = import(&admin, "", &rows).await.expect(200).body;
    let counts = json!({ "created": 4, "updated": 0, "skipped": 0, "failed": 0, "droppedHashes": 0 });
    assert_eq!(response, with(&counts, json!({ "rejected": [], "dropped": [] })));
    assert_eq!(total(&admin).await, 5);
    let users = admin.everybody().await;
    let find = |name: &str| users.as_array().unwrap().iter().find(|u| u["username"] == name).unwrap().clone();
    assert_eq!(find("bea")["groups"], json!([editors, sailors]));
    let alone = admin.create_with(&with(&new_user("alone"), json!({ "groups": [sailors] }))).await;
    let own = ["userId", "username", "email", "firstName", "lastName"];
    assert_eq!(without(&find("nils"), &own), without(&alone, &own));
    let page = admin.get("/api/v1/users?search=x-1&page=0").await.expect(200);
    assert_eq!((&page.body["total"], &page.list()[0]["isAdmin"]), (&json!(1), &json!(true)));
    let group = admin.get(&format!("/api/v1/groups/{sailors}")).await.expect(200).body;
    assert_eq!(group["membershipCount"], 3);
    // Nobody was mailed but the one made by hand, and no hash is in an event.
    assert_eq!(t.mails().await.len(), mails + 1);
    let events = admin.events().await;
    assert_eq!(events.iter().filter(|e| e["type"] == "user.created").count(), 6);
    assert!(!json!(events).to_string().contains("abcdefghijklmnopqrstuu"));
    // Who came with a password has it, for good; who came without one asks for one.
    for name in ["bea", "sofia"] {
        t.login(name, OLD).await.get("/api/v1/self").await.expect(200);
    }
    t.try_login("idle", OLD).await.expect(400);
    t.try_login("nils", OLD).await.expect(400);
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "nils" })).await.expect(202);
    t.login("nils", &t.mailed_password("nils").await).await;
    let idle = find("idle")["userId"].clone();
    admin.patch(&format!("/api/v1/users/{idle}"), &json!({ "status": "ACTIVE" })).await.expect(200);
    t.login("idle", OLD).await;
    assert!(t.mails_to("idle@example.com").await.is_empty(), "it has a password");
}

#[tokio::test]
async fn a_bad_row_is_reported_with_its_line_and_does_not_stop_the_others() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    admin.create_with(&with(&new_user("taken"), json!({ "externalId": "x" }))).await;
    let mails = t.mails().await.len();
    let dear = BCRYPT.replace("$05$", "$15$");
    let faulty = json!({ "username": "a b", "status": "gone", "x": 1, "groups": ["Nobody", group, 77] });
    let rows = [
        with(&idle("one"), json!({ "groups": [group] })).to_string(),
        with(&idle("TAKEN"), json!({ "groups": [group] })).to_string(),
        String::new(),
        faulty.to_string(),
        with(&idle("two"), json!({ "externalId": "x" })).to_string(),
        String::from("{\"username\": \"broken\""),
        idle("ONE").to_string(),
        with(&idle("dear"), json!({ "passwordHash": dear })).to_string(),
        with(&idle("plain"), json!({ "passwordHash": "Plain.Text-Pass-1" })).to_string(),
        String::from("[1]"),
        with(&idle("groups"), json!({ "groups": "Editors" })).to_string(),
        with(&idle("nul"), json!({ "groups": ["a\u{0}b"], "passwordHash": "\u{0}" })).to_string(),
        format!("{{\"username\":\"{}\"}}", "x".repeat(70_000)),
        idle("three").to_string(),
        // What a rejected row would have taken is free for a later one; what a good one takes is not.
        with(&idle("four"), json!({ "externalId": "x" })).to_string(),
        with(&idle("four"), json!({ "externalId": "y" })).to_string(),
        with(&idle("five"), json!({ "externalId": "y" })).to_string(),
    ];
    let body = rows.join("\n").into_bytes();
    let response = admin.send(Method::POST, IMPORT, Some(body), NDJSON).await.expect(200).body;
    assert_eq!((&response["created"], &response["failed"]), (&json!(3), &json!(13)));
    let expected = [
        "2 /username username-taken",
        "4 /username invalid-username",
        "4 /status unknown-status",
        "4 /x unknown-field",
        "4 /groups unknown-group",
        "4 /firstName required",
        "4 /lastName required",
        "4 /email required",
        "5 /externalId external-id-taken",
        "6  malformed-json",
        "7 /username username-taken",
        "8 /passwordHash hash-too-expensive",
        "9 /passwordHash unknown-hash",
        "10  wrong-type",
        "11 /groups wrong-type",
        "12 /groups unknown-group",
        "12 /passwordHash unknown-hash",
        "13  row-too-long",
        "15 /externalId external-id-taken",
        "17 /externalId external-id-taken",
    ];
    assert_eq!(reasons(&response), expected);
    assert!(!response.to_string().contains("Plain.Text"), "a password is told to nobody");
    let unknown = response["rejected"][1]["errors"][3]["detail"].as_str().unwrap();
    assert_eq!(unknown, "there is no group \"Nobody\", 77 in this partner");
    // A create alone says the same.
    let faulty = with(&faulty, json!({ "groups": [77] }));
    let alone = admin.post("/api/v1/users", &faulty).await.expect(400);
    assert_eq!(alone.faults(), expected[1..8].iter().map(|e| e[2..].to_owned()).collect::<Vec<_>>());
    // Nothing is left of them.
    assert_eq!(total(&admin).await, 5);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!(group["membershipCount"], 1);
    assert_eq!(t.mails().await.len(), mails);
    admin.create("two").await;
    // A thousand of them are told, all are counted.
    let many: Vec<Value> = (0..1_100).map(|_| json!({})).collect();
    let response = import(&admin, "", &many).await.expect(200).body;
    assert_eq!((&response["failed"], response["rejected"].as_array().unwrap().len()), (&json!(1_100), 1_000));
}

#[tokio::test]
async fn records_of_csv_are_rows_like_any_other() {
    let t = T::start().await;
    let admin = t.admin().await;
    t.secret(OLD);
    let group = admin.create_group("Editors, all").await;
    let file = format!(
        "\u{feff}username,status,firstName,lastName,email,title,groups,isAdmin,passwordHash\r\n\
         bea,ACTIVE,Bea,\"O \"\"B\"\" Neil\",bea@example.com,,\"#{group};Editors, all\",true,{BCRYPT}\r\n\
         \r\n\
         cid,ACTIVE,\"C\nid\",Cid,cid@example.com,,,maybe,\r\n\
         dan,INACTIVE,Dan,Dan,dan@example.com,Captain,,,\r\n\
         eve,ACTIVE,Eve\r\n\
         ,,,,,,,,\r\n\
         , ,,,,,,,\r\n"
    );
    let csv = async |file: String, kind: &str| {
        admin.send(Method::POST, IMPORT, Some(file.into_bytes()), kind).await
    };
    let response = csv(file, "text/csv; charset=UTF-8").await.expect(200).body;
    assert_eq!(counts(&response), [2, 0, 2, 2]);
    assert_eq!(
        (&response["rejected"][0]["record"], &response["rejected"][1]["record"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(
        reasons(&response),
        [
            "4 /firstName control-character",
            "4 /isAdmin wrong-type",
            "7 /lastName required",
            "7 /email required"
        ]
    );
    let bea = t.login("bea", OLD).await.get("/api/v1/self").await.expect(200).body;
    assert_eq!(
        json!([bea["lastName"], bea["title"], bea["groups"], bea["isAdmin"]]),
        json!(["O \"B\" Neil", null, [group], true])
    );
    // What is wrong with the first line is wrong with all: nothing is read.
    let response = csv(String::from("username,nick\nx,y\n"), "text/csv").await.expect(400);
    assert_eq!(response.faults(), ["/nick unknown-field"]);
    csv(String::new(), "text/csv").await.expect(400);
    for kind in ["application/json", "text/plain", "text/csv; charset=latin1", ""] {
        assert_eq!(
            csv(String::from("{}"), kind).await.expect(415).body["code"],
            "unsupported-media-type",
            "{kind}"
        );
    }
    let response = import(&admin, "?dryrun=true&sendMail=maybe", &[]).await.expect(400);
    assert_eq!(response.body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(import(&admin, "", &[]).await.expect(200).body["created"], 0);
}

#[tokio::test]
async fn a_dry_run_reports_effects_and_changes_nothing() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("taken").await;
    let before = (admin.everybody().await, admin.events().await.len(), t.mails().await.len());
    let mut rows: Vec<Value> = (0..2_100).map(|n| idle(&format!("user{n}"))).collect();
    rows[7] = new_user("taken");
    rows[20] = with(&rows[20], json!({ "externalId": "x" }));
    // Each in another batch than the row that it repeats.
    rows[1_500] = new_user("User3");
    rows[2_050] = with(&rows[2_050], json!({ "externalId": "x" }));
    let told = import(&admin, "?dryRun=true&sendMail=true", &rows).await.expect(200).body;
    assert_eq!((&told["dryRun"], &told["status"]), (&json!(true), &json!(200)));
    let expected =
        ["8 /username username-taken", "1501 /username username-taken", "2051 /externalId external-id-taken"];
    assert_eq!(reasons(&told["result"]), expected);
    let after = (admin.everybody().await, admin.events().await.len(), t.mails().await.len());
    assert_eq!(before, after);
    let done = import(&admin, "", &rows).await.expect(200).body;
    assert_eq!(reasons(&done), expected);
    assert_eq!((&done["created"], &done["failed"]), (&told["result"]["created"], &told["result"]["failed"]));
    assert_eq!(done["created"], 2_097);
}

#[tokio::test]
async fn mail_is_sent_only_where_it_is_expected() {
    let t = T::start().await;
    let admin = t.admin().await;
    let rows = [
        new_user("nora"),
        with(&new_user("hana"), json!({ "passwordHash": SSHA })),
        with(&new_user("ivan"), json!({ "status": "INACTIVE" })),
    ];
    let response = import(&admin, "?sendMail=true", &rows).await.expect(200).body;
    assert_eq!(response["created"], 3);
    t.login("nora", &t.mailed_password("nora").await).await;
    for name in ["hana", "ivan"] {
        assert!(t.mails_to(&format!("{name}@example.com")).await.is_empty(), "{name}");
    }
}

type Piece = Result<Vec<u8>, std::io::Error>;

/// A body that is sent as the test goes on; dropping the sender ends it, an error breaks it off.
struct Pieces(mpsc::Receiver<Piece>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(|bytes| Frame::data(bytes.into()))))
    }
}

fn piecewise() -> (mpsc::Sender<Piece>, reqwest::Body) {
    let (sender, pieces) = mpsc::channel(1);
    (sender, reqwest::Body::wrap(Pieces(pieces)))
}

/// Waits until the partner has so many users.
async fn reach(person: &Person<'_>, users: i64) {
    for _ in 0..1_000 {
        if total(person).await == users {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there are {} users, not {users}", total(person).await);
}

fn batch(from: usize, count: usize) -> String {
    lines(&(from..from + count).map(|n| idle(&format!("user{n}"))).collect::<Vec<_>>())
}

#[tokio::test]
async fn rows_are_stored_as_they_arrive_and_others_write_in_between() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (pieces, body) = piecewise();
    let request = admin.request(Method::POST, IMPORT).header("content-type", NDJSON).body(body);
    let importing = tokio::spawn(request.send());
    for n in 0..3 {
        pieces.send(Ok(batch(n * 1_000, 1_000).into_bytes())).await.unwrap();
        // They are stored before the next have come.
        reach(&admin, i64::try_from((n + 1) * 1_001).unwrap()).await;
        admin.create(&format!("between{n}")).await;
    }
    // More than any other body may have, in all.
    let filler = "x".repeat(60_000);
    for _ in 0..90 {
        pieces.send(Ok(format!("{{\"title\":\"{filler}\"}}\n").into_bytes())).await.unwrap();
    }
    drop(pieces);
    let response = TestResponse::of(importing.await.unwrap().unwrap()).await.expect(200).body;
    assert_eq!((&response["created"], &response["failed"]), (&json!(3_000), &json!(90)));
    assert_eq!(response["rejected"][0]["line"], 3_001);
}

#[tokio::test]
async fn others_write_while_a_batch_is_stored() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let rows: Vec<Value> =
        (0..4_000).map(|n| with(&idle(&format!("user{n}")), json!({ "groups": ["Editors"] }))).collect();
    // The import ends its transaction for each of them that it keeps waiting, and goes on in another.
    let has_ended = std::cell::Cell::new(false);
    let create = async {
        let mut count = 0;
        while !has_ended.get() {
            admin.create(&format!("beside{count}")).await;
            count += 1;
        }
        count
    };
    let whole = async {
        let response = keyed(&admin, "beside", lines(&rows)).await.expect(200);
        has_ended.set(true);
        response
    };
    let (response, beside) = tokio::join!(whole, create);
    assert_eq!((&response.body["created"], &response.body["failed"]), (&json!(4_000), &json!(0)));
    assert_eq!(total(&admin).await, 4_001 + beside);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!(group["membershipCount"], 4_000);
    // It is known to be done, to the last row.
    let again = keyed(&admin, "beside", lines(&rows)).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &response.body));
    assert_eq!(total(&admin).await, 4_001 + beside);
}

/// A row that was read.
fn row(n: usize, name: &str, group: GroupId) -> ImportRow {
    let new = NewUser {
        username: values::username(name).unwrap(),
        status: Status::Inactive,
        profile: Profile {
            first_name: String::from("Ida"),
            last_name: String::from("Idle"),
            email: format!("{name}@example.com"),
            ..Profile::default()
        },
        groups: vec![group],
        is_admin: false,
    };
    let at = n as u64 + 1;
    let user = ImportedUser { new, password_hash: ImportedHash::None, times: BroughtTimes::default() };
    ImportRow { place: RowPlace { record: at, line: at }, content: RowContent::User(Box::new(user)) }
}

#[tokio::test]
async fn a_batch_yields_and_continues_in_another_transaction() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = GroupId(admin.create_group("Editors").await);
    let by = Operator::of_this_machine().as_admin_of(PartnerId(1));
    let store = &t.app.store;
    let rows: Vec<ImportRow> = (0..1_100).map(|n| row(n, &format!("user{n}"), group)).collect();
    let places = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::clone(&places);
    let part = move |tx: &mut Tx<'_, Admin>, strategy, at, (): &()| {
        begun.lock().unwrap().push(at);
        let outcomes = user_import::import_batch(tx, &rows[at..], ImportOptions::default(), strategy)?;
        Ok((at + outcomes.len(), ()))
    };
    let mut strategy = BatchStrategy::Optimistic;
    let mut storing = Box::pin(user_import::store_batch(store, &by, &mut strategy, 1_100, (), part));
    let expected = if is_postgres() {
        storing.await.unwrap();
        [0, 1_000]
    } else {
        // Holds the writer until the batch waits for it, and somebody else behind the batch. To be polled is to wait.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let hold = move |_: &mut Tx<'_, _>| {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        };
        let mut holding = Box::pin(unit::write_large(store, &by, hold));
        let mut small = Box::pin(unit::write(store, &by, |_| Ok(())));
        assert!(
            has_begun(&mut holding).await && has_begun(&mut storing).await && has_begun(&mut small).await
        );
        go.send(()).unwrap();
        let (holding, storing, small) = tokio::join!(holding, storing, small);
        assert!(holding.is_ok() && storing.is_ok() && small.is_ok());
        [0, 500]
    };
    assert_eq!(*places.lock().unwrap(), expected);
    assert_eq!(total(&admin).await, 1_101);
    let group = admin.get(&format!("/api/v1/groups/{}", group.0)).await.expect(200).body;
    assert_eq!(group["membershipCount"], 1_100);
}

/// Has a future run until it waits; whether it does.
async fn has_begun<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_batch_with_a_deleted_group_is_stored_row_by_row() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = GroupId(admin.create_group("Editors").await);
    let by = Operator::of_this_machine().as_admin_of(PartnerId(1));
    // Between the reading of rows and the storing of them a group may go.
    let gone = GroupId(group.0 + 1);
    let group_of = |n| if n % 500 == 7 { gone } else { group };
    let name_of = |n| if n == 900 { String::from("user3") } else { format!("user{n}") };
    let rows: Arc<Vec<ImportRow>> = Arc::new((0..1_100).map(|n| row(n, &name_of(n), group_of(n))).collect());
    let create = async |from: usize, strategy| {
        let rows = Arc::clone(&rows);
        let created = unit::write_large(&t.app.store, &by, move |tx| {
            user_import::import_batch(tx, &rows[from..], ImportOptions::default(), strategy)
        });
        created.await.map(|outcomes| {
            let bad: Vec<u64> =
                outcomes.iter().filter(|row| !row.is_created()).map(|row| row.place.line).collect();
            (outcomes.len(), bad)
        })
    };
    let refusal = create(0, BatchStrategy::Optimistic).await;
    assert!(matches!(refusal, Err(Error::Invalid(_))), "{refusal:?}");
    assert_eq!(total(&admin).await, 1, "nothing is left of it");
    assert_eq!(create(0, BatchStrategy::PerRow).await.unwrap(), (1_000, vec![8, 508, 901]));
    assert_eq!(create(1_000, BatchStrategy::PerRow).await.unwrap(), (100, vec![1_008]));
    assert_eq!(total(&admin).await, 1_097);
    let group = admin.get(&format!("/api/v1/groups/{}", group.0)).await.expect(200).body;
    assert_eq!(group["membershipCount"], 1_096);
}

#[tokio::test]
async fn an_interrupted_import_resumes_where_it_stopped() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (pieces, body) = piecewise();
    let request = admin.request(Method::POST, IMPORT).header("idempotency-key", "move-1");
    let importing = tokio::spawn(request.header("content-type", NDJSON).body(body).send());
    let bad = String::from("{}\n");
    let whole = bad.clone() + " \n" + batch(0, 2_500).as_str();
    let bad = bad + " \n";
    pieces.send(Ok((bad + batch(0, 1_200).as_str()).into_bytes())).await.unwrap();
    reach(&admin, 1_201).await;
    pieces.send(Err(std::io::Error::other("the line is cut"))).await.unwrap();
    assert!(importing.await.unwrap().is_err());
    // Another file under this key is none of it.
    let other = batch(5_000, 1_500);
    assert_eq!(
        keyed(&admin, "move-1", other.clone()).await.expect(409).body["code"],
        "idempotency-key-reused"
    );
    assert_eq!(
        keyed(&admin, "move-1", batch(0, 10)).await.expect(409).body["code"],
        "idempotency-key-reused"
    );
    assert_eq!(total(&admin).await, 1_201);
    // The same one goes on; what it tells is of the whole.
    let response = keyed(&admin, "move-1", whole.clone()).await.expect(200);
    assert_eq!(response.header("idempotency-replayed"), "");
    assert_eq!(counts(&response.body), [2_500, 0, 1, 1]);
    assert_eq!(reasons(&response.body)[0], "1 /username required");
    assert_eq!(total(&admin).await, 2_501);
    let again = keyed(&admin, "move-1", whole.clone()).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &response.body));
    assert_eq!(total(&admin).await, 2_501);
    // Without a key, or with another, rows that are there are taken.
    assert_eq!(keyed(&admin, "move-2", whole.clone()).await.expect(200).body["failed"], 2_501);
    // What nobody goes on with is forgotten.
    assert_eq!(t.ask_sql("SELECT count(*) FROM imports")[0][0], "2");
    t.clock.advance(8 * DAY);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().imports, 2);
    assert_eq!(t.ask_sql("SELECT count(*) FROM imports")[0][0], "0");
}

#[tokio::test]
async fn a_demoted_admin_cannot_continue_an_import() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, second) = t.member("second").await;
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "isAdmin": true })).await.expect(200);
    let (pieces, body) = piecewise();
    let request = second.request(Method::POST, IMPORT).header("content-type", NDJSON).body(body);
    let importing = tokio::spawn(request.send());
    pieces.send(Ok(batch(0, 1_000).into_bytes())).await.unwrap();
    reach(&admin, 1_002).await;
    admin.patch(&format!("/api/v1/users/{id}"), &json!({ "isAdmin": false })).await.expect(200);
    let _ = pieces.send(Ok(batch(1_000, 1_000).into_bytes())).await;
    drop(pieces);
    assert_eq!(TestResponse::of(importing.await.unwrap().unwrap()).await.status, 403);
    assert_eq!(total(&admin).await, 1_002);
}

#[tokio::test]
async fn an_export_is_an_import() {
    let t = T::start().await;
    let admin = t.admin().await;
    t.secret(BCRYPT);
    let (_, olga) = t.other_partner("acme").await;
    let rows: Vec<Value> = (0..1_200)
        .map(|n| {
            let groups = if n % 3 == 0 { json!(["Editors, \"all\""]) } else { json!([]) };
            with(
                &idle(&format!("moved{n}")),
                json!({ "groups": groups, "title": "Ü, \"x\"", "externalId": format!("e{n}"), "passwordHash": BCRYPT }),
            )
        })
        .collect();
    for person in [&admin, &olga] {
        person.create_group("Editors, \"all\"").await;
    }
    assert_eq!(import(&admin, "", &rows).await.expect(200).body["created"], 1_200);
    for (query, kind) in
        [("", NDJSON), ("?format=ndjson", NDJSON), ("?format=csv", "text/csv; charset=utf-8")]
    {
        let first = admin.get(&format!("/api/v1/users/export{query}")).await.expect(200);
        assert_eq!(first.header("content-type"), kind);
        assert!(
            !first.text.contains("abcdefghijklmnopqrstuu") && !first.text.contains("password"),
            "no hashes"
        );
        let names = first.text.lines().count();
        assert_eq!(names, if query.contains("csv") { 1_202 } else { 1_201 });
        // The same people, on another server but for their names.
        let file = first.text.replace("moved", "there").replace("admin", "chief");
        let taken =
            olga.send(Method::POST, IMPORT, Some(file.clone().into_bytes()), kind).await.expect(200).body;
        assert_eq!(taken["created"], 1_201, "{:?}", reasons(&taken));
        let there = olga.get(&format!("/api/v1/users/export{query}")).await.expect(200).text;
        let there: Vec<&str> = there.lines().filter(|line| !line.contains("acme")).collect();
        assert_eq!(there, file.lines().collect::<Vec<_>>());
        let ids: Vec<Value> =
            olga.everybody().await.as_array().unwrap().iter().skip(1).map(|u| u["userId"].clone()).collect();
        olga.post("/api/v1/users/bulk-delete", &json!(ids)).await.expect(204);
    }
    assert_eq!(
        admin.get("/api/v1/users/export?format=xml").await.expect(400).faults(),
        ["format unknown-format"]
    );
    admin.get("/api/v1/users/export?x=1").await.expect(400);
    // A row tells what a create takes.
    let text = admin.get("/api/v1/users/export").await.text;
    let row: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        without(&row, &["createdAt", "lastLoginAt"]),
        with(
            &with(&nulls(), without(&rows[0], &["passwordHash"])),
            json!({ "isAdmin": false, "phoneNumber": row["phoneNumber"] })
        )
    );
}
