//! When sessions were last used: recorded in memory by requests, stored by the worker.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, Session};
use tenantry_store::access::TokenFacts;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{browser_sessions, sessions};

/// Maximum number of sessions recorded between two rounds of the worker; more are recorded five minutes later.
const MOST: usize = 131_072;

/// A recorded use: partner, session and time.
pub type Use = ((PartnerId, String), Millis);

/// A recorded use of a browser session: partner, session, time, and when it now ends.
pub type BrowserUse = ((PartnerId, String), (Millis, Millis));

/// Uses of sessions that are not stored yet. A crash loses a few minutes of "last used".
#[derive(Debug, Default)]
pub struct Uses {
    sessions: Mutex<HashMap<(PartnerId, String), Millis>>,
    browsers: Mutex<HashMap<(PartnerId, String), (Millis, Millis)>>,
}

impl Uses {
    /// Records that a token is used, every five minutes.
    pub fn note(&self, facts: &TokenFacts, now: Millis) {
        if !facts.is_use_due(now) {
            return;
        }
        let mut noted = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST {
            noted.insert((facts.pid(), facts.session_id().to_owned()), now);
        }
    }

    /// Records that a browser session is used now, and when it now ends.
    pub(super) fn note_browser(&self, facts: &TokenFacts, now: Millis, expires_at: Millis) {
        let mut noted = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MOST {
            noted.insert((facts.pid(), facts.session_id().to_owned()), (now, expires_at));
        }
    }

    /// Takes the recorded uses, to store them.
    pub fn take(&self) -> Vec<Use> {
        std::mem::take(&mut *self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
            .into_iter()
            .collect()
    }

    /// Takes the recorded uses of browser sessions, to store them.
    pub fn take_of_browsers(&self) -> Vec<BrowserUse> {
        std::mem::take(&mut *self.browsers.lock().unwrap_or_else(PoisonError::into_inner))
            .into_iter()
            .collect()
    }

    /// Adds the recorded uses to these sessions.
    pub fn complete(&self, pid: PartnerId, sessions: &mut [Session]) {
        let noted = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let browsers = self.browsers.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_empty() && browsers.is_empty() {
            return;
        }
        for session in sessions {
            let key = (pid, session.session_id.clone());
            if let Some(&at) = noted.get(&key) {
                session.last_used_at = session.last_used_at.max(at);
            }
            if let Some(&(at, expires_at)) = browsers.get(&key) {
                session.last_used_at = session.last_used_at.max(at);
                session.expires_at = session.expires_at.max(expires_at);
            }
        }
    }
}

/// Stores uses of sessions of all partners. Sessions that have ended meanwhile are skipped.
///
/// # Errors
/// None of its own.
pub fn store(tx: &mut Tx<'_>, uses: &[Use]) -> Result<()> {
    for ((pid, session_id), at) in uses {
        sessions::set_used(tx, *pid, session_id, *at)?;
    }
    Ok(())
}

/// As [`store`], of browser sessions.
///
/// # Errors
/// None of its own.
pub fn store_of_browsers(tx: &mut Tx<'_>, uses: &[BrowserUse]) -> Result<()> {
    for ((pid, session_id), (at, expires_at)) in uses {
        browser_sessions::set_seen(tx, *pid, session_id, *at, *expires_at)?;
    }
    Ok(())
}
