//! Passwords from another system whose hash costs more than one of our own.

use serde_json::json;

use tenantry_core::clock::{HOUR, MINUTE};

use crate::databases::is_postgres;
use crate::foreign_hashes::{BCRYPT, OLD, SSHA};
use crate::harness::{T, new_user, password_of};

/// `Old.Tea-Pot-71` with a cost of 9: by its parameters more than one of our own.
const EXPENSIVE: &str = "$2b$09$abcdefghijklmnopqrstuuDdhAjlf4Mi9B9IF4SmJWRvZLw53HXkq";
const WRONG: &str = "Old.Tea-Pot-72";
const NDJSON: &str = "application/x-ndjson";

/// A server that locks nobody out by address.
async fn start() -> T {
    T::with(|config| config.login_failures_per_address = 1_000_000).await
}

async fn import(t: &T, name: &str, hash: &str) -> i64 {
    let mut row = new_user(name);
    row["passwordHash"] = json!(hash);
    let admin = t.admin().await;
    let body = Some(row.to_string().into_bytes());
    let response = admin.send(reqwest::Method::POST, "/api/v1/users/import", body, NDJSON).await.expect(200);
    assert_eq!(response.body["created"], 1, "{}", response.body);
    let found = admin.get(&format!("/api/v1/users?pageSize=1&username={name}")).await.expect(200);
    found.list()[0]["userId"].as_i64().unwrap()
}

/// Kind and work of the most expensive hashes.
fn recorded(t: &T) -> Vec<Vec<String>> {
    t.ask_sql("SELECT cost_kind, cost_work FROM expensive_hashes ORDER BY cost_kind")
}

fn failures(t: &T, id: i64) -> i64 {
    t.ask_sql(&format!("SELECT failed_logins FROM users WHERE user_id = {id}"))[0][0].parse().unwrap()
}

/// Tries until it is answered with 200: on a machine that is busy with other things there may be no time for an expensive
/// hash, and the login is refused as any other.
async fn log_in(t: &T, name: &str) {
    for _ in 0..200 {
        if t.try_login(name, OLD).await.status == 200 {
            return;
        }
    }
    panic!("{name} cannot log in");
}

#[tokio::test]
async fn its_user_logs_in_and_is_not_expensive_any_more() {
    let t = start().await;
    t.secret(OLD);
    let id = import(&t, "bea", EXPENSIVE).await;
    assert_eq!(recorded(&t), [["2", "512"]]);
    log_in(&t, "bea").await;
    let stored = t.ask_sql(&format!("SELECT hash, cost_kind, cost_work FROM passwords WHERE user_id = {id}"));
    assert!(stored[0][0].starts_with("$argon2id$"), "{stored:?}");
    assert_eq!(stored[0][1..], ["0", "0"]);
    assert_eq!(failures(&t, id), 0);
    let before = t.app.hasher.computed_expensive();
    t.login("bea", OLD).await;
    assert_eq!(t.app.hasher.computed_expensive(), before);
}

#[tokio::test]
async fn wrong_guesses_are_counted_and_after_the_fifth_nothing_is_computed() {
    let t = start().await;
    let id = import(&t, "bea", EXPENSIVE).await;
    let unknown = t.try_login("nobody", WRONG).await.expect(400);
    for _ in 0..200 {
        let response = t.try_login("bea", WRONG).await.expect(400);
        assert_eq!((response.text, response.status), (unknown.text.clone(), unknown.status));
        if failures(&t, id) == 5 {
            break;
        }
    }
    let status = |id: i64| t.ask_sql(&format!("SELECT status FROM users WHERE user_id = {id}"));
    assert_eq!(failures(&t, id), 5);
    let locked = status(id);
    assert_ne!(locked, status(1));
    // LOCKED, INACTIVE, refused for a while, of a suspended partner: one ordinary hash, whatever is stored.
    let inactive = import(&t, "ina", EXPENSIVE).await;
    t.run_sql(&format!("UPDATE users SET status = 1 WHERE user_id = {inactive}"));
    let later = t.clock.now() + 10 * MINUTE;
    let refused = import(&t, "rea", EXPENSIVE).await;
    t.run_sql(&format!("UPDATE users SET refused_until = {later} WHERE user_id = {refused}"));
    for cheap in ["che", "chi"] {
        let id = import(&t, cheap, BCRYPT).await;
        t.run_sql(&format!("UPDATE users SET status = 2 WHERE user_id = {id}"));
    }
    let (pid, _) = t.other_partner("other").await;
    t.run_sql(&format!(
        "UPDATE passwords SET hash = '{EXPENSIVE}', cost_kind = 2, cost_work = 512 WHERE pid = {pid}; \
         UPDATE partners SET suspended = 1 WHERE pid = {pid}"
    ));
    let expensive = t.app.hasher.computed_expensive();
    for name in ["bea", "ina", "rea", "che", "chi", "other-admin"] {
        for password in [OLD, WRONG] {
            let before = t.app.hasher.computed();
            let response = t.try_login(name, password).await.expect(400);
            assert_eq!(response.text, unknown.text, "{name}");
            assert_eq!(t.app.hasher.computed() - before, 1, "{name}");
        }
    }
    assert_eq!(t.app.hasher.computed_expensive(), expensive);
    assert_eq!((failures(&t, id), status(id)), (5, locked));
}

#[tokio::test]
async fn a_hash_over_the_bounds_is_refused_until_reset_and_locks_no_account() {
    let t = start().await;
    let dear = EXPENSIVE.replace("$09$", "$14$");
    let mut row = new_user("bea");
    row["passwordHash"] = json!(dear);
    let (admin, body) = (t.admin().await, Some(row.to_string().into_bytes()));
    let response = admin.send(reqwest::Method::POST, "/api/v1/users/import", body, NDJSON).await.expect(200);
    assert_eq!(response.body["rejected"][0]["errors"][0]["code"], "hash-too-expensive", "{}", response.body);
    assert_eq!(recorded(&t), Vec::<Vec<String>>::new(), "what was refused raises nothing");
    // One that was stored when it was allowed.
    let id = import(&t, "bea", SSHA).await;
    t.run_sql(&format!("UPDATE passwords SET hash = '{dear}' WHERE user_id = {id}"));
    let unknown = t.try_login("nobody", WRONG).await.expect(400).text;
    for _ in 0..6 {
        let before = t.app.hasher.computed();
        assert_eq!(t.try_login("bea", OLD).await.expect(400).text, unknown);
        assert_eq!(t.app.hasher.computed() - before, 1);
    }
    assert_eq!((t.app.hasher.computed_expensive(), failures(&t, id)), (0, 0));
    admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({})).await.expect(200);
    let temporary = t.mailed_password("bea").await;
    let bea = t.login("bea", &temporary).await;
    // It stays in the history, and costs nothing there.
    let change = json!({ "oldPassword": temporary, "newPassword": password_of("bea") });
    bea.post("/self/update-password", &change).await.expect(200);
    assert_eq!(t.app.hasher.computed_expensive(), 0);
}

#[tokio::test]
async fn changing_a_password_compares_with_it_in_turn() {
    let t = start().await;
    t.secret(OLD);
    let id = import(&t, "bea", SSHA).await;
    let bea = t.login("bea", OLD).await;
    let store = |hash: &str| {
        t.run_sql(&format!(
            "UPDATE passwords SET hash = '{hash}', cost_kind = 2, cost_work = 512 WHERE user_id = {id}"
        ));
    };
    store(EXPENSIVE);
    let change = async |old: &str, new: &str| {
        bea.post("/self/update-password", &json!({ "oldPassword": old, "newPassword": new })).await
    };
    let new = password_of("bea");
    assert_eq!(change(WRONG, &new).await.expect(400).faults(), ["/oldPassword wrong-password"]);
    assert_eq!(failures(&t, id), 1, "once");
    // In the history as well.
    assert_eq!(change(OLD, OLD).await.expect(400).faults(), ["/newPassword used-before"]);
    let before = t.app.hasher.computed_expensive();
    change(OLD, &new).await.expect(200);
    assert_eq!(t.app.hasher.computed_expensive() - before, 2, "the present one, and the history");
    assert_eq!(change(&new, OLD).await.expect(400).faults(), ["/newPassword used-before"]);
    // Who is refused for a while costs one ordinary hash.
    store(EXPENSIVE);
    let later = t.clock.now() + MINUTE;
    t.run_sql(&format!("UPDATE users SET refused_until = {later} WHERE user_id = {id}"));
    let before = (t.app.hasher.computed(), t.app.hasher.computed_expensive());
    assert_eq!(change(OLD, &new).await.expect(400).faults(), ["/oldPassword wrong-password"]);
    assert_eq!((t.app.hasher.computed() - before.0, t.app.hasher.computed_expensive()), (1, before.1));
    assert_eq!(failures(&t, id), 0, "the change has set it to 0, and a refusal is no guess");
}

#[tokio::test]
async fn recorded_costs_rise_with_the_rows_and_fall_when_they_are_gone() {
    let t = start().await;
    let housekeep = async || tenantry_worker::housekeep(&t.app).await.unwrap();
    import(&t, "cheap", BCRYPT).await;
    import(&t, "quick", SSHA).await;
    assert!(recorded(&t).is_empty());
    let one = import(&t, "one", EXPENSIVE).await;
    let two = import(&t, "two", &EXPENSIVE.replace("$09$", "$12$")).await;
    let pbkdf2 = "$pbkdf2-sha256$600000$c2FsdC1vZi0xNi1ieXRlcw$gwzkXi.SaqAMTywRIfNTayiPnL3Yp8FzYgd6mEbe7XU";
    let three = import(&t, "three", pbkdf2).await;
    let four = import(&t, "four", EXPENSIVE).await;
    assert_eq!(recorded(&t), [["2", "4096"], ["5", "600000"]], "a cheaper one lowers nothing");
    // A dry run leaves nothing behind.
    let mut row = new_user("five");
    row["passwordHash"] = json!(EXPENSIVE.replace("$09$", "$13$"));
    let (admin, body) = (t.admin().await, Some(row.to_string().into_bytes()));
    let path = "/api/v1/users/import?dryRun=true";
    admin.send(reqwest::Method::POST, path, body, NDJSON).await.expect(200);
    assert_eq!(recorded(&t)[0], ["2", "4096"]);

    let delete = async |id: i64| admin.delete(&format!("/api/v1/users/{id}")).await.expect(204);
    delete(two).await;
    housekeep().await;
    assert_eq!(recorded(&t)[0], ["2", "4096"], "an import that relies on it may be under way");
    t.clock.advance(HOUR);
    housekeep().await;
    assert_eq!(recorded(&t), [["2", "512"], ["5", "600000"]]);
    // A deleted user that comes back brings its hash.
    admin.post(&format!("/api/v1/users/{two}/restore"), &json!({})).await.expect(200);
    assert_eq!(recorded(&t)[0], ["2", "4096"]);
    // One that was reset is in the history only, and nobody logs in with it.
    admin.post(&format!("/api/v1/users/{three}/reset-password"), &json!({})).await.expect(200);
    delete(one).await;
    delete(two).await;
    t.clock.advance(HOUR);
    housekeep().await;
    assert_eq!(recorded(&t), [["2", "512"]]);
    delete(four).await;
    housekeep().await;
    assert!(recorded(&t).is_empty());
}

#[tokio::test]
async fn rows_of_a_version_that_knew_no_cost_are_looked_at() {
    let t = start().await;
    let rows =
        [("one", EXPENSIVE.to_owned()), ("two", SSHA.into()), ("three", EXPENSIVE.replace("$09$", "$14$"))];
    for (name, hash) in &rows {
        let id = import(&t, name, BCRYPT).await;
        t.run_sql(&format!("UPDATE passwords SET hash = '{hash}', cost_kind = NULL WHERE user_id = {id}"));
    }
    t.run_sql("INSERT INTO expensive_hashes (cost_kind, cost_work, raised_at) VALUES (2, 8192, 0)");
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().hashes, 3);
    let found = "SELECT coalesce(cost_kind, -1), cost_work FROM passwords p WHERE hash LIKE '$2b$%' OR hash LIKE '{SS%' \
                 ORDER BY user_id";
    assert_eq!(t.ask_sql(found), [["2", "512"], ["0", "0"], ["0", "0"]]);
    assert_eq!(recorded(&t), [["2", "8192"]]);
    assert!(t.log().contains("users=1"), "whoever runs the server is told of those who cannot log in");
    t.clock.advance(HOUR);
    assert_eq!(tenantry_worker::housekeep(&t.app).await.unwrap().hashes, 0);
    assert_eq!(recorded(&t), [["2", "512"]]);
}

/// Another server over the same database answers by what this one has stored, at once and after a start.
#[tokio::test]
async fn another_server_knows_what_is_stored() {
    let t = start().await;
    let id = import(&t, "bea", EXPENSIVE).await;
    let other = if is_postgres() { t.beside().await } else { t.restart().await };
    for _ in 0..200 {
        other.try_login("bea", WRONG).await.expect(400);
        // On a busy machine one that is counted late can come together with the next.
        if failures(&other, id) >= 2 {
            return;
        }
    }
    panic!("it leaves no time for an expensive hash");
}
