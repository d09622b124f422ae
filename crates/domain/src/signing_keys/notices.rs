//! Mails about keys that were replaced at once.

use std::collections::BTreeSet;

use crate::passwords;
use tenantry_core::error::Result;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_mail::EmailContent;
use tenantry_store::access::Operator;
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{clients, users};

/// A mail names at most this many applications.
const APPLICATIONS: i64 = 20;

/// At most this many admins of a partner get a mail.
const ADMINS: i64 = 20;

/// Mails the ACTIVE admins of partners whose own clients get ID tokens that keys of these algorithms have signed. Product
/// clients are the operator's, who has reset the keys. Returns the number of mails.
pub(super) fn mail_reset(tx: &mut Tx<'_, Operator>, algorithms: &BTreeSet<SigningAlg>) -> Result<usize> {
    let mut partners = BTreeSet::new();
    for alg in algorithms {
        partners.extend(clients::list_partners_with_algorithm(tx, *alg)?);
    }
    let (server, mut mails) = (tx.pid(), 0);
    for pid in partners {
        tx.enter_partner(pid);
        let mut applications = Vec::new();
        for alg in algorithms {
            applications.extend(clients::list_names_with_algorithm(tx, *alg, APPLICATIONS)?);
        }
        for admin in users::active_admins(tx, ADMINS)? {
            let Some(user) = users::find(tx, admin)? else { continue };
            let (username, applications) = (user.username.clone(), applications.clone());
            let what = EmailContent::SigningKeysReset { username, applications };
            passwords::notify(tx, &user, &user.profile.email, what)?;
            mails += 1;
        }
    }
    tx.enter_partner(server);
    Ok(mails)
}
