//! Searching and filtering users (B27).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::databases::is_postgres;
use crate::fixtures::{ids, with};
use crate::harness::{T, new_user};
use crate::user_lists::{USERS, assert_list, folded, found, holds, populate, query, searched, sorted};

#[tokio::test]
async fn b27_each_value_is_searched_whatever_the_length_of_the_term() {
    let t = T::start().await;
    let admin = t.admin().await;
    let all = populate(&t).await;
    let mut terms: BTreeMap<String, ()> = BTreeMap::new();
    for row in &all {
        for name in searched() {
            let Some(value) = row[name].as_str() else { continue };
            let chars: Vec<char> = value.chars().collect();
            for length in 1..=4 {
                if let (Some(head), Some(tail)) =
                    (chars.get(..length), chars.get(chars.len().saturating_sub(length)..))
                {
                    terms.insert(head.iter().collect(), ());
                    terms.insert(tail.iter().collect::<String>().to_uppercase(), ());
                }
            }
            terms.insert(value.to_lowercase(), ());
            terms.insert(value.nfd().collect(), ());
        }
    }
    for term in [
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "NEAR(",
        "*",
        "st*",
        "^",
        "^st",
        "\"",
        "\"\"",
        "\"\"\"",
        "-",
        "--",
        "-1 NOT",
        "text : x",
        "text:",
        "partner:",
        "{}",
        "(",
        ")",
        "%",
        "%%",
        "_",
        "__",
        "a_b",
        "a%b",
        "' OR 1=1 --",
        "\\",
        "\u{fffd}",
        "\u{fffd}\u{fffd}\u{fffd}",
        "ab\u{fffd}",
        "ab\u{fffe}",
        "ab\u{ffff}",
        "ss",
        "ſſ",
        "ẞ",
        "i",
        "ı",
        "İST",
        "e\u{301}",
        "\u{301}",
        "🙂",
        "👩‍👩‍👧",
        "same",
        "example.com",
        "zzzzzz",
        "acme",
        "twin",
        " ",
        "  ",
        "d.e",
        "@",
        "1",
        "2",
        "3",
        "12",
        "13",
        "012",
        "0",
        "123",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999",
        "-1",
        "١٢",
    ] {
        terms.insert(term.to_owned(), ());
    }
    assert!(terms.len() > 150);
    for term in terms.keys().filter(|term| !term.is_empty()) {
        let expected = found(&all, |row| holds(row, term));
        let listed = admin.get(&query(&[("search", term)])).await.expect(200).body;
        assert_eq!(ids(&listed), ids(&json!(expected)), "{term:?}");
        let page = admin
            .get(&query(&[("search", term), ("pageSize", "1000"), ("sortBy", "title")]))
            .await
            .expect(200);
        assert_eq!(ids(&page.body["list"]), ids(&json!(sorted(&expected, "title", false))), "{term:?}");
        assert_eq!(page.body["total"], expected.len(), "{term:?}");
    }
    // Two words, of one user or of two, in either order.
    let pairs = [
        ("ada", "e"),
        ("é", "ss"),
        ("strasse", "zo"),
        ("12", "2"),
        ("3", "numbers"),
        ("bob", "zz"),
        ("i", "ı"),
    ];
    for (one, other) in pairs {
        for term in
            [format!("{one} {other}"), format!(" {other}  {one} "), format!("{other}\u{a0}{one}\u{3000}")]
        {
            let expected = found(&all, |row| holds(row, &term));
            let listed = admin.get(&query(&[("search", &term)])).await.expect(200).body;
            assert_eq!(ids(&listed), ids(&json!(expected)), "{term:?}");
        }
    }
    // An empty one is none; status, isAdmin and groups are not searched.
    assert_eq!(admin.get(&query(&[("search", "")])).await.expect(200).body, json!(all));
    for term in ["ACTIVE", "LOCKED", "true", "false"] {
        assert_eq!(admin.get(&query(&[("search", term)])).await.expect(200).body, json!([]), "{term}");
    }
}

#[tokio::test]
async fn b27_a_search_is_sorted_filtered_and_paged() {
    let t = T::start().await;
    let admin = t.admin().await;
    let all = populate(&t).await;
    for term in ["s", "ss", "same", "example", "1", "12", "strasse", "é"] {
        let hits = found(&all, |row| holds(row, term));
        for sort in ["userId", "title", "externalId", "isAdmin", "lastLoginAt"] {
            for descending in [false, true] {
                let flag = descending.to_string();
                let parameters = [("search", term), ("sortBy", sort), ("descending", &flag)];
                assert_list(&admin, &parameters, &sorted(&hits, sort, descending), 3).await;
            }
        }
        let some = found(&hits, |row| {
            row["status"] == "ACTIVE" && row["groups"].as_array().unwrap().contains(&json!(1))
        });
        let parameters = [("search", term), ("status", "ACTIVE"), ("groupId", "1"), ("sortBy", "lastName")];
        assert_list(&admin, &parameters, &sorted(&some, "lastName", false), 2).await;
    }
}

#[tokio::test]
async fn b27_filters_are_exact_and_folded() {
    let t = T::start().await;
    let admin = t.admin().await;
    let all = populate(&t).await;
    let is =
        |row: &Value, name: &str, value: &str| row[name].as_str().is_some_and(|v| folded(v) == folded(value));
    type Case = (Vec<(&'static str, &'static str)>, Vec<Value>);
    let cases: Vec<Case> = vec![
        (vec![("status", "LOCKED")], found(&all, |r| r["status"] == "LOCKED")),
        (vec![("status", "locked")], found(&all, |r| r["status"] == "LOCKED")),
        (vec![("status", "LOCKED"), ("status", "INACTIVE")], found(&all, |r| r["status"] != "ACTIVE")),
        (vec![("isAdmin", "true")], found(&all, |r| r["isAdmin"] == true)),
        (vec![("isAdmin", "false")], found(&all, |r| r["isAdmin"] == false)),
        (vec![("isAdmin", "false"), ("isAdmin", "true")], all.clone()),
        (vec![("email", "ADA@example.COM")], found(&all, |r| is(r, "email", "ada@example.com"))),
        (vec![("email", "ada@example.co")], vec![]),
        (vec![("email", "")], vec![]),
        (
            vec![("email", "ada@example.com"), ("email", "bob@example.com")],
            found(&all, |r| is(r, "email", "ada@example.com") || is(r, "email", "bob@example.com")),
        ),
        (vec![("username", "ZOE\u{308}")], found(&all, |r| r["username"] == "zoë")),
        (
            vec![("username", "strasse"), ("username", "a"), ("username", "nobody")],
            found(&all, |r| r["username"] == "STRASSE" || r["username"] == "a"),
        ),
        (vec![("username", "%")], vec![]),
        (vec![("externalId", "same")], found(&all, |r| is(r, "externalId", "same"))),
        (vec![("externalId", "e\u{301}")], found(&all, |r| is(r, "externalId", "É"))),
        (vec![("externalId", "")], vec![]),
        (
            vec![("externalId", "e-1"), ("externalId", "7")],
            found(&all, |r| is(r, "externalId", "E-1") || r["externalId"] == "7"),
        ),
        (
            vec![("isAdmin", "true"), ("status", "ACTIVE"), ("email", "ada@example.com")],
            found(&all, |r| {
                r["isAdmin"] == true && r["status"] == "ACTIVE" && is(r, "email", "ada@example.com")
            }),
        ),
        (
            vec![("groupId", "2"), ("status", "ACTIVE"), ("search", "s")],
            found(&all, |r| {
                r["groups"].as_array().unwrap().contains(&json!(2))
                    && r["status"] == "ACTIVE"
                    && holds(r, "s")
            }),
        ),
    ];
    for (parameters, expected) in cases {
        let sought = parameters.iter().any(|(_, value)| ["", "%", "ada@example.co"].contains(value));
        assert_eq!(expected.is_empty(), sought, "{parameters:?} tests nothing");
        assert_list(&admin, &parameters, &expected, 3).await;
        let mut parameters = parameters;
        parameters.extend([("sortBy", "phoneNumber"), ("descending", "true")]);
        assert_list(&admin, &parameters, &sorted(&expected, "phoneNumber", true), 4).await;
    }
}

#[tokio::test]
async fn b27_the_index_follows_every_change() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = admin.create_with(&with(&new_user("fenna"), json!({ "title": "Librarian" }))).await;
    let hits = async |term: &str| ids(&admin.get(&query(&[("search", term)])).await.expect(200).body);
    assert_eq!(hits("LIBRAR").await, [2]);
    admin
        .put("/api/v1/users/2", &with(&user, json!({ "title": "Archivist", "username": "ffion" })))
        .await
        .expect(200);
    assert_eq!((hits("librar").await, hits("archiv").await, hits("ffion").await), (vec![], vec![2], vec![2]));
    // A refused change is not found.
    let user = admin.get("/api/v1/users/2").await.expect(200).body;
    admin
        .put("/api/v1/users/2", &with(&user, json!({ "title": "Gardener", "username": "admin" })))
        .await
        .expect(409);
    admin.post(USERS, &with(&new_user("admin"), json!({ "title": "Gardener" }))).await.expect(409);
    assert_eq!(hits("garden").await, [0; 0]);
    admin.delete("/api/v1/users/2").await.expect(204);
    assert_eq!((hits("archiv").await, hits("ffion").await), (vec![], vec![]));
}

#[tokio::test]
async fn b27_each_word_is_found_in_any_field() {
    let t = T::start().await;
    let admin = t.admin().await;
    let ada =
        json!({ "firstName": "Ada", "lastName": "Lovelace", "title": "Countess", "externalId": "crm-4711" });
    admin.create_with(&with(&new_user("countess1"), ada)).await;
    admin.create_with(&with(&new_user("byron"), json!({ "firstName": "George", "lastName": "Byron" }))).await;
    for (term, expected) in [
        ("Ada Lovelace", vec![2]),
        ("lovelace ada", vec![2]),
        ("Ada Love", vec![2]),
        ("ada ", vec![1, 2]),
        (" ada", vec![1, 2]),
        ("lovelace\u{a0}", vec![2]),
        ("\u{2003}ADA\u{3000}lovelace", vec![2]),
        ("a l crm", vec![2]),
        ("da ve 47", vec![2]),
        ("count 2", vec![2]),
        ("lovelace 2", vec![2]),
        ("lovelace 3", vec![]),
        ("2", vec![2]),
        ("3 byron", vec![3]),
        ("3 2", vec![]),
        ("adalovelace", vec![]),
        ("ada byron", vec![]),
        ("\"ada lovelace\"", vec![]),
        ("ada AND lovelace", vec![]),
        ("a b c d e f g h", vec![]),
    ] {
        let found = admin.get(&query(&[("search", term)])).await.expect(200).body;
        assert_eq!(ids(&found), expected, "{term:?}");
        for (sort, descending) in [("userId", "true"), ("lastName", "false")] {
            let sorted = [("search", term), ("sortBy", sort), ("descending", descending), ("pageSize", "5")];
            let page = admin.get(&query(&sorted)).await.expect(200).body;
            let mut found = ids(&page["list"]);
            found.sort_unstable();
            assert_eq!((&found, &page["total"]), (&expected, &json!(expected.len())), "{term:?}");
        }
    }
    // A comma is a character like any other.
    assert_eq!(ids(&admin.get(&query(&[("search", "Lovelace, Ada")])).await.expect(200).body), [0_i64; 0]);
    for (term, fault) in [
        ("1 2 3 4 5 6 7 8 9", "search too-many-words"),
        ("ada\tlovelace", "search control-character"),
        ("ada\n", "search control-character"),
    ] {
        assert_eq!(admin.get(&query(&[("search", term)])).await.expect(400).faults(), [fault], "{term:?}");
    }
}

#[tokio::test]
async fn b27_accents_do_not_count_in_searches() {
    let t = T::start().await;
    let admin = t.admin().await;
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field/F12-accents.ndjson"))
            .unwrap();
    for line in file.lines() {
        let user = serde_json::from_str::<Value>(line).unwrap();
        admin.create_with(&with(&user, json!({ "groups": [] }))).await;
    }
    let names =
        ["Ångström", "Dvořák", "Nguyễn", "Þór", "Straße", "ﬁnn", "Isık", "Œuvrard", "Αθηνά", "Jose\u{301}e"];
    for (n, name) in names.into_iter().enumerate() {
        admin
            .create_with(&with(&new_user(&format!("sibling{n}")), json!({ "lastName": name, "title": name })))
            .await;
    }
    let all = admin.everybody().await;
    let all = all.as_array().unwrap();
    for (term, name) in [
        ("jose", "José"),
        ("JOSÉ", "José"),
        ("lukasz", "Łukasz"),
        ("łukasz", "Łukasz"),
        ("muller", "Müller"),
        ("mu\u{308}ller", "Müller"),
        ("soren", "Søren"),
        ("søren", "Søren"),
        ("celik", "Çelik"),
        ("ames celik", "Çelik"),
        ("angstrom", "Ångström"),
        ("\u{212b}ngstr", "Ångström"),
        ("dvorak", "Dvořák"),
        ("nguyen", "Nguyễn"),
        ("thor", "Þór"),
        ("strasse", "Straße"),
        ("STRASSE", "Straße"),
        ("finn", "ﬁnn"),
        ("isik", "Isık"),
        ("ISIK", "Isık"),
        ("oeuvrard", "Œuvrard"),
        ("αθηνα", "Αθηνά"),
        ("josee", "Jose\u{301}e"),
        ("é", "José"),
        ("ø", "Søren"),
    ] {
        let found = admin.get(&query(&[("search", term)])).await.expect(200).body;
        let names: Vec<_> =
            found.as_array().unwrap().iter().flat_map(|u| [&u["firstName"], &u["lastName"]]).collect();
        assert!(names.contains(&&json!(name)), "{term}: {found}");
    }
    // A change of an accent alone is no other text, and the user goes as a whole.
    let jose = all.iter().find(|user| user["firstName"] == "José").unwrap();
    let path = format!("{USERS}/{}", jose["userId"]);
    let hits = async |term: &str| ids(&admin.get(&query(&[("search", term)])).await.expect(200).body).len();
    for name in ["Josè", "Jose", "José", "Josef"] {
        admin.patch(&path, &json!({ "firstName": name })).await.expect(200);
        assert_eq!(
            (hits("jose ames u1").await, hits("josef u1").await),
            (1, usize::from(name == "Josef")),
            "{name}"
        );
    }
    admin.delete(&path).await.expect(204);
    assert_eq!(hits("ames u1").await, 0);
    let deleted = admin.get("/api/v1/users/deleted?search=ames%20jos").await.expect(200).body;
    assert_eq!(deleted["total"], 1);
    // Filters are exact: accents count.
    let by_name = |name: &str| query(&[("username", name)]);
    admin.create_with(&with(&new_user("zoë"), json!({ "email": "zoe@example.com" }))).await;
    assert_eq!(ids(&admin.get(&by_name("zoe")).await.expect(200).body).len(), 0);
    assert_eq!(ids(&admin.get(&by_name("ZOË")).await.expect(200).body).len(), 1);
}

/// What a server of the version before stores on PostgreSQL beside a new one: it knows no search keys.
#[tokio::test]
async fn users_of_an_older_server_become_searchable_by_all_their_words() {
    if !is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("anna"), json!({ "lastName": "Žižková" }))).await;
    let hits = async |term: &str| ids(&admin.get(&query(&[("search", term)])).await.expect(200).body);
    assert_eq!(hits("zizkova").await, [2]);
    t.run_sql(
        "INSERT INTO users (pid, user_id, username, status, first_name, last_name, email, is_admin, created_at, \
         updated_at, username_key, first_name_key, last_name_key, email_key, title_key, phone_number_key, \
         external_id_key) VALUES (1, 1000, 'n', 0, 'José', 'N', 'n@example.com', 0, 1, 1, \
         'n', 'josé', 'n', 'n@example.com', '', '', ''); \
         UPDATE users SET last_name = 'Dvořák', last_name_key = 'dvořák', title_key = title_key WHERE user_id = 2",
    );
    assert_eq!((hits("zizkova").await, hits("dvo").await), (vec![], vec![2]));
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().search_keys, 2);
    assert_eq!((hits("jose").await, hits("dvorak anna").await), (vec![1000], vec![2]));
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().search_keys, 0);
}
