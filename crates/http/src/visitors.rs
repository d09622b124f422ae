//! A limit on anonymous requests by client address: pages before the sign-in, and their files. A flood from one address is
//! refused and costs others nothing; a limit by partner would lock everybody out.
//!
//! Requests are counted per minute in a fixed table, so that many addresses need no more memory than one. Two addresses
//! that share both of their slots count as one; which do is random per process.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenantry_core::clock::{MINUTE, Millis};
use tenantry_core::error::{Error, Result};

const SLOTS: usize = 16_384;

/// The bits of a slot that count; the others are the minute.
const COUNT: u64 = u32::MAX as u64;

/// The requests of this minute, by address.
#[derive(Debug)]
pub struct Visitors {
    /// Maximum number of requests per address and minute; 0 = no limit.
    limit: u32,
    hashers: [RandomState; 2],
    slots: Box<[AtomicU64]>,
}

impl Visitors {
    /// Limits each address to so many requests a minute; 0 = no limit.
    pub fn limited_to(limit: u32) -> Self {
        let slots = if limit == 0 { 0 } else { 2 * SLOTS };
        let slots = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Self { limit, hashers: [RandomState::new(), RandomState::new()], slots }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`Error::TooMany`] if the address has sent too many this minute.
    pub fn count(&self, address: IpAddr, now: Millis) -> Result<()> {
        if self.limit == 0 {
            return Ok(());
        }
        let network = network(address);
        let minute = u64::try_from(now / MINUTE).unwrap_or(0) & COUNT;
        let counts = self.hashers.iter().zip(self.slots.chunks(SLOTS)).filter_map(|(hasher, slots)| {
            let at = usize::try_from(hasher.hash_one(network) % SLOTS as u64).ok()?;
            Some(add(slots.get(at)?, minute))
        });
        // Of both, the one that fewer others share.
        if counts.min().unwrap_or(0) <= u64::from(self.limit) {
            return Ok(());
        }
        let wait = MINUTE - now.rem_euclid(MINUTE);
        Err(Error::TooMany(Duration::from_millis(u64::try_from(wait).unwrap_or(0))))
    }
}

/// Adds one to a count of this minute, or begins it.
fn add(slot: &AtomicU64, minute: u64) -> u64 {
    let next = |known: u64| {
        let count = if known >> 32 == minute { (known & COUNT) + 1 } else { 1 };
        minute << 32 | count.min(COUNT)
    };
    let mut known = slot.load(Ordering::Relaxed);
    loop {
        let new = next(known);
        match slot.compare_exchange_weak(known, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return new & COUNT,
            Err(other) => known = other,
        }
    }
}

/// An IPv4 address, or an IPv6 /64, which a single customer has at least.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_for_the_next_minute_and_no_other_does() {
        let visitors = Visitors::limited_to(3);
        let count = |address: &str, now| visitors.count(address.parse().unwrap(), now);
        for _ in 0..3 {
            count("192.0.2.1", 600_000).unwrap();
        }
        let Err(Error::TooMany(wait)) = count("192.0.2.1", 615_000) else { panic!("must wait") };
        assert_eq!(wait, Duration::from_secs(45));
        count("192.0.2.2", 615_000).unwrap();
        count("192.0.2.1", 660_000).unwrap();
        for n in 0..3 {
            count(&format!("2001:db8::{n}"), 0).unwrap();
        }
        count("2001:db8::9", 0).unwrap_err();
        count("2001:db8:0:1::9", 0).unwrap();
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let visitors = Visitors::limited_to(0);
        assert!(visitors.slots.is_empty());
        assert!((0..10_000).all(|_| visitors.count([192, 0, 2, 1].into(), 0).is_ok()));
    }
}
