//! Imports of users who exist already: refused, skipped or updated; by externalId, else by username.

use reqwest::Method;
use serde_json::{Value, json};

use crate::binary::Home;
use crate::export::{field_file, user};
use crate::fixtures::{with, without};
use crate::foreign_hashes::{BCRYPT, OLD, SSHA};
use crate::harness::{Person, T, TestResponse, new_user, password_of};
use crate::import::{lines, reasons};

fn idle(name: &str) -> Value {
    with(&new_user(name), json!({ "status": "INACTIVE" }))
}

async fn import(person: &Person<'_>, query: &str, file: &str) -> TestResponse {
    let path = format!("/api/v1/users/import?existing={query}");
    let kind = if file.starts_with('{') { "application/x-ndjson" } else { "text/csv" };
    person.send(Method::POST, &path, Some(file.as_bytes().to_vec()), kind).await
}

/// Created, updated, skipped and failed rows.
fn counts(result: &Value) -> [i64; 4] {
    ["created", "updated", "skipped", "failed"].map(|name| result[name].as_i64().unwrap())
}

/// A dry run and then the import: both tell the same.
async fn twice(person: &Person<'_>, query: &str, file: &str) -> Value {
    let tried = import(person, &format!("{query}&dryRun=true"), file).await.expect(200);
    let done = import(person, query, file).await.expect(200);
    let tried = &tried.body["result"];
    assert_eq!(
        (counts(tried), reasons(tried)),
        (counts(&done.body), reasons(&done.body)),
        "the dry run and the import"
    );
    done.body
}

#[tokio::test]
async fn the_same_file_again_with_its_errors_corrected() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (first, mended) = (field_file("F25-first.ndjson"), field_file("F25-mended.ndjson"));
    assert_eq!(counts(&twice(&admin, "refuse", &first).await), [9, 0, 0, 1]);
    assert_eq!(counts(&twice(&admin, "refuse", &first).await), [0, 0, 0, 10]);
    assert_eq!(counts(&twice(&admin, "skip", &mended).await), [1, 0, 9, 0]);
    assert_eq!(counts(&twice(&admin, "skip", &mended).await), [0, 0, 10, 0]);
    let events = admin.events().await.len();
    assert_eq!(counts(&twice(&admin, "update", &mended).await), [0, 0, 10, 0]);
    assert_eq!(admin.events().await.len(), events, "what is unchanged is not recorded");
    // The file of the next day.
    let next = mended.replace("u03@example.com", "three@example.com").replacen("Amy", "Ann", 1);
    assert_eq!(counts(&twice(&admin, "update", &next).await), [0, 2, 8, 0]);
    assert_eq!(user(&admin, "u03").await["email"], "three@example.com");
    let events = admin.events().await;
    assert_eq!(events.iter().filter(|event| event["type"] == "user.updated").count(), 2);
    for bad in ["maybe", "Skip", ""] {
        assert_eq!(import(&admin, bad, &first).await.expect(400).faults(), ["existing wrong-value"]);
    }
}

#[tokio::test]
async fn a_user_is_found_by_its_external_id_or_else_by_its_username() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, olga) = t.other_partner("acme").await;
    olga.create_with(&idle("theirs")).await;
    let group = admin.create_group("Editors").await;
    admin
        .create_with(&with(&idle("ann"), json!({ "externalId": "e1", "title": "T", "groups": [group] })))
        .await;
    admin.create_with(&idle("ben")).await;
    admin.create_with(&with(&idle("cyd"), json!({ "externalId": "e3" }))).await;
    let rows = [
        // By its external id, with another username; what the row does not give stays.
        json!({ "externalId": "e1", "username": "anna", "lastName": "Able" }),
        // By its username, which gets an external id.
        json!({ "username": "BEN", "externalId": "e2", "groups": ["Editors"], "createdAt": "2000-01-01T00:00:00Z" }),
        // The same username, but somebody else's external id.
        with(&idle("cyd"), json!({ "externalId": "e4" })),
        // Nobody's, and not complete.
        json!({ "username": "dan", "title": "T" }),
        // Of another partner.
        idle("theirs"),
        // The username that has become free.
        idle("ann"),
        // The username that is taken meanwhile.
        json!({ "externalId": "e3", "username": "anna" }),
        // Errors of a change.
        json!({ "username": "ben", "email": "nope", "nick": "b", "groups": ["Nobody"] }),
        json!({ "externalId": "e3", "title": null, "displayName": "C" }),
    ];
    let done = twice(&admin, "update", &lines(&rows)).await;
    assert_eq!(counts(&done), [1, 3, 0, 5]);
    let response =
        import(&admin, "update&dryRun=true", &lines(&rows[7..8])).await.expect(200).body["result"].clone();
    let expected = ["1 /email invalid-email", "1 /nick unknown-field", "1 /groups unknown-group"];
    assert_eq!(reasons(&response), expected);
    let told: Vec<String> = reasons(&done).into_iter().filter(|reason| !reason.starts_with('8')).collect();
    let expected = [
        "3 /username username-taken",
        "4 /status required",
        "4 /firstName required",
        "4 /lastName required",
        "4 /email required",
        "5 /username username-taken",
        "7 /username username-taken",
    ];
    assert_eq!(told, expected);
    let anna = user(&admin, "anna").await;
    assert_eq!(
        json!([anna["externalId"], anna["lastName"], anna["title"], anna["groups"]]),
        json!(["e1", "Able", "T", [group]])
    );
    let ben = user(&admin, "ben").await;
    assert_eq!(json!([ben["username"], ben["externalId"], ben["groups"]]), json!(["BEN", "e2", [group]]));
    assert!(ben["createdAt"].as_str().unwrap().starts_with("2026-"), "{ben}");
    assert_eq!(user(&admin, "cyd").await["displayName"], "C");
    assert_ne!(user(&admin, "ann").await["userId"], anna["userId"]);
    let group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    assert_eq!(group["membershipCount"], 2);
    // To be skipped a row has to be complete.
    assert_eq!(counts(&twice(&admin, "skip", &lines(&rows)).await), [0, 0, 1, 8]);
    // In CSV an empty cell leaves a value as it is, and `""` makes it empty.
    let csv = "username,title,phoneNumber,groups\nanna,,\"\",\nben,\"B\",,Editors\n";
    assert_eq!(counts(&twice(&admin, "update", csv).await), [0, 2, 0, 0]);
    let anna = user(&admin, "anna").await;
    assert_eq!(json!([anna["title"], anna["phoneNumber"]]), json!(["T", ""]));
    assert_eq!(user(&admin, "ben").await["title"], "B");
}

#[tokio::test]
async fn an_update_keeps_the_rules_of_a_change() {
    let t = T::start().await;
    let admin = t.admin().await;
    t.secret(OLD);
    let (_, fenna) = t.member("fenna").await;
    admin.create_with(&idle("gus")).await;
    admin.create_with(&idle("hal")).await;
    let mails = t.mails().await.len();
    let rows = [
        // The only admin stays one, and the other rows are done.
        json!({ "username": "admin", "isAdmin": false }),
        json!({ "username": "admin", "status": "LOCKED" }),
        json!({ "username": "fenna", "passwordHash": BCRYPT, "title": "Captain" }),
        json!({ "username": "gus", "passwordHash": SSHA, "status": "ACTIVE" }),
        json!({ "username": "hal", "isAdmin": true }),
    ];
    let done = twice(&admin, "update", &lines(&rows)).await;
    assert_eq!(counts(&done), [0, 3, 0, 2]);
    assert_eq!(reasons(&done), ["1  last-admin", "2  last-admin"]);
    // A password is set where there is none, and never replaced.
    t.login("gus", OLD).await;
    t.try_login("fenna", OLD).await.expect(400);
    assert_eq!(fenna.get("/api/v1/users/self").await.expect(200).body["title"], "Captain");
    t.login("fenna", &password_of("fenna")).await;
    assert_eq!(t.mails().await.len(), mails, "who has a password is not mailed one");
    // A user who is locked is logged out.
    let done = twice(&admin, "update", &lines(&[json!({ "username": "fenna", "status": "LOCKED" })])).await;
    assert_eq!(counts(&done), [0, 1, 0, 0]);
    fenna.get("/api/v1/users/self").await.expect(401);
    // Now hal can be the last one.
    let rows =
        [json!({ "username": "hal", "status": "ACTIVE" }), json!({ "username": "admin", "isAdmin": false })];
    assert_eq!(counts(&import(&admin, "update", &lines(&rows)).await.expect(200).body), [0, 2, 0, 0]);
    admin.get("/api/v1/users").await.expect(403);
}

#[tokio::test]
async fn many_rows_with_duplicates_are_reported_as_they_are_stored() {
    let t = T::start().await;
    let admin = t.admin().await;
    let row = |n: usize, title: &str| {
        with(&idle(&format!("user{n}")), json!({ "externalId": format!("e{n}"), "title": title }))
    };
    let half: Vec<Value> = (0..1_000).map(|n| row(n, "old")).collect();
    assert_eq!(counts(&import(&admin, "refuse", &lines(&half)).await.expect(200).body), [1_000, 0, 0, 0]);
    let mut rows: Vec<Value> = (0..2_400).map(|n| row(n, if n < 500 { "new" } else { "old" })).collect();
    // Rows that an earlier one of the file has created or changed; in other batches.
    rows.push(row(1_200, "old"));
    rows.push(row(1_300, "again"));
    rows.push(row(7, "new"));
    rows.push(row(8, "again"));
    rows.push(with(&idle("user1400"), json!({ "externalId": "other" })));
    rows.push(json!({}));
    let skipped = twice(&admin, "skip", &lines(&rows[..10])).await;
    assert_eq!(counts(&skipped), [0, 0, 10, 0]);
    let done = twice(&admin, "update", &lines(&rows)).await;
    assert_eq!(counts(&done), [1_400, 502, 502, 2]);
    let expected = ["2405 /username username-taken", "2406 /username required"];
    assert_eq!(reasons(&done)[..2], expected);
    assert_eq!(counts(&twice(&admin, "skip", &lines(&rows)).await), [0, 0, 2_404, 2]);
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 2_401);
    // The same with a key: done once.
    let again = admin
        .request(Method::POST, "/api/v1/users/import?existing=update")
        .header("idempotency-key", "daily")
        .header("content-type", "application/x-ndjson");
    let send = async |request: reqwest::RequestBuilder| {
        TestResponse::of(request.body(lines(&rows)).send().await.unwrap()).await
    };
    let first = send(again.try_clone().unwrap()).await.expect(200);
    let second = send(again).await.expect(200);
    assert_eq!((first.body, second.header("idempotency-replayed")), (second.body.clone(), "true"));
}

#[test]
fn the_command_skips_updates_and_lists_them() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    std::fs::write(home.path().join("first.ndjson"), field_file("F25-first.ndjson")).unwrap();
    std::fs::write(home.path().join("mended.ndjson"), field_file("F25-mended.ndjson")).unwrap();
    assert_eq!(home.command("import first.ndjson --partner 1").code, Some(1));
    let refused = home.command("import mended.ndjson --partner 1 --dry-run");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("use --existing skip or --existing update"), "{}", refused.err);
    assert_eq!(home.command("import mended.ndjson --partner 1 --existing maybe").code, Some(2));

    let tried = home.command("import mended.ndjson --partner 1 --existing skip --dry-run").done();
    assert!(tried.contains("line 1: skip: username user 2 has this username (existing-user)\n"), "{tried}");
    assert!(tried.ends_with("wouldCreate: 1\nwouldUpdate: 0\nwouldSkip: 9\nwouldReject: 0\n"), "{tried}");
    let line = "import mended.ndjson --partner 1 --existing skip --report skipped";
    let done = home.json(line);
    assert_eq!(
        without(&done, &["seconds", "resumed"]),
        json!({ "created": 1, "updated": 0, "skipped": 9, "rejected": 0 })
    );
    let report = std::fs::read_to_string(home.path().join("skipped")).unwrap();
    let first: Value = serde_json::from_str(report.lines().next().unwrap()).unwrap();
    assert_eq!(
        json!([
            first["record"],
            first["action"],
            first["userId"],
            first["matchedBy"],
            first["errors"][0]["code"]
        ]),
        json!([1, "skip", 2, "username", "existing-user"])
    );
    assert_eq!(home.json(line)["skipped"], 10, "again and again");

    let rows = [
        json!({ "username": "u00", "externalId": "e0" }),
        json!({ "username": "u01" }),
        json!({ "username": "new" }),
    ];
    std::fs::write(home.path().join("rows.ndjson"), lines(&rows)).unwrap();
    let planned = home.command("import rows.ndjson --partner 1 --existing update --plan plan --json");
    assert_eq!(planned.code, Some(1));
    let planned: Value = serde_json::from_str(&planned.out).unwrap();
    let expected = json!({ "wouldCreate": 0, "wouldUpdate": 1, "wouldSkip": 1, "wouldReject": 1 });
    assert_eq!(without(&planned, &["plan"]), expected);
    assert_eq!(home.command("import rows.ndjson --partner 1 --apply plan --existing skip").code, Some(2));
    let done = home.command("import rows.ndjson --partner 1 --apply plan --report report");
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.out.starts_with("created: 0\nupdated: 1\nskipped: 1\nrejected: 1\n"), "{}", done.out);
    let report = std::fs::read_to_string(home.path().join("report")).unwrap();
    let actions: Vec<Value> = report
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| json!([line["action"], line["matchedBy"]]))
        .collect();
    assert_eq!(json!(actions), json!([["update", "username"], ["skip", "username"], ["reject", null]]));
    // The plan is of a state that is gone.
    let refused = home.command("import rows.ndjson --partner 1 --apply plan").refused(1);
    assert!(
        refused.contains("line 1 differs from the plan: it would skip it (unchanged), not update u00"),
        "{refused}"
    );
}
