//! Every text of a user, wherever it can be set and seen. A new one is a row of [`FIELDS`] and a name in [`NAMES`].

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::fixtures::{ids, with, without};
use crate::harness::{Person, T, new_user};
use crate::users::{path_of, required};

/// The fields of a user in the order of responses (B3).
pub const NAMES: [&str; 17] = [
    "pid",
    "userId",
    "username",
    "status",
    "firstName",
    "lastName",
    "email",
    "title",
    "phoneNumber",
    "groups",
    "isAdmin",
    "externalId",
    "displayName",
    "locale",
    "createdAt",
    "updatedAt",
    "lastLoginAt",
];

/// Those that the server sets.
const SERVERS: [&str; 5] = ["pid", "userId", "createdAt", "updatedAt", "lastLoginAt"];

/// Those that an import takes, in order: the columns of CSV.
pub fn portable() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(|name| !["pid", "userId", "updatedAt"].contains(name))
}

/// Those that requests set, in order.
pub fn writable() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(|name| !SERVERS.contains(name))
}

/// A text of a user, as the contract has it (B3, B7, B9, B19, B27).
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    /// Two values, ascending, that are no part of any other value here.
    pub good: [&'static str; 2],
    most: usize,
    bad: &'static [(&'static str, &'static str)],
    is_required: bool,
    pub is_searched: bool,
    is_self_editable: bool,
    is_unique: bool,
}

const NAME: Field = Field {
    name: "",
    good: ["", ""],
    most: 255,
    bad: &[("", "empty"), (" a", "surrounding-space"), ("a\u{7}", "control-character")],
    is_required: true,
    is_searched: true,
    is_self_editable: true,
    is_unique: false,
};

const TEXT: Field = Field {
    bad: &[(" a", "surrounding-space"), ("a\u{7}", "control-character")],
    is_required: false,
    ..NAME
};

#[rustfmt::skip]
pub const FIELDS: [Field; 8] = [
    Field { name: "firstName", good: ["Ingrid", "Zita"], ..NAME },
    Field { name: "lastName", good: ["Lovelace", "Mirzakhani"], ..NAME },
    Field {
        name: "email", good: ["first@example.net", "second@example.net"], most: 254,
        bad: &[("", "empty"), ("nowhere", "invalid-email")], ..NAME
    },
    Field { name: "title", good: ["Archivist", "Zookeeper"], ..TEXT },
    Field { name: "phoneNumber", good: ["+31 20 111", "+49 30 222"], ..TEXT },
    Field {
        name: "externalId", good: ["crm-471", "crm-582"], is_self_editable: false, is_unique: true,
        bad: &[("", "empty"), (" a", "surrounding-space"), ("a\n", "control-character")], ..TEXT
    },
    Field { name: "displayName", good: ["Countess Bee", "Prof. Wren"], ..TEXT },
    Field {
        name: "locale", good: ["de-CH", "pt-BR"], most: 35, is_searched: false,
        bad: &[("", "empty"), ("en_US", "invalid-locale"), (" en", "invalid-locale"), ("in English", "invalid-locale")], ..TEXT
    },
];

fn object(members: impl Iterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Every text that can be null, null.
pub fn nulls() -> Value {
    object(FIELDS.iter().filter(|field| !field.is_required).map(|field| (field.name, Value::Null)))
}

/// Every text, null: as an event of an erased user has it.
pub fn blanked() -> Value {
    object(FIELDS.iter().map(|field| (field.name, Value::Null)))
}

/// A user with the first or the second value of every text.
fn person(username: &str, which: usize) -> Value {
    with(&new_user(username), object(FIELDS.iter().map(|field| (field.name, json!(field.good[which])))))
}

fn texts(user: &Value) -> Value {
    object(FIELDS.iter().map(|field| (field.name, user[field.name].clone())))
}

async fn newest_event(admin: &Person<'_>) -> Value {
    admin.events().await.last().unwrap().clone()
}

#[tokio::test]
async fn every_text_is_set_kept_changed_and_cleared() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create_with(&person("fenna", 0)).await;
    let names: Vec<&String> = user.as_object().unwrap().keys().collect();
    assert_eq!(names, NAMES);
    assert_eq!(texts(&user), texts(&person("fenna", 0)));
    let made = newest_event(&admin).await;
    let made = if made["type"] == "user.created" {
        made
    } else {
        admin.get("/api/v1/events?type=user.created").await.expect(200).list().last().unwrap().clone()
    };
    assert_eq!(texts(&made["after"]), texts(&user));
    let path = path_of(&user);
    assert_eq!(admin.get(&path).await.expect(200).body, user);
    // Nothing is lost by omission (B7), and nothing happens.
    assert_eq!(admin.put(&path, &required(&user)).await.expect(200).body, user);
    assert_eq!(admin.put(&path, &user).await.expect(200).body, user);
    let mut expected = texts(&user);
    for field in FIELDS {
        let (name, [old, new]) = (field.name, field.good);
        let change = |value: Value| json!({ name: value });
        for body in [change(json!(new)), with(&required(&user), with(&expected, change(json!(new))))] {
            admin.patch(&path, &change(json!(old))).await.expect(200);
            let is_patch = body.as_object().unwrap().len() == 1;
            let response =
                if is_patch { admin.patch(&path, &body).await } else { admin.put(&path, &body).await };
            let user = response.expect(200).body;
            expected[name] = json!(new);
            assert_eq!(texts(&user), expected, "{body}");
            let event = newest_event(&admin).await;
            assert_eq!(
                (&event["type"], &event["before"], &event["after"]),
                (&json!("user.updated"), &change(json!(old)), &change(json!(new))),
            );
            assert_eq!(admin.get(&path).await.expect(200).body, user);
        }
        let cleared = admin.patch(&path, &change(Value::Null)).await;
        if field.is_required {
            assert_eq!(cleared.expect(400).faults(), [format!("/{name} wrong-type")]);
        } else {
            expected[name] = Value::Null;
            assert_eq!(texts(&cleared.expect(200).body), expected);
            let event = newest_event(&admin).await;
            assert_eq!((&event["before"], &event["after"]), (&change(json!(new)), &change(Value::Null)));
            admin.patch(&path, &change(json!(new))).await.expect(200);
            let put = with(&required(&user), with(&expected, change(Value::Null)));
            assert_eq!(texts(&admin.put(&path, &put).await.expect(200).body), expected);
        }
    }
    // A create without those that may be left out has null there.
    let bare = admin.create("bare").await;
    assert_eq!(with(&bare, nulls()), bare);
}

#[tokio::test]
async fn every_text_that_is_ones_own_is_ones_own_to_change() {
    let t = T::start().await;
    let (id, fenna) = t.member("fenna").await;
    let (admin, path) = (t.admin().await, format!("/api/v1/users/{id}"));
    admin.patch(&path, &texts(&person("fenna", 0))).await.expect(200);
    let own = async || fenna.get("/api/v1/users/self").await.expect(200).body;
    let update = "/api/v1/users/self/update";
    let user = own().await;
    // What was read can be written back, and what is left out stays (B9).
    assert_eq!(fenna.put(update, &user).await.expect(200).body, user);
    assert_eq!(fenna.put(update, &required(&user)).await.expect(200).body, user);
    let mut expected = texts(&user);
    for field in FIELDS {
        let (name, [old, new]) = (field.name, field.good);
        let change = json!({ name: new });
        let put = with(&required(&user), with(&expected, change.clone()));
        if !field.is_self_editable {
            for response in [fenna.patch("/api/v1/users/self", &change).await, fenna.put(update, &put).await]
            {
                assert_eq!(response.expect(400).faults(), [format!("/{name} read-only")]);
            }
            fenna.patch("/api/v1/users/self", &json!({ name: old })).await.expect(200);
            continue;
        }
        expected[name] = json!(new);
        assert_eq!(texts(&fenna.patch("/api/v1/users/self", &change).await.expect(200).body), expected);
        admin.patch(&path, &json!({ name: old })).await.expect(200);
        assert_eq!(texts(&fenna.put(update, &put).await.expect(200).body), expected);
        if !field.is_required {
            expected[name] = Value::Null;
            let cleared = fenna.patch("/api/v1/users/self", &json!({ name: null })).await.expect(200).body;
            assert_eq!(texts(&cleared), expected);
        }
        assert_eq!(texts(&own().await), expected);
    }
}

#[tokio::test]
async fn every_text_that_several_may_share_is_changed_for_many() {
    let t = T::start().await;
    let admin = t.admin().await;
    let made = [admin.create("one").await, admin.create("two").await];
    for field in FIELDS {
        let body = json!({ "ids": ids(&json!(made)), "patch": { field.name: field.good[1] } });
        let response = admin.patch("/api/v1/users/bulk", &body).await;
        if field.is_unique {
            assert_eq!(response.expect(400).faults(), [format!("/patch/{} not-for-many", field.name)]);
            continue;
        }
        assert_eq!(response.expect(200).body, json!({ "matched": 2, "changed": 2 }));
        for user in &made {
            assert_eq!(admin.get(&path_of(user)).await.expect(200).body[field.name], field.good[1]);
        }
    }
}

#[tokio::test]
async fn an_invalid_text_is_an_error_wherever_it_is_sent() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (id, fenna) = t.member("fenna").await;
    let path = format!("/api/v1/users/{id}");
    let user = admin.get(&path).await.expect(200).body;
    for field in FIELDS {
        let mut bad: Vec<(Value, &str)> =
            field.bad.iter().map(|(value, code)| (json!(value), *code)).collect();
        bad.push((json!("a".repeat(field.most + 1)), "too-long"));
        bad.extend([json!(7), json!(true), json!(["x"]), json!({})].map(|value| (value, "wrong-type")));
        for (value, code) in bad {
            let change = json!({ field.name: value });
            let mut responses = vec![
                admin.post("/api/v1/users", &with(&new_user("eve"), change.clone())).await,
                admin.put(&path, &with(&user, change.clone())).await,
                admin.patch(&path, &change).await,
            ];
            if field.is_self_editable {
                responses.push(fenna.patch("/api/v1/users/self", &change).await);
            }
            for response in responses {
                assert_eq!(response.expect(400).faults(), [format!("/{} {code}", field.name)], "{change}");
            }
        }
    }
    assert_eq!(admin.get(&path).await.expect(200).body, user);
    assert_eq!(admin.get("/api/v1/users?page=0").await.expect(200).body["total"], 2);
}

#[tokio::test]
async fn every_text_survives_export_and_import() {
    let t = T::start().await;
    let admin = t.admin().await;
    let idle = |name: &str, which: usize| with(&person(name, which), json!({ "status": "INACTIVE" }));
    for user in [idle("one", 0), idle("two", 1), with(&new_user("bare"), json!({ "status": "INACTIVE" }))] {
        admin.create_with(&user).await;
    }
    let export = async |person: &Person<'_>, format: &str| {
        person.get(&format!("/api/v1/users/export?format={format}")).await.expect(200).text
    };
    let (ndjson, csv) = (export(&admin, "ndjson").await, export(&admin, "csv").await);
    let row: Value = serde_json::from_str(ndjson.lines().nth(1).unwrap()).unwrap();
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), portable().collect::<Vec<_>>());
    assert_eq!(texts(&row), texts(&person("one", 0)));
    assert_eq!(csv.lines().next().unwrap(), portable().collect::<Vec<_>>().join(","));
    // Usernames are the server's, so they go before they come back.
    let all = admin.everybody().await;
    let users: Vec<Value> = all.as_array().unwrap().iter().skip(1).cloned().collect();
    let settled = |user: &Value| without(user, &["pid", "userId"]);
    let expected: Vec<Value> = users.iter().map(settled).collect();
    for (format, content_type, text) in
        [("ndjson", "application/x-ndjson", &ndjson), ("csv", "text/csv", &csv)]
    {
        let (_, olga) = t.other_partner(format).await;
        let there = admin.everybody().await;
        let there: Vec<i64> = ids(&there).into_iter().filter(|id| *id != 1).collect();
        admin.post("/api/v1/users/bulk-delete", &json!(there)).await.expect(204);
        let body = Some(text.clone().into_bytes());
        let done = olga.send(Method::POST, "/api/v1/users/import", body, content_type).await.expect(200).body;
        assert_eq!((&done["created"], &done["failed"]), (&json!(3), &json!(1)), "the admin is there: {done}");
        let everybody = olga.everybody().await;
        let come: Vec<Value> = everybody.as_array().unwrap().iter().skip(1).map(settled).collect();
        assert_eq!(come, expected, "{format}");
        let there: Vec<i64> = ids(&everybody).into_iter().skip(1).collect();
        olga.post("/api/v1/users/bulk-delete", &json!(there)).await.expect(204);
    }
}

#[tokio::test]
async fn lists_are_sorted_by_every_text() {
    let t = T::start().await;
    let admin = t.admin().await;
    // The second first, so that the order of the ids is another.
    let second = admin.create_with(&person("second", 1)).await["userId"].as_i64().unwrap();
    let first = admin.create_with(&person("first", 0)).await["userId"].as_i64().unwrap();
    let bare = admin.create("bare").await["userId"].as_i64().unwrap();
    for field in FIELDS {
        let list = async |descending: bool| {
            let path = format!("/api/v1/users?page=0&sortBy={}&descending={descending}", field.name);
            ids(&admin.get(&path).await.expect(200).body["list"])
        };
        let mut up = list(true).await;
        up.reverse();
        assert_eq!(up, list(false).await, "{}", field.name);
        if field.is_required {
            up.retain(|id| [first, second].contains(id));
            assert_eq!(up, [first, second], "{}", field.name);
        } else {
            assert_eq!(up, [1, bare, first, second], "null first: {}", field.name);
        }
    }
}

#[tokio::test]
async fn b27_every_searched_text_is_found_until_it_is_removed() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create_with(&person("fenna", 0)).await;
    let (path, id) = (path_of(&user), user["userId"].as_i64().unwrap());
    for n in 0..5 {
        admin.create(&format!("other{n}")).await;
    }
    let find = async |list: &str, term: &str| {
        let response = admin
            .send(
                Method::GET,
                &format!("/api/v1/users{list}?page=0&search={}", term.replace('+', "%2B")),
                None,
                "",
            )
            .await
            .expect(200);
        ids(&response.body["list"])
    };
    for field in FIELDS {
        let [old, new] = field.good;
        let hits = if field.is_searched { vec![id] } else { vec![] };
        // All of it, its end, whatever the case; and two characters, which SQLite finds by another index.
        for term in [old.to_owned(), old[1..].to_uppercase(), old[old.len() - 3..].to_owned()] {
            assert_eq!(find("", &term).await, hits, "{} {term}", field.name);
        }
        admin.patch(&path, &json!({ field.name: new })).await.expect(200);
        assert_eq!((find("", old).await, find("", new).await), (vec![], hits.clone()), "{}", field.name);
    }
    admin.delete(&path).await.expect(204);
    for field in FIELDS {
        let hits = if field.is_searched { vec![id] } else { vec![] };
        assert_eq!((find("", field.good[1]).await, find("/deleted", field.good[1]).await), (vec![], hits));
    }
    let back = admin.post(&format!("{path}/restore"), &json!({})).await.expect(200).body;
    assert_eq!(texts(&back), texts(&person("fenna", 1)));
    for field in FIELDS.iter().filter(|field| field.is_searched) {
        assert_eq!(find("", field.good[1]).await, [id], "{}", field.name);
    }
}

#[tokio::test]
async fn no_text_of_an_erased_user_stays_in_an_event() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create_with(&person("fenna", 0)).await;
    let (path, id) = (path_of(&user), user["userId"].as_i64().unwrap());
    admin.patch(&path, &texts(&person("fenna", 1))).await.expect(200);
    admin.delete(&path).await.expect(204);
    let left = |value: &str| {
        t.ask_sql(&format!(
            "SELECT count(*) FROM events WHERE user_id = {id} AND coalesce(before, '') || coalesce(after, '') LIKE '%{value}%'"
        ))[0][0]
            .clone()
    };
    for value in FIELDS.iter().flat_map(|field| field.good) {
        assert_ne!(left(value), "0", "{value}");
    }
    admin.delete(&format!("/api/v1/users/deleted/{id}")).await.expect(204);
    for value in FIELDS.iter().flat_map(|field| field.good) {
        assert_eq!(left(value), "0", "{value}");
    }
    let created = admin.get(&format!("/api/v1/events?userId={id}")).await.expect(200).list()[0].clone();
    assert_eq!(texts(&created["after"]), blanked());
}
