//! Evaluation, effective permissions and holders, held against a naive model over random group graphs; and what
//! happens when graphs change while somebody asks.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{GROUPS, entry, give, may, nested, user_in, wildcards};
use crate::fixtures::with;
use crate::harness::{Person, T, new_user};

const ACTIONS: [&str; 3] = ["READ", "WRITE", "DELETE"];
const WILDCARDS: [&str; 3] = ["VIEW_ALL_SEGMENTS", "EDIT_ALL_SEGMENTS", "DELETE_ALL_SEGMENTS"];
const OBJECTS: [&str; 3] = ["563", "x", "0563"];

/// A group: its parent, the permissions on objects it has, and its wildcards, all by index.
#[derive(Debug, Clone)]
struct Group {
    parent: Option<usize>,
    entries: BTreeSet<(usize, usize)>,
    wildcards: BTreeSet<usize>,
}

/// What is there, and what is done to it.
#[derive(Debug, Clone)]
struct Graph {
    groups: Vec<Group>,
    users: Vec<(bool, BTreeSet<usize>)>,
    moves: Vec<(usize, Option<usize>)>,
}

fn graphs() -> impl Strategy<Value = Graph> {
    let group = (
        proptest::option::weighted(0.7, any::<proptest::sample::Index>()),
        proptest::collection::btree_set((0..OBJECTS.len(), 0..ACTIONS.len()), 0..4),
        proptest::collection::btree_set(0..WILDCARDS.len(), 0..2),
    );
    let groups = proptest::collection::vec(group, 1..14).prop_map(|all| {
        let groups = all.into_iter().enumerate().map(|(n, (parent, entries, wildcards))| Group {
            parent: parent.filter(|_| n > 0).map(|parent| parent.index(n)),
            entries,
            // One group in four: else everybody may do everything.
            wildcards: if n % 4 == 3 { wildcards } else { BTreeSet::new() },
        });
        groups.collect::<Vec<_>>()
    });
    groups.prop_flat_map(|groups| {
        let n = groups.len();
        let user = (proptest::bool::weighted(0.85), proptest::collection::btree_set(0..n, 0..4));
        let moves = (0..n, proptest::option::weighted(0.8, 0..n));
        (Just(groups), proptest::collection::vec(user, 1..4), proptest::collection::vec(moves, 0..4))
            .prop_map(|(groups, users, moves)| Graph { groups, users, moves })
    })
}

impl Graph {
    /// A group and those above it, as far as there are any.
    fn climb(&self, from: usize) -> Vec<usize> {
        std::iter::successors(Some(from), |group| self.groups[*group].parent).collect()
    }

    fn levels_below(&self, group: usize) -> usize {
        let depth = |of: usize| self.climb(of).iter().position(|g| *g == group).map(|at| at + 1);
        (0..self.groups.len()).filter_map(depth).max().unwrap()
    }

    /// Whether a group may be put under a parent: no cycle, at most eight levels.
    fn can_move(&self, group: usize, parent: Option<usize>) -> bool {
        parent.is_none_or(|parent| {
            let above = self.climb(parent);
            !above.contains(&group) && above.len() + self.levels_below(group) <= 8
        })
    }

    fn may(&self, user: usize, object: usize, action: usize) -> bool {
        let (is_active, groups) = &self.users[user];
        let has =
            |group: &Group| group.entries.contains(&(object, action)) || group.wildcards.contains(&action);
        *is_active && groups.iter().any(|group| self.climb(*group).into_iter().any(|g| has(&self.groups[g])))
    }

    /// What a list of effective permissions tells: on all objects, the wildcards' own names, on single ones.
    fn effective(&self, user: usize) -> BTreeSet<(String, String)> {
        let (is_active, groups) = &self.users[user];
        let mut all = BTreeSet::new();
        for group in groups.iter().filter(|_| *is_active).flat_map(|group| self.climb(*group)) {
            for wildcard in &self.groups[group].wildcards {
                all.insert((String::new(), ACTIONS[*wildcard].to_owned()));
                all.insert((String::new(), WILDCARDS[*wildcard].to_owned()));
            }
            for (object, action) in &self.groups[group].entries {
                all.insert((OBJECTS[*object].to_owned(), ACTIONS[*action].to_owned()));
            }
        }
        all
    }
}

/// The graph on a server: the numbers of its groups and users.
struct Built {
    groups: Vec<i64>,
    users: Vec<i64>,
}

async fn build(admin: &Person<'_>, graph: &mut Graph, n: usize) -> Built {
    let mut built = Built { groups: Vec::new(), users: Vec::new() };
    for at in 0..graph.groups.len() {
        // The random tree may be too deep: then the group stands on top.
        if graph.climb(at).len() > 8 {
            graph.groups[at].parent = None;
        }
        let name = format!("Case {n} group {at}");
        let group = &graph.groups[at];
        let id = match group.parent {
            Some(parent) => nested(admin, &name, built.groups[parent]).await,
            None => admin.create_group(&name).await,
        };
        built.groups.push(id);
        let list = (0..OBJECTS.len()).filter_map(|object| {
            let names: Vec<&str> =
                group.entries.iter().filter(|(o, _)| *o == object).map(|(_, a)| ACTIONS[*a]).collect();
            let is_number = object == 0 && at % 2 == 0;
            let id = if is_number { json!(563) } else { json!(OBJECTS[object]) };
            (!names.is_empty()).then(|| entry("SEGMENT", id, json!(names)))
        });
        give(admin, id, list.collect()).await.expect(200);
        let names: Vec<&str> = group.wildcards.iter().map(|w| WILDCARDS[*w]).collect();
        wildcards(admin, id, json!(names)).await.expect(200);
    }
    for (at, (is_active, groups)) in graph.users.iter().enumerate() {
        let groups: Vec<i64> = groups.iter().map(|g| built.groups[*g]).collect();
        let status = if *is_active { "ACTIVE" } else { "LOCKED" };
        let body =
            with(&new_user(&format!("case{n}user{at}")), json!({ "groups": groups, "status": status }));
        built.users.push(admin.create_with(&body).await["userId"].as_i64().unwrap());
    }
    built
}

/// Everything the server says of a graph is what the model says.
async fn compare(admin: &Person<'_>, graph: &Graph, built: &Built) {
    let triples: Vec<(usize, usize, usize)> = (0..graph.users.len())
        .flat_map(|user| (0..OBJECTS.len()).flat_map(move |o| (0..ACTIONS.len()).map(move |a| (user, o, a))))
        .collect();
    let asked: Vec<Value> = triples
        .iter()
        .map(|(user, o, a)| {
            super::question(
                &json!(built.users[*user].to_string()),
                ACTIONS[*a],
                "SEGMENT",
                &json!(OBJECTS[*o]),
            )
        })
        .collect();
    let response =
        admin.post("/access/v1/evaluations", &json!({ "evaluations": asked })).await.expect(200).body;
    for ((user, o, a), told) in triples.iter().zip(response["evaluations"].as_array().unwrap()) {
        assert_eq!(
            told["decision"],
            graph.may(*user, *o, *a),
            "user {user}, {} {}",
            ACTIONS[*a],
            OBJECTS[*o]
        );
    }
    for (at, user) in built.users.iter().enumerate() {
        let path = format!("/api/v1/users/{user}/permissions?pageSize=1000");
        let page = admin.get(&path).await.expect(200);
        let told: Vec<(String, String)> = page
            .list()
            .iter()
            .map(|row| {
                let id = &row["objectId"];
                let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned).replace("null", "");
                (id, row["permission"].as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(page.body["total"], told.len());
        let set: BTreeSet<_> = told.iter().cloned().collect();
        assert_eq!(set.len(), told.len(), "nothing is told twice");
        assert_eq!(set, graph.effective(at), "user {at}");
    }
    for (o, a) in [(0, 0), (1, 1), (2, 2)] {
        let path = format!(
            "/api/v1/permissions/holders?objectType=SEGMENT&objectId={}&permission={}&pageSize=1000",
            OBJECTS[o], ACTIONS[a]
        );
        let page = admin.get(&path).await.expect(200);
        let told: BTreeSet<i64> = page.list().iter().map(|row| row["userId"].as_i64().unwrap()).collect();
        for (at, user) in built.users.iter().enumerate() {
            assert_eq!(told.contains(user), graph.may(at, o, a), "user {at}, {} {}", ACTIONS[a], OBJECTS[o]);
        }
    }
}

#[test]
fn c_evaluation_and_lists_agree_with_a_naive_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let t = runtime.block_on(T::start());
    let admin = runtime.block_on(t.admin());
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let number = std::cell::Cell::new(0);
    // Groups and objects of earlier cases stay: they must not matter to the later ones' users.
    let result = runner.run(&graphs(), |mut graph| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let built = build(&admin, &mut graph, number.get()).await;
            compare(&admin, &graph, &built).await;
            for (group, parent) in graph.moves.clone() {
                let name = format!("Case {} group {group}", number.get());
                let body = json!({ "name": name, "parentGroupId": parent.map(|p| built.groups[p]) });
                let can = graph.can_move(group, parent);
                let path = format!("{GROUPS}/{}", built.groups[group]);
                admin.put(&path, &body).await.expect(if can { 200 } else { 409 });
                if can {
                    graph.groups[group].parent = parent;
                }
                compare(&admin, &graph, &built).await;
            }
        });
        Ok(())
    });
    result.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_an_evaluation_after_a_change_sees_it() {
    let t = T::start().await;
    let admin = t.admin().await;
    let top = admin.create_group("Top").await;
    let low = nested(&admin, "Low", top).await;
    let user = user_in(&admin, "ada", json!([low])).await;
    let list = json!([entry("SEGMENT", json!(1), json!(["READ"]))]);
    give(&admin, top, list.clone()).await.expect(200);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let over = || stop.load(std::sync::atomic::Ordering::SeqCst);
    // Others ask all the while: each gets a response, one or the other, but what was never given is never granted.
    let noise = async || {
        while !over() {
            may(&admin, user, "READ", &json!(1)).await;
            assert!(!may(&admin, user, "WRITE", &json!(1)).await);
        }
    };
    let changes = async {
        let path = format!("{GROUPS}/{low}");
        let put = async |parent: Value| {
            admin.put(&path, &json!({ "name": "Low", "parentGroupId": parent })).await.expect(200);
        };
        for _ in 0..30 {
            put(json!(null)).await;
            assert!(!may(&admin, user, "READ", &json!(1)).await);
            put(json!(top)).await;
            assert!(may(&admin, user, "READ", &json!(1)).await);
            give(&admin, top, json!([])).await.expect(200);
            assert!(!may(&admin, user, "READ", &json!(1)).await);
            give(&admin, top, list.clone()).await.expect(200);
            admin.delete(&format!("{path}/users/{user}")).await.expect(204);
            assert!(!may(&admin, user, "READ", &json!(1)).await);
            admin.put(&format!("{path}/users/{user}"), &json!({})).await.expect(204);
            assert!(may(&admin, user, "READ", &json!(1)).await);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    tokio::join!(noise(), noise(), changes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_two_moves_at_once_make_no_cycle() {
    let t = T::start().await;
    let admin = t.admin().await;
    for n in 0..12 {
        let (one, two) =
            (admin.create_group(&format!("A{n}")).await, admin.create_group(&format!("B{n}")).await);
        let paths = [format!("{GROUPS}/{one}"), format!("{GROUPS}/{two}")];
        let bodies = [
            json!({ "name": format!("A{n}"), "parentGroupId": two }),
            json!({ "name": format!("B{n}"), "parentGroupId": one }),
        ];
        let (a, b) = tokio::join!(admin.put(&paths[0], &bodies[0]), admin.put(&paths[1], &bodies[1]));
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_a_deleted_group_leaves_neither_children_nor_members() {
    let t = T::start().await;
    let admin = t.admin().await;
    let user = user_in(&admin, "ada", json!([])).await;
    for n in 0..12 {
        let top = admin.create_group(&format!("Top {n}")).await;
        let path = format!("{GROUPS}/{top}");
        let child = json!({ "name": format!("Child {n}"), "parentGroupId": top });
        let member = format!("{path}/users/{user}");
        let list = format!("{path}/permissions");
        let entries = json!([entry("SEGMENT", json!(n), json!(["READ"]))]);
        let nothing = json!({});
        let (gone, below, joined, given) = tokio::join!(
            admin.delete(&path),
            admin.post(GROUPS, &child),
            admin.put(&member, &nothing),
            admin.put(&list, &entries),
        );
        assert!([204, 404].contains(&joined.status.as_u16()), "{}", joined.text);
        assert!([200, 400].contains(&given.status.as_u16()), "{}", given.text);
        let groups = admin.get(&format!("/api/v1/users/{user}")).await.expect(200).body["groups"].clone();
        match (gone.status.as_u16(), below.status.as_u16()) {
            (204, 400) => assert!(!groups.as_array().unwrap().contains(&json!(top)), "{groups}"),
            (409, 201) => assert_eq!(admin.get(&path).await.expect(200).body["users"], json!([user])),
            other => panic!("{other:?}: {} {}", gone.text, below.text),
        }
        let is_there = gone.status == 409;
        assert_eq!(may(&admin, user, "READ", &json!(n)).await, is_there && given.status == 200);
    }
}
