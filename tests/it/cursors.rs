//! Cursors are authenticated: one holds as it was given, on every server of its database, and nothing else does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::databases::{self, is_postgres};
use crate::fixtures::seed;
use crate::harness::{Person, T};

/// The path of a list, and the cursor of its second page.
async fn second_page(person: &Person<'_>, list: &str) -> (String, String) {
    let separator = if list.contains('?') { '&' } else { '?' };
    let path = format!("{list}{separator}pageSize=1");
    let first = person.get(&path).await.expect(200);
    let next = first.header("link").split(['<', '>']).nth(1).unwrap_or_else(|| panic!("{list} has one page"));
    let cursor = next.split(['?', '&']).find_map(|part| part.strip_prefix("cursor=")).unwrap();
    (path, cursor.to_owned())
}

async fn refused(person: &Person<'_>, path: &str, cursor: &str) {
    let response = person.get(&format!("{path}&cursor={cursor}")).await.expect(400);
    assert_eq!(response.faults(), ["cursor wrong-cursor"], "{cursor}");
}

/// Something of everything that is listed in pages, twice.
async fn populate(t: &T) -> Vec<String> {
    let admin = t.admin().await;
    let (id, _) = t.member("fenna").await;
    let group = admin.create_group("One").await;
    admin.create_group("Two").await;
    let permissions = json!([{ "objectType": "SEGMENT", "objectId": 5, "permissions": ["READ", "WRITE"] }]);
    admin.put(&format!("/api/v1/groups/{group}/permissions"), &permissions).await.expect(200);
    admin.post(&format!("/api/v1/groups/{group}/users"), &json!([1, id])).await.expect(204);
    for name in ["gone", "lost"] {
        let user = admin.create(name).await;
        admin.delete(&format!("/api/v1/users/{}", user["userId"])).await.expect(204);
    }
    [
        String::from("/api/v1/users?sortBy=lastName"),
        String::from("/api/v1/users?sortBy=createdAt&descending"),
        String::from("/api/v1/groups"),
        String::from("/api/v1/users/deleted"),
        String::from("/api/v1/events"),
        String::from("/api/v1/users/self/sessions"),
        format!("/api/v1/users/{id}/sessions"),
        format!("/api/v1/users/{id}/permissions"),
        String::from("/api/v1/permissions/holders?objectType=SEGMENT&permission=READ&objectId=5"),
    ]
    .to_vec()
}

#[tokio::test]
async fn a_cursor_that_was_changed_is_refused_in_every_list() {
    let t = T::start().await;
    let lists = populate(&t).await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    t.other_partner("acme").await;
    let partners = (&operator, String::from("/operator/v1/partners"));
    for (person, list) in lists.into_iter().map(|list| (&admin, list)).chain([partners]) {
        let (path, cursor) = second_page(person, &list).await;
        person.get(&format!("{path}&cursor={cursor}")).await.expect(200);
        let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        // A bit of the code, of the first and of the last byte of what it is over; a byte less, and one more.
        for place in [0, 15, 16, bytes.len() - 1] {
            let mut other = bytes.clone();
            other[place] ^= 1;
            refused(person, &path, &URL_SAFE_NO_PAD.encode(other)).await;
        }
        refused(person, &path, &URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1])).await;
        refused(person, &path, &URL_SAFE_NO_PAD.encode([&bytes[..], b" "].concat())).await;
        // The code alone, and what it is over alone.
        refused(person, &path, &URL_SAFE_NO_PAD.encode(&bytes[..16])).await;
        refused(person, &path, &URL_SAFE_NO_PAD.encode(&bytes[16..])).await;
    }
}

/// What a cursor names is readable. Whoever writes another one has no code for it.
#[tokio::test]
async fn a_forged_cursor_is_refused() {
    let t = T::start().await;
    seed(&t, 1, "seed", 5, Vec::new()).await;
    let admin = t.admin().await;
    let (path, cursor) = second_page(&admin, "/api/v1/users?sortBy=lastName").await;
    let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    let place: serde_json::Value = serde_json::from_slice(&bytes[16..]).unwrap();
    assert!(place["text"].is_string() && place["id"].is_i64(), "{place}");
    for made in
        [json!({ "text": "m", "id": 1 }), json!({ "int": 1, "id": 1 }), json!({ "text": "a\0b", "id": 1 })]
    {
        let made = made.to_string();
        refused(&admin, &path, &URL_SAFE_NO_PAD.encode([&bytes[..16], made.as_bytes()].concat())).await;
        refused(&admin, &path, &URL_SAFE_NO_PAD.encode([&[0; 16], made.as_bytes()].concat())).await;
        // As they were before there was a code.
        refused(&admin, &path, &URL_SAFE_NO_PAD.encode(made)).await;
    }
}

#[tokio::test]
async fn a_cursor_is_valid_on_every_server_of_its_database_and_on_no_other() {
    let t = T::start().await;
    seed(&t, 1, "seed", 5, Vec::new()).await;
    let (path, cursor) = second_page(&t.admin().await, "/api/v1/users?sortBy=lastName").await;
    let next = format!("{path}&cursor={cursor}");
    // Another database with the same rows has another key.
    let other = T::start().await;
    seed(&other, 1, "seed", 5, Vec::new()).await;
    let admin = other.admin().await;
    refused(&admin, &path, &cursor).await;
    second_page(&admin, "/api/v1/users?sortBy=lastName").await;
    refused(&admin, &path, &cursor).await;
    let keys = |t: &T| t.ask_sql("SELECT name, key FROM server_keys WHERE name = 'cursors'");
    assert_eq!((keys(&t).len(), keys(&other).len()), (1, 1));
    assert_ne!(keys(&t), keys(&other));
    if is_postgres() {
        let beside = t.beside().await;
        beside.admin().await.get(&next).await.expect(200);
        let (_, from_there) = second_page(&beside.admin().await, "/api/v1/users?sortBy=lastName").await;
        assert_eq!(from_there, cursor);
    }
    let before = keys(&t);
    let t = t.restart().await;
    t.admin().await.get(&next).await.expect(200);
    assert_eq!(keys(&t), before, "made once");
}

/// Of servers that need a key at once, one makes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_concurrently_agree_on_a_key() {
    let t = T::start().await;
    seed(&t, 1, "seed", 5, Vec::new()).await;
    let mut servers = vec![&t];
    let beside = if is_postgres() { vec![t.beside().await, t.beside().await] } else { Vec::new() };
    servers.extend(&beside);
    let admin = t.admin().await;
    let token = admin.token.clone().unwrap();
    let ask = async |server: &T| second_page(&server.bearer(&token), "/api/v1/users?sortBy=lastName").await.1;
    let cursors = match servers[..] {
        [a, b, c] => {
            let (a, b, c) = tokio::join!(ask(a), ask(b), ask(c));
            vec![a, b, c]
        }
        _ => {
            let (a, b, c) = tokio::join!(ask(&t), ask(&t), ask(&t));
            vec![a, b, c]
        }
    };
    assert!(cursors.iter().all(|cursor| *cursor == cursors[0]), "{cursors:?}");
    assert_eq!(t.ask_sql("SELECT count(*) FROM server_keys WHERE name = 'cursors'"), [["1"]]);
}

/// A backup and a copy have the key in them.
#[tokio::test]
async fn a_cursor_is_valid_on_a_copy() {
    if is_postgres() {
        // tests/it/copy.rs goes there and back.
        return;
    }
    let t = T::start().await;
    seed(&t, 1, "seed", 5, Vec::new()).await;
    let (path, cursor) = second_page(&t.admin().await, "/api/v1/users?sortBy=lastName").await;
    let backup = t.dir.path().join("backup.db");
    rusqlite::Connection::open(t.dir.path().join("tenantry.db"))
        .unwrap()
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    let copy = t.over(databases::parsed(&format!("sqlite:{}", backup.display()))).await;
    copy.admin().await.get(&format!("{path}&cursor={cursor}")).await.expect(200);
}
