//! Exports, and their way back through an import: to the last byte, whatever the values are.

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::binary::Home;
use crate::fixtures::with;
use crate::harness::{Person, START, T, TestResponse, new_user};
use crate::import::{lines, reasons};
use tenantry_core::clock::{DAY, MINUTE, rfc3339};

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

/// A file of tests/field.
pub fn field_file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(name)).unwrap()
}

async fn import(person: &Person<'_>, file: &str, kind: &str) -> TestResponse {
    person.send(Method::POST, "/api/v1/users/import", Some(file.as_bytes().to_vec()), kind).await
}

/// Created, skipped and failed rows.
fn counts(response: &TestResponse) -> [i64; 3] {
    ["created", "skipped", "failed"].map(|name| response.body[name].as_i64().unwrap())
}

async fn export(person: &Person<'_>, query: &str) -> String {
    person.get(&format!("/api/v1/users/export{query}")).await.expect(200).text
}

pub async fn user(person: &Person<'_>, username: &str) -> Value {
    let found = person.get(&format!("/api/v1/users?username={username}")).await.expect(200).body;
    found[0].clone()
}

/// Names of groups that could be taken for something else.
const GROUPS: [&str; 14] = [
    "Editors",
    "2024",
    "007",
    "A;B",
    "a, b",
    "x|y",
    "#12",
    "C# devs",
    "say \"hi\"",
    "\"",
    "=1+1",
    "'q",
    "null",
    "Ærø\u{2028}🙂",
];

/// A text with whatever formats, spreadsheets and parsers give a meaning to.
fn odd_text() -> impl Strategy<Value = String> {
    let texts = [
        "NULL",
        "null",
        "TRUE",
        "#rows",
        "\"",
        "\"\"",
        "'",
        "''",
        "=1+1",
        "+1",
        "-1",
        "@x",
        "0012",
        "1e5",
        "a;b",
        "a,b",
        "\\n",
        "\\",
        "a|b",
        "{}",
        "[1]",
        "<b>",
        "é",
        "e\u{301}",
        "שלום",
        "🙂",
        "a\u{2028}b",
        "\u{a0}x".trim(),
        "{\"rows\":1}",
    ];
    let random = r#"[a-zA-Z0-9,;|"'#=+@/\\{}éñ🙂]{1,12}"#;
    prop_oneof![prop::sample::select(texts.to_vec()).prop_map(str::to_owned), random]
}

fn odd_row() -> impl Strategy<Value = Value> {
    let optional = || prop_oneof![Just(Value::Null), Just(json!("")), odd_text().prop_map(Value::from)];
    let groups = prop::sample::subsequence(GROUPS.to_vec(), 0..4);
    let time = || 0..START;
    (
        (odd_text(), odd_text(), optional(), optional(), optional()),
        (groups, any::<bool>(), any::<bool>(), time(), prop::option::of(time())),
    )
        .prop_map(|(texts, others)| {
            let (first, last, title, phone, display) = texts;
            let (groups, is_admin, is_active, created, login) = others;
            json!({
                "firstName": first, "lastName": last, "title": title, "phoneNumber": phone, "displayName": display,
                "groups": groups, "isAdmin": is_admin, "status": if is_active { "ACTIVE" } else { "LOCKED" },
                "createdAt": rfc3339(created), "lastLoginAt": login.map(rfc3339),
            })
        })
}

#[tokio::test]
async fn any_users_survive_the_way_through_a_file() {
    let here = T::start().await;
    let admin = here.admin().await;
    for group in GROUPS {
        admin.create_group(group).await;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let rows: Vec<Value> = (0..400)
        .map(|n| {
            let row = odd_row().new_tree(&mut runner).unwrap().current();
            let external_id = if n % 2 == 0 { json!(format!("={n}")) } else { Value::Null };
            let own = json!({
                "username": format!("@user,{n}"), "email": format!("u{n}@example.com"), "externalId": external_id,
                "locale": if n % 3 == 0 { json!("en-GB") } else { Value::Null },
            });
            with(&row, own)
        })
        .collect();
    let done = import(&admin, &lines(&rows), NDJSON).await.expect(200);
    assert_eq!(counts(&done), [400, 0, 0], "{:?}", reasons(&done.body));
    for (query, kind) in [("?trailer=true", NDJSON), ("?format=csv&trailer", CSV)] {
        let file = export(&admin, query).await;
        let there = T::start().await;
        let olga = there.admin().await;
        // The same groups with other ids.
        olga.create_group("Root").await;
        for group in GROUPS {
            olga.create_group(group).await;
        }
        let done = import(&olga, &file, kind).await.expect(200);
        assert_eq!(counts(&done), [400, 0, 1], "all but the admin: {:?}", reasons(&done.body));
        let again = export(&olga, query).await;
        for (line, expected) in again.lines().zip(file.lines()) {
            assert_eq!(line, expected);
        }
        assert!(again == file);
    }
    // The rows are those that were sent.
    let file = export(&admin, "").await;
    for (line, row) in file.lines().skip(1).zip(&rows) {
        let line: Value = serde_json::from_str(line).unwrap();
        let mut row = row.clone();
        // A user's groups are in the order of their ids.
        row["groups"] = json!(
            GROUPS
                .iter()
                .filter(|g| row["groups"].as_array().unwrap().contains(&json!(g)))
                .collect::<Vec<_>>()
        );
        assert_eq!(line, row);
    }
}

#[tokio::test]
async fn an_empty_string_is_not_an_absent_value() {
    let (here, there) = (T::start().await, T::start().await);
    let (admin, olga) = (here.admin().await, there.admin().await);
    let eve: Value = serde_json::from_str(&field_file("F37-empty-strings.json")).unwrap();
    admin.create_with(&eve).await;
    admin.create_with(&with(&new_user("fay"), json!({ "displayName": "", "phoneNumber": null }))).await;
    admin.create_with(&with(&new_user("gil"), json!({ "title": null, "displayName": "G" }))).await;
    let file = export(&admin, "?format=csv").await;
    assert!(file.contains("eve@example.com,\"\",\"\",,"), "{file}");
    assert_eq!(counts(&import(&olga, &file, CSV).await.expect(200)), [3, 0, 1]);
    for (name, expected) in
        [("eve", json!(["", "", null])), ("fay", json!([null, null, ""])), ("gil", json!([null, null, "G"]))]
    {
        let user = user(&olga, name).await;
        assert_eq!(json!([user["title"], user["phoneNumber"], user["displayName"]]), expected, "{name}");
    }
    // Programs that put every cell in quotes mean nothing by it where a value cannot be empty.
    let quoted = "\"username\",\"status\",\"firstName\",\"lastName\",\"email\",\"groups\",\"isAdmin\",\"externalId\",\"createdAt\"\n\
                  \"hal\",\"ACTIVE\",\"H\",\"L\",\"h@example.com\",\"\",\"\",\"\",\"\"\n";
    let done = import(&olga, quoted, CSV).await.expect(200);
    assert_eq!(counts(&done), [1, 0, 0], "{:?}", reasons(&done.body));
}

#[tokio::test]
async fn a_spreadsheet_can_be_kept_from_formulas() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, mal) = t.member("mal").await;
    let change: Value = serde_json::from_str(&field_file("F36-self-update.json")).unwrap();
    mal.put("/api/v1/users/self/update", &change).await.expect(200);
    let group = admin.create_group("=group").await;
    let sly = json!({ "username": "@sly", "externalId": "-1", "displayName": "＝1", "groups": [group] });
    admin.create_with(&with(&new_user("sly"), sly)).await;
    let bare = export(&admin, "?format=csv").await;
    assert!(
        bare.contains(",\"=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",+1+1,mal@example.com,@SUM(1),-2+3,"),
        "{bare}"
    );
    assert!(bare.contains("\r\n@sly,") && bare.contains(",=group,false,-1,＝1,"), "{bare}");
    assert_eq!(bare, export(&admin, "?format=csv&formulas=bare").await);
    let quoted = export(&admin, "?format=csv&formulas=quote&trailer=true").await;
    assert!(
        quoted.contains(",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",'+1+1,mal@example.com,'@SUM(1),'-2+3,"),
        "{quoted}"
    );
    assert!(quoted.contains("\r\n'@sly,") && quoted.contains(",'=group,false,'-1,'＝1,"), "{quoted}");
    assert!(quoted.ends_with("\r\n#rows,3\r\n"));
    assert_eq!(export(&admin, "?formulas=quote").await, export(&admin, "").await, "only CSV is affected");
    for (query, fault) in
        [("?formulas=maybe&format=csv", "formulas wrong-value"), ("?trailer=maybe", "trailer wrong-value")]
    {
        let response = admin.get(&format!("/api/v1/users/export{query}")).await.expect(400);
        assert_eq!(response.faults(), [fault]);
    }
}

#[tokio::test]
async fn groups_travel_by_name() {
    let (here, there) = (T::start().await, T::start().await);
    let (admin, olga) = (here.admin().await, there.admin().await);
    for (name, group) in [("gus", "2024"), ("hal", "A;B"), ("ida", "#1"), ("jon", "a, \"b\"")] {
        let id = admin.create_group(group).await;
        admin.create_with(&with(&new_user(name), json!({ "groups": [id] }))).await;
    }
    let mut ids = Vec::new();
    for group in ["Payroll", "Root", "2024", "A;B", "#1", "a, \"b\""] {
        ids.push(olga.create_group(group).await);
    }
    let groups = async |names: &[&str]| {
        let mut found = Vec::new();
        for name in names {
            found.push(user(&olga, name).await["groups"].clone());
        }
        found
    };
    let file = export(&admin, "?format=csv").await;
    assert!(file.contains(",\"\"\"2024\"\"\",false,") && file.contains(",\"\"\"A;B\"\"\",false,"), "{file}");
    assert_eq!(counts(&import(&olga, &file, CSV).await.expect(200)), [4, 0, 1]);
    let expected: Vec<Value> = ids[2..].iter().map(|id| json!([id])).collect();
    assert_eq!(groups(&["gus", "hal", "ida", "jon"]).await, expected);

    // Digits of an earlier version were ids, of a server that is not this one.
    olga.post(
        "/api/v1/users/bulk-delete",
        &json!([user(&olga, "gus").await["userId"], user(&olga, "hal").await["userId"]]),
    )
    .await
    .expect(204);
    let done = import(&olga, &field_file("X08-exported.csv"), CSV).await.expect(200);
    assert_eq!(
        (counts(&done), reasons(&done.body)),
        (
            [0, 0, 2],
            vec![String::from("2 /groups ambiguous-group"), String::from("3 /groups ambiguous-group"),]
        )
    );
    let detail = done.body["rejected"][0]["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("write #1 for the id, or \"1\" in quotes"), "{detail}");
    // As people write them: an id, a year that is no id, both, and in quotes.
    let first = "username,status,firstName,lastName,email,groups";
    let file = format!(
        "{first}\nkim,INACTIVE,K,K,k@example.com,#{};\nlea,INACTIVE,L,L,l@example.com,Payroll; 2024\n\
         mia,INACTIVE,M,M,m@example.com,\"\"\"2024\"\" ; Root\"\nned,INACTIVE,N,N,n@example.com,1999\n",
        ids[1]
    );
    let done = import(&olga, &file, CSV).await.expect(200);
    assert_eq!(
        (counts(&done), reasons(&done.body)),
        ([3, 0, 1], vec![String::from("5 /groups unknown-group")])
    );
    assert_eq!(
        groups(&["kim", "lea", "mia"]).await,
        [json!([ids[1]]), json!([ids[0], ids[2]]), json!([ids[1], ids[2]])]
    );
}

#[tokio::test]
async fn users_bring_the_times_of_their_creation_and_last_login() {
    let t = T::start().await;
    t.clock.advance(60 * DAY);
    let admin = t.admin().await;
    let now = rfc3339(START + 60 * DAY);
    let listed = field_file("F26-as-listed.ndjson");
    let done = import(&admin, &listed, NDJSON).await.expect(200);
    assert_eq!(counts(&done), [2, 0, 0], "{:?}", reasons(&done.body));
    let done = import(&admin, &field_file("F26-createdAt.csv"), CSV).await.expect(200);
    assert_eq!(counts(&done), [1, 0, 0], "{:?}", reasons(&done.body));
    let kim = user(&admin, "kim").await;
    assert_eq!(json!([kim["createdAt"], kim["updatedAt"]]), json!(["2019-03-01T10:00:00.000Z", now]));
    let u0 = user(&admin, "u0").await;
    assert_eq!(json!([u0["createdAt"], u0["pid"]]), json!(["2026-01-02T03:04:05.678Z", 1]));
    // Other spellings, and a clock that is ahead.
    let ahead = rfc3339(START + 60 * DAY + MINUTE);
    let row = |name: &str, more: Value| with(&with(&new_user(name), json!({ "status": "INACTIVE" })), more);
    let rows = [
        row(
            "lea",
            json!({ "createdAt": "2018-01-01T00:00:00+01:00", "lastLoginAt": "2017-01-01T00:00:00.5Z" }),
        ),
        row(
            "mia",
            json!({ "createdAt": null, "lastLoginAt": ahead, "userId": "x", "pid": null, "updatedAt": 7 }),
        ),
        row("ned", json!({ "createdAt": "1970-01-01T00:00:00Z" })),
        row("ola", json!({ "createdAt": "2018-01-01" })),
        row("pia", json!({ "createdAt": "2018-01-01T00:00:00", "lastLoginAt": 5 })),
        row("quy", json!({ "createdAt": "2100-01-01T00:00:00Z", "lastLoginAt": "1969-12-31T23:59:59Z" })),
    ];
    let done = import(&admin, &lines(&rows), NDJSON).await.expect(200);
    assert_eq!(counts(&done), [3, 0, 3]);
    let expected = [
        "4 /createdAt invalid-time",
        "5 /createdAt invalid-time",
        "5 /lastLoginAt wrong-type",
        "6 /createdAt future-time",
        "6 /lastLoginAt out-of-range",
    ];
    assert_eq!(reasons(&done.body), expected);
    let times = async |name: &str| {
        let user = user(&admin, name).await;
        json!([user["createdAt"], user["lastLoginAt"]])
    };
    assert_eq!(times("lea").await, json!(["2017-12-31T23:00:00.000Z", "2017-01-01T00:00:00.500Z"]));
    assert_eq!(times("mia").await, json!([now, now]));
    // Ids ascend with the import; each order is right, also page by page and in what is counted.
    let names = async |query: &str| {
        let mut names = Vec::new();
        for page in 0..4 {
            let page = admin.get(&format!("/api/v1/users?{query}&page={page}&pageSize=2")).await.expect(200);
            names.extend(page.list().iter().map(|user| user["username"].as_str().unwrap().to_owned()));
        }
        names.join(" ")
    };
    assert_eq!(names("sortBy=userId").await, "admin u0 u1 kim lea mia ned");
    assert_eq!(names("sortBy=createdAt").await, "ned lea kim u0 u1 admin mia");
    assert_eq!(names("sortBy=createdAt&descending").await, "mia admin u1 u0 kim lea ned");
    assert_eq!(names("sortBy=lastLoginAt&descending").await, "mia admin lea ned kim u1 u0");
    // Who logs in again has a later one.
    let ned = user(&admin, "ned").await;
    assert_eq!(ned["lastLoginAt"], Value::Null);
    let response = admin.patch(&format!("/api/v1/users/{}", ned["userId"]), &json!({ "title": "T" })).await;
    assert_eq!(response.expect(200).body["createdAt"], "1970-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    let t = T::start().await;
    let admin = t.admin().await;
    for name in ["ann", "ben", "cyd"] {
        admin.create_with(&with(&new_user(name), json!({ "status": "INACTIVE" }))).await;
    }
    let there = T::start().await;
    let olga = there.admin().await;
    for (query, kind, last) in
        [("?trailer=true", NDJSON, "{\"rows\":4}"), ("?format=csv&trailer=true", CSV, "#rows,4")]
    {
        let file = export(&admin, query).await;
        let whole: Vec<&str> = file.lines().collect();
        assert_eq!(*whole.last().unwrap(), last);
        let without_one: Vec<&str> = whole.iter().filter(|line| !line.contains("ben@")).copied().collect();
        let twice = [&whole[..], &whole[whole.len() - 2..whole.len() - 1]].concat();
        for (rows, code, told) in [
            (without_one, "wrong-number-of-rows", "says that the file has 4 rows, but there are 3"),
            (twice, "rows-after-end", "follows the line that ends an export"),
        ] {
            let response = import(&olga, &rows.join("\n"), kind).await.expect(400);
            assert_eq!(response.faults(), [format!(" {code}")]);
            assert!(response.text.contains(told), "{}", response.text);
        }
        assert_eq!(
            olga.get("/api/v1/users?page=0").await.expect(200).body["total"],
            1,
            "nothing is imported"
        );
    }
    // Blank lines may follow, and commas of a spreadsheet.
    let file =
        export(&admin, "?format=csv&trailer=true").await.replace("#rows,4", "#rows,4,,,,,\r\n,,,,,,,,,,,,,");
    assert_eq!(counts(&import(&olga, &file, CSV).await.expect(200)), [3, 1, 1]);
    let chunk = lines(
        &(0..6_000)
            .map(|n| with(&new_user(&format!("user{n}")), json!({ "status": "INACTIVE" })))
            .collect::<Vec<_>>(),
    );
    let response = import(&olga, &format!("{chunk}{{\"rows\":6001}}\n"), NDJSON).await.expect(400);
    assert!(response.text.contains("but there are 6000 before it"), "{}", response.text);
    assert!(response.text.contains("; the first 5000 rows were imported"), "{}", response.text);
}

#[test]
fn the_command_writes_and_checks_the_number_of_rows() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    let rows: Vec<Value> = ["=ann", "ben"]
        .map(|name| with(&new_user(name), json!({ "status": "INACTIVE", "email": "a@example.com" })))
        .into();
    std::fs::write(home.path().join("rows.ndjson"), lines(&rows)).unwrap();
    home.json("import rows.ndjson --partner 1");
    assert!(home.command("export --partner 1").done().ends_with("\n{\"rows\":3}\n"));
    home.command("export --partner 1 --format csv --output all.csv").done();
    let file = std::fs::read_to_string(home.path().join("all.csv")).unwrap();
    assert!(file.contains("\r\n=ann,") && file.ends_with("\r\n#rows,3\r\n"), "{file}");
    let quoted = home.command("export --partner 1 --format csv --formulas quote").done();
    assert!(quoted.contains("\r\n'=ann,") && quoted.ends_with("\r\n#rows,3\r\n"), "{quoted}");
    let refused = home.command("export --partner 1 --formulas quote").refused(1);
    assert!(refused.contains("only for --format csv"), "{refused}");
    let other = Home::new();
    assert_eq!(other.serve().terminate().code, Some(0));
    std::fs::write(other.path().join("cut.csv"), file.replace("#rows,3", "#rows,300")).unwrap();
    for line in ["import cut.csv --partner 1", "import cut.csv --partner 1 --dry-run"] {
        let refused = other.command(line).refused(1);
        assert!(
            refused.contains("line 5 says that the file has 300 rows, but there are 3 before it"),
            "{refused}"
        );
    }
    std::fs::write(other.path().join("all.csv"), file).unwrap();
    let ended = other.command("import all.csv --partner 1");
    assert!(ended.out.starts_with("created: 2\nupdated: 0\nskipped: 0\nrejected: 1\n"), "{}", ended.out);
    assert!(ended.err.contains("1 of 3 rows were rejected"), "{}", ended.err);
}
