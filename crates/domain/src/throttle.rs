//! Limits per address on failed logins and forgotten-password requests: after a number of them in five minutes, that
//! address has to wait, and no other. They are rows, so the limit applies across processes and restarts.

use std::net::IpAddr;
use std::time::Duration;

use crate::services::Services;
use tenantry_core::clock::{MINUTE, Millis};
use tenantry_core::error::{Error, Result};
use tenantry_store::access::nobody;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::login_failures;

/// How long a failure counts.
const WINDOW: Millis = 5 * MINUTE;

/// Checks whether this address may attempt a login now. Logins in progress are not counted, since most succeed; the
/// hash queue limits how many can slip through at once.
///
/// # Errors
/// [`Error::TooMany`] if the address has to wait.
pub async fn check(services: &Services, address: IpAddr) -> Result<()> {
    services.store.read(&nobody(), move |tx| check_in(tx, address)).await
}

fn check_in(tx: &mut Tx<'_>, address: IpAddr) -> Result<()> {
    let limit = tx.policy().failures_per_address;
    check_key(tx, &network(address), limit)
}

fn check_key(tx: &mut Tx<'_>, key: &str, limit: i64) -> Result<()> {
    let now = tx.steady();
    let (count, first) = login_failures::count(tx, key, now - WINDOW)?;
    if count < limit {
        return Ok(());
    }
    // A failure that is ahead of a clock that was set back counts as one of now.
    let wait = (first + WINDOW - now).clamp(0, WINDOW);
    Err(Error::TooMany(Duration::from_millis(u64::try_from(wait).unwrap_or(0))))
}

/// Records a failed login.
pub(super) fn record_failure(tx: &mut Tx<'_>, address: IpAddr) -> Result<()> {
    login_failures::insert(tx, &network(address))
}

/// Counts a forgotten-password request of this address, unless there were too many.
///
/// # Errors
/// [`Error::TooMany`] if the address has to wait.
pub(super) fn count_request(tx: &mut Tx<'_>, address: IpAddr) -> Result<()> {
    // Stored with the failed logins, under a key that no address has.
    let key = format!("forgotten {}", network(address));
    let limit = tx.policy().forgotten_per_address;
    check_key(tx, &key, limit)?;
    login_failures::insert(tx, &key)
}

/// Removes at most `limit` rows that no longer count. Returns their number.
///
/// # Errors
/// None of its own.
pub fn purge(tx: &mut Tx<'_>, limit: i64) -> Result<usize> {
    let until = tx.steady() - WINDOW;
    login_failures::purge(tx, until, limit)
}

/// The key of a limit: an IPv4 address, or an IPv6 /64, which a single customer has at least.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from(u128::from(v6) >> 64 << 64).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_core::account_policy::AccountPolicy;
    use tenantry_core::clock::Clock;
    use tenantry_core::random::Random;
    use tenantry_store::access::Within;
    use tenantry_store::engine::tx::Outcome;
    use tenantry_store::store::Store;

    struct Limited {
        store: Store,
        clock: Clock,
        _dir: tempfile::TempDir,
    }

    impl Limited {
        fn to(failures_per_address: i64) -> Self {
            let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::manual(1_000_000));
            let policy =
                AccountPolicy { failures_per_address, forgotten_per_address: 1, ..AccountPolicy::DEFAULT };
            let path = dir.path().join("test.db");
            let store = Store::open_sqlite(&path, clock.clone(), Random::seeded(1), policy).unwrap();
            Self { store, clock, _dir: dir }
        }

        async fn fail(&self, address: &str) {
            let address = address.parse().unwrap();
            let record = move |tx: &mut Tx<'_, Within>| record_failure(tx, address).map(Outcome::Commit);
            self.store.write(&nobody(), record).await.unwrap();
        }

        async fn check(&self, address: &str) -> Result<()> {
            let address = address.parse().unwrap();
            self.store.read(&nobody(), move |tx| check_in(tx, address)).await
        }
    }

    #[tokio::test]
    async fn an_address_waits_after_its_limit_and_no_other_does() {
        let limited = Limited::to(2);
        limited.fail("192.0.2.1").await;
        limited.clock.advance(500);
        limited.check("192.0.2.1").await.unwrap();
        limited.fail("192.0.2.1").await;
        limited.clock.advance(1_500);
        let Err(Error::TooMany(wait)) = limited.check("192.0.2.1").await else { panic!("must wait") };
        assert_eq!(wait, Duration::from_millis(298_000), "until the first failure is five minutes old");
        limited.check("192.0.2.2").await.unwrap();
        limited.clock.advance(298_000);
        limited.check("192.0.2.1").await.unwrap();
    }

    #[tokio::test]
    async fn ipv6_neighbours_share_a_limit() {
        let limited = Limited::to(1);
        limited.fail("2001:db8::1").await;
        limited.check("2001:db8::2").await.unwrap_err();
        limited.check("2001:db8:0:1::2").await.unwrap();
    }

    #[tokio::test]
    async fn failures_of_one_moment_all_count_and_old_ones_are_forgotten() {
        let limited = Limited::to(3);
        for _ in 0..3 {
            limited.fail("192.0.2.1").await;
        }
        limited.check("192.0.2.1").await.unwrap_err();
        let forget = |tx: &mut Tx<'_, Within>| purge(tx, 100).map(Outcome::Commit);
        assert_eq!(limited.store.write(&nobody(), forget).await.unwrap(), 0, "they still count");
        limited.clock.advance(WINDOW);
        limited.fail("192.0.2.2").await;
        assert_eq!(limited.store.write(&nobody(), forget).await.unwrap(), 1, "one moment is one row");
        limited.check("192.0.2.1").await.unwrap();
    }
}
