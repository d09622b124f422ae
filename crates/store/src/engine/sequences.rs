//! Allocation of ids, and which of them a transaction has allocated.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::driver::{Connection, DbError};

/// Sources of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    Partners,
    Users,
    Groups,
    Events,
    Outbox,
    Passwords,
    PasswordRequests,
    OperatorTokens,
}

impl Sequence {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Partners => "partners",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Events => "events",
            Self::Outbox => "outbox",
            Self::Passwords => "passwords",
            Self::PasswordRequests => "password_requests",
            Self::OperatorTokens => "operator_tokens",
        }
    }
}

/// The sequences of an SQLite database within one transaction of its one writer: each is read once and stored once,
/// however many ids are allocated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(BTreeMap<&'static str, i64>);

impl Numbers {
    pub(crate) fn next(&mut self, conn: &mut dyn Connection, name: &'static str) -> Result<i64, DbError> {
        let last = match self.0.entry(name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut last = 0;
                conn.query(
                    "SELECT value FROM sequences WHERE name = $1",
                    None,
                    &[name.into()],
                    &mut |row| {
                        last = row.int(0)?;
                        Ok(())
                    },
                )?;
                unknown.insert(last)
            }
        };
        *last += 1;
        Ok(*last)
    }

    /// Stores the sequences.
    pub(crate) fn store(&self, conn: &mut dyn Connection) -> Result<(), DbError> {
        for (name, last) in &self.0 {
            conn.execute(
                "INSERT INTO sequences (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                None,
                &[(*name).into(), (*last).into()],
            )?;
        }
        Ok(())
    }
}

/// The ids of users, groups, partners and clients that a transaction has allocated.
#[derive(Debug, Default)]
pub struct FreshIds {
    numbers: Vec<(Sequence, i64)>,
    clients: Vec<String>,
}

impl FreshIds {
    pub(crate) fn add(&mut self, sequence: Sequence, id: i64) {
        if matches!(sequence, Sequence::Users | Sequence::Groups | Sequence::Partners) {
            self.numbers.push((sequence, id));
        }
    }

    pub(crate) fn add_client(&mut self, client_id: &str) {
        self.clients.push(client_id.to_owned());
    }

    /// Whether nothing was allocated.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.clients.is_empty()
    }

    /// Whether the value of this member of a response is an id that the transaction has allocated.
    pub fn holds(&self, member: &str, id: i64) -> bool {
        let sequence = match member {
            "userId" => Sequence::Users,
            "groupId" => Sequence::Groups,
            "pid" => Sequence::Partners,
            _ => return false,
        };
        self.numbers.contains(&(sequence, id))
    }

    /// As [`Self::holds`], for an id that is text: that of a client.
    pub fn holds_text(&self, member: &str, id: &str) -> bool {
        member == "clientId" && self.clients.iter().any(|one| one == id)
    }
}
