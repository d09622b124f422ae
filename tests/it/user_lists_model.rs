//! Lists of users (B26, B27) held against a model that is slow and plain.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::fixtures::ids;
use crate::harness::T;
use crate::user_lists::{assert_list, folded, found, holds, sorted, sorts};

/// Values that collide, fold and look like operators.
fn text() -> impl Strategy<Value = String> {
    let letter = prop::sample::select(vec![
        "a", "A", "ß", "SS", "s", "İ", "i", "é", "e\u{301}", "Σ", "ς", "🙂", "%", "_", "\"", "'", "*", "1",
        "2", "-", "\\", "ı", "e", "Ø", "o", "æ", "E", "Ł", "l", "x y",
    ]);
    prop::collection::vec(letter, 1..6).prop_map(|letters| letters.concat())
}

/// One to three words, which may be parts of texts.
fn term() -> impl Strategy<Value = String> {
    prop::collection::vec(text(), 1..4).prop_map(|words| words.join(" "))
}

#[derive(Debug, Clone)]
struct Someone {
    first_name: String,
    title: Option<String>,
    email: &'static str,
    status: &'static str,
    is_admin: bool,
    groups: Vec<i64>,
}

fn someone() -> impl Strategy<Value = Someone> {
    (
        text(),
        prop::option::of(prop_oneof![Just(String::new()), text()]),
        prop::sample::select(vec!["a@b.de", "A@b.de", "s1@b.de"]),
        prop::sample::select(vec!["ACTIVE", "INACTIVE", "LOCKED"]),
        any::<bool>(),
        prop::sample::subsequence(vec![1_i64, 2], 0..=2),
    )
        .prop_map(|(first_name, title, email, status, is_admin, groups)| Someone {
            first_name,
            title,
            email,
            status,
            is_admin,
            groups,
        })
}

#[derive(Debug, Clone)]
struct Question {
    search: Option<String>,
    status: Vec<&'static str>,
    is_admin: Option<bool>,
    email: Option<&'static str>,
    groups: Vec<i64>,
    sort: &'static str,
    descending: bool,
    size: usize,
}

fn question() -> impl Strategy<Value = Question> {
    (
        prop::option::of(prop_oneof![text(), term()]),
        prop::sample::subsequence(vec!["ACTIVE", "INACTIVE", "LOCKED"], 0..=2),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(vec!["a@B.de", "x@b.de"])),
        prop::sample::subsequence(vec![1_i64, 2], 0..=2),
        prop::sample::select(sorts().collect::<Vec<_>>()),
        any::<bool>(),
        1..6_usize,
    )
        .prop_map(|(search, status, is_admin, email, groups, sort, descending, size)| Question {
            search,
            status,
            is_admin,
            email,
            groups,
            sort,
            descending,
            size,
        })
}

#[test]
fn b26_b27_lists_answer_like_a_naive_model() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let t = runtime.block_on(async {
        let t = T::start().await;
        let admin = t.admin().await;
        admin.create_group("One").await;
        admin.create_group("Two").await;
        t
    });
    let config = Config { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let cases = (prop::collection::vec(someone(), 0..9), prop::collection::vec(question(), 1..4));
    TestRunner::new(config)
        .run(&cases, |(people, questions)| {
            runtime.block_on(ask(&t, &people, &questions));
            Ok(())
        })
        .unwrap();
}

/// Makes these people the partner's only users beside the admin, and asks.
async fn ask(t: &T, people: &[Someone], questions: &[Question]) {
    let admin = t.admin().await;
    let others: Vec<i64> = ids(&admin.everybody().await).into_iter().filter(|id| *id != 1).collect();
    admin.post("/api/v1/users/bulk-delete", &json!(others)).await.expect(204);
    for (n, person) in people.iter().enumerate() {
        let body = json!({
            "username": format!("user{n}"), "firstName": person.first_name, "lastName": "L", "email": person.email,
            "title": person.title, "status": person.status, "isAdmin": person.is_admin, "groups": person.groups,
        });
        admin.create_with(&body).await;
    }
    let all = admin.everybody().await.as_array().unwrap().clone();
    assert_eq!(all.len(), people.len() + 1);
    for question in questions {
        let Question { search, status, is_admin, email, groups, sort, descending, size } = question;
        let wanted = found(&all, |row| {
            search.as_ref().is_none_or(|term| holds(row, term))
                && (status.is_empty() || status.iter().any(|s| row["status"] == *s))
                && is_admin.is_none_or(|is_admin| row["isAdmin"] == is_admin)
                && email.is_none_or(|email| folded(row["email"].as_str().unwrap()) == folded(email))
                && (groups.is_empty()
                    || groups.iter().any(|g| row["groups"].as_array().unwrap().contains(&json!(g))))
        });
        let (flag, is_admin) = (descending.to_string(), is_admin.map(|v| v.to_string()));
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        let mut parameters = vec![("sortBy", *sort), ("descending", &*flag)];
        parameters.extend(search.as_deref().map(|term| ("search", term)));
        parameters.extend(status.iter().map(|s| ("status", *s)));
        parameters.extend(is_admin.as_deref().map(|v| ("isAdmin", v)));
        parameters.extend(email.map(|v| ("email", v)));
        parameters.extend(groups.iter().map(|g| ("groupId", g.as_str())));
        assert_list(&admin, &parameters, &sorted(&wanted, sort, *descending), *size).await;
    }
}
