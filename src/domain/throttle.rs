//! Failed logins per address, and forgotten passwords asked for: after so many in five minutes, that address has to
//! wait, and no other.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{MINUTE, Millis};
use crate::error::{Error, Result};

/// How long a failure counts.
const WINDOW: Millis = 5 * MINUTE;

/// Addresses remembered at most; a flood from more of them forgets those that failed longest ago.
const ADDRESSES: usize = 65_536;

/// Remembers failed logins, or other attempts that are counted.
#[derive(Debug)]
pub struct Throttle {
    limit: usize,
    failures: Mutex<HashMap<IpAddr, VecDeque<Millis>>>,
}

impl Throttle {
    /// Allows `limit` failures in five minutes.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), failures: Mutex::new(HashMap::new()) }
    }

    /// Whether logins from this address may be tried now. Those under way are not counted, since most succeed;
    /// the hash queue bounds how many can slip by at once.
    ///
    /// # Errors
    /// [`Error::TooMany`] when the address has to wait.
    pub fn check(&self, address: IpAddr, now: Millis) -> Result<()> {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(times) = all.get_mut(&network(address)) else { return Ok(()) };
        while times.front().is_some_and(|&at| at <= now - WINDOW) {
            times.pop_front();
        }
        if times.len() < self.limit {
            return Ok(());
        }
        let wait = times.front().map_or(WINDOW, |&at| at + WINDOW - now);
        Err(Error::TooMany(Duration::from_millis(u64::try_from(wait).unwrap_or(0))))
    }

    /// Remembers a failed login or another attempt.
    pub fn fail(&self, address: IpAddr, now: Millis) {
        let mut all = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES {
            all.retain(|_, times| times.back().is_some_and(|&at| at > now - WINDOW));
        }
        if all.len() >= ADDRESSES {
            let oldest =
                all.iter().min_by_key(|(_, times)| times.back().copied()).map(|(address, _)| *address);
            oldest.map(|address| all.remove(&address));
        }
        let times = all.entry(network(address)).or_default();
        times.push_back(now);
        // No more than the limit is needed to know when the wait ends.
        if times.len() > self.limit {
            times.pop_front();
        }
    }
}

/// Whom a limit is for: an IPv4 address, or the /64 that one IPv6 customer has at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_its_limit_and_no_other_does() {
        let throttle = Throttle::new(2);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        throttle.fail(one, 1_000);
        throttle.check(one, 1_500).unwrap();
        throttle.fail(one, 2_000);
        let Err(Error::TooMany(wait)) = throttle.check(one, 3_000) else { panic!("must wait") };
        assert_eq!(wait, Duration::from_millis(298_000), "until the first failure is five minutes old");
        throttle.check(other, 3_000).unwrap();
        throttle.check(one, 1_000 + WINDOW).unwrap();
    }

    #[test]
    fn ipv6_neighbours_share_a_limit() {
        let throttle = Throttle::new(1);
        throttle.fail("2001:db8::1".parse().unwrap(), 0);
        throttle.check("2001:db8::2".parse().unwrap(), 0).unwrap_err();
        throttle.check("2001:db8:0:1::2".parse().unwrap(), 0).unwrap();
    }

    #[test]
    fn a_flood_of_addresses_is_forgotten_oldest_first() {
        let throttle = Throttle::new(1);
        let address = |n: usize| IpAddr::from(std::net::Ipv4Addr::from(u32::try_from(n).unwrap()));
        for n in 0..=ADDRESSES {
            throttle.fail(address(n), i64::try_from(n).unwrap() / 1_000);
        }
        throttle.check(address(ADDRESSES), 66).unwrap_err();
        assert!(throttle.failures.lock().unwrap().len() <= ADDRESSES);
    }
}
