//! More is asked than can be done: what is over is refused with `503` and `Retry-After`, and a partner that floods is
//! refused before another one is. Never how fast anything was: that is `tenantry-bench`.

use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};

use tokio::task::JoinSet;

use crate::binary::until;
use crate::databases::is_postgres;
use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user};
use tenantry_core::model::PartnerId;
use tenantry_passwords::Whose;
use tenantry_store::access::system_within;
use tenantry_store::engine::tx::Outcome;

/// More than may ever wait.
const FLOOD: usize = 5_000;

#[track_caller]
fn assert_come_again(response: &TestResponse, what: &str) {
    assert_eq!((response.status.as_u16(), response.header("retry-after")), (503, "1"), "{}", response.text);
    assert_eq!(response.body["code"], "unavailable");
    assert!(response.body["detail"].as_str().unwrap().starts_with(what), "{}", response.text);
}

/// Work that lasts until it is released.
fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (release, wait) = mpsc::channel();
    (release, move || {
        // An error is the release, too: the other end is gone.
        let _ = wait.recv();
    })
}

/// Waits until as many as can of `all` wait, which is when the first of them are refused.
async fn until_refused(all: &mut JoinSet<bool>) {
    assert!(!all.join_next().await.unwrap().unwrap(), "the first to end is a refused one");
}

/// Asks as somebody of another partner, whose request is taken and waits while the flood's are refused.
async fn asks_meanwhile(
    other: Person<'_>,
    ask: impl AsyncFn(&Person<'_>) -> TestResponse,
    meanwhile: impl Future<Output = ()>,
) -> TestResponse {
    tokio::join!(ask(&other), meanwhile).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_beyond_the_queue_are_refused_and_a_neighbours_is_taken() {
    if is_postgres() {
        // There are no connections left then: outages.rs.
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, other) = t.other_partner("Neighbour").await;
    let (release, wait) = held();
    let (wait, (begun, running)) = (std::sync::Mutex::new(Some(wait)), mpsc::channel());
    let store = t.app.store.clone();
    let holding = tokio::spawn(async move {
        let work = move |_: &mut tenantry_store::engine::tx::Tx<'_, _>| {
            let wait = wait.lock().unwrap().take().unwrap();
            begun.send(()).unwrap();
            wait();
            Ok(Outcome::Commit(()))
        };
        store.write(&system_within(PartnerId(1)), work).await
    });
    tokio::task::block_in_place(|| running.recv().unwrap());
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        let store = t.app.store.clone();
        let work = |_: &mut tenantry_store::engine::tx::Tx<'_, _>| Ok(Outcome::Commit(()));
        flood.spawn(async move { store.write(&system_within(PartnerId(1)), work).await.is_ok() });
    }
    until_refused(&mut flood).await;

    let refused = async {
        for n in 0..20 {
            let response = admin.post("/api/v1/users/", &new_user(&format!("refused{n}"))).await;
            assert_come_again(&response, "too many writes are waiting");
        }
        // Reads do not wait for the writer.
        admin.get("/api/v1/users/?pageSize=1").await.expect(200);
        release.send(()).unwrap();
    };
    let made =
        asks_meanwhile(other, async |other| other.post("/api/v1/users/", &new_user("fenna")).await, refused);
    made.await.expect(201);
    holding.await.unwrap().unwrap();
    let done = flood.join_all().await.into_iter().filter(|done| *done).count();
    assert!((1..FLOOD).contains(&done), "{done}");
    admin.post("/api/v1/users/", &new_user("later")).await.expect(201);
    // Lines for refusals are bounded as well.
    let lines =
        t.log().lines().filter(|line| line.contains("WARN") && line.contains("too many writes")).count();
    assert!((1..20).contains(&lines), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_beyond_the_queue_are_refused_and_a_neighbours_is_taken() {
    if is_postgres() {
        return;
    }
    let t = T::start().await;
    let admin = t.admin().await;
    let (_, other) = t.other_partner("Neighbour").await;
    let mut flood = JoinSet::new();
    let mut releases = Vec::new();
    for _ in 0..FLOOD {
        let (store, (release, wait)) = (t.app.store.clone(), held());
        releases.push(release);
        flood.spawn(async move {
            let work = move |_: &mut tenantry_store::engine::tx::Tx<'_, _>| {
                wait();
                Ok(())
            };
            store.scan(&system_within(PartnerId(1)), work).await.is_ok()
        });
    }
    until_refused(&mut flood).await;
    let refused = async {
        let response = admin.get("/api/v1/users/?search=ada").await;
        assert_come_again(&response, "too many searches and lists are waiting");
        // A read of one user does not wait for scans.
        admin.get("/api/v1/self").await.expect(200);
        drop(releases);
    };
    let found = asks_meanwhile(other, async |other| other.get("/api/v1/users/?search=a").await, refused);
    found.await.expect(200);
    flood.join_all().await;
    admin.get("/api/v1/users/?search=ada").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_beyond_the_queue_are_refused_and_another_addresss_is_taken() {
    let t = T::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let admin = t.admin().await;
    let login = async |address: &str| t.try_login_from(address, "admin", ADMIN_PASSWORD).await;
    // Hashes that are compared for as long as somebody waits for it.
    const SLOW: &str = "$2b$08$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
    let many = Arc::new(vec![SLOW.to_owned(); 500]);
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        let hasher = t.app.hasher.on_behalf_of(Whose::address("192.0.2.1".parse().unwrap()));
        let many = Arc::clone(&many);
        let work = async move { hasher.verify("wrong".to_owned().into(), many.to_vec()).await.is_ok() };
        flood.spawn(work);
    }
    until_refused(&mut flood).await;
    let refused = async {
        for _ in 0..3 {
            assert_come_again(&login("192.0.2.1").await, "password hashing is busy");
        }
        // Who has a token waits for no hash.
        admin.get("/api/v1/self").await.expect(200);
        flood.shutdown().await;
    };
    let (taken, ()) = tokio::join!(login("192.0.2.2"), refused);
    taken.expect(200);
    // The other address had its turn before the threads passed over those who are gone.
    until("the queue is empty", || (t.app.hasher.waiting() == 0).then_some(())).await;
    login("192.0.2.1").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_take_turns_in_using_connections() {
    if !is_postgres() {
        // The other tests are about what SQLite has instead.
        return;
    }
    // One connection to read, and one to write.
    let t = T::with(|config| {
        config.database_pool_size = 2;
        config.database_wait_ms = 60_000;
    })
    .await;
    let (other, _) = t.other_partner("Neighbour").await;
    let mut waker = Context::from_waker(Waker::noop());
    let mut releases = Vec::new();
    let mut flood: Vec<_> = (0..9)
        .map(|_| {
            let (store, (release, wait)) = (t.app.store.clone(), held());
            releases.push(release);
            Box::pin(async move {
                let work = move |_: &mut tenantry_store::engine::tx::Tx<'_, _>| {
                    wait();
                    Ok(())
                };
                store.scan(&system_within(PartnerId(1)), work).await
            })
        })
        .collect();
    // All of them wait, and then the neighbour.
    for one in &mut flood {
        assert!(one.as_mut().poll(&mut waker).is_pending());
    }
    let store = t.app.store.clone();
    let mut own = Box::pin(async move { store.scan(&system_within(PartnerId(other)), |_| Ok(())).await });
    assert!(own.as_mut().poll(&mut waker).is_pending());
    let flood: Vec<_> = flood.into_iter().map(tokio::spawn).collect();
    // The flood's first two end, and no more of them.
    drop(releases.drain(..2));
    own.await.unwrap();
    drop(releases);
    for one in flood {
        one.await.unwrap().unwrap();
    }
}
