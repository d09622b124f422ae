//! OAuth clients: those of a partner, in `clients`, and product clients, in `product_clients`. The two tables have the same
//! columns. Secrets are stored as hashes only.

use crate::engine::driver::{DbError, Param, Row};
use crate::engine::tx::{CacheKey, Tx};
use tenantry_core::clients::{Client, ClientAuthMethod, ClientGrants, ClientKind, ClientSecret};
use tenantry_core::clock::Millis;
use tenantry_core::error::{Error, Result};
use tenantry_core::model::PartnerId;
use tenantry_core::scopes::TokenScopes;
use tenantry_core::signing_alg::SigningAlg;

const COLUMNS: &str = "c.client_id, c.name, c.is_admin, c.created_at, c.kind, c.redirect_uris, \
     c.post_logout_redirect_uris, c.grants, c.scopes, c.id_token_alg, c.auth_method, c.needs_consent, c.needs_pkce, \
     c.updated_at, c.version, c.secret_hash, c.secret_id, c.secret_created_at, c.second_secret_hash, \
     c.second_secret_id, c.second_secret_created_at, c.password_alone";

/// A secret with its hash.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    /// Which one, and since when.
    pub secret: ClientSecret,
    /// Its hash.
    pub hash: String,
}

/// A client with the hashes of its secrets, in the order of [`Client::secrets`].
#[derive(Debug, Clone)]
pub struct StoredClient {
    /// The client.
    pub client: Client,
    /// Its secrets.
    pub secrets: Vec<StoredSecret>,
}

fn list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    serde_json::from_str(text).map_err(|e| Error::internal(format!("a stored list is not JSON: {e}")))
}

fn unknown(what: &str) -> Error {
    Error::internal(format!("a client has an unknown {what}: it was stored by a newer version"))
}

fn read(row: &dyn Row, pid: PartnerId) -> Result<StoredClient> {
    let created_at = row.int(3)?;
    let or_created = |at: Millis| if at == 0 { created_at } else { at };
    let mut secrets = Vec::new();
    for first in [15, 18] {
        let hash = row.text(first)?;
        if !hash.is_empty() {
            let (secret_id, at) = (row.int(first + 1)?, row.int(first + 2)?);
            let secret = ClientSecret { secret_id, created_at: or_created(at) };
            secrets.push(StoredSecret { secret, hash: hash.to_owned() });
        }
    }
    let client = Client {
        client_id: row.text(0)?.to_owned(),
        pid,
        name: row.text(1)?.to_owned(),
        is_admin: row.int(2)? != 0,
        kind: ClientKind::parse(row.text(4)?).ok_or_else(|| unknown("kind"))?,
        redirect_uris: list(row.text(5)?)?,
        post_logout_redirect_uris: list(row.text(6)?)?,
        grants: ClientGrants::from_bits(row.int(7)?),
        scopes: TokenScopes::from_bits(row.int(8)?),
        id_token_alg: SigningAlg::parse(row.text(9)?).ok_or_else(|| unknown("algorithm"))?,
        auth_method: ClientAuthMethod::parse(row.text(10)?)
            .ok_or_else(|| unknown("authentication method"))?,
        needs_consent: row.int(11)? != 0,
        needs_pkce: row.int(12)? != 0,
        password_alone: row.int(21)? != 0,
        partners: None,
        secrets: secrets.iter().map(|stored| stored.secret).collect(),
        created_at,
        updated_at: or_created(row.int(13)?),
        version: row.int(14)?,
    };
    Ok(StoredClient { client, secrets })
}

/// As [`read`], for a product client: its list of partners is read afterwards, unless it has none.
fn read_product(row: &dyn Row) -> Result<StoredClient> {
    let mut stored = read(row, PartnerId(0))?;
    stored.client.partners = (row.int(22)? == 0).then(Vec::new);
    Ok(stored)
}

fn attach_partners(tx: &mut Tx<'_>, client: &mut Client) -> Result<()> {
    if let Some(partners) = &mut client.partners {
        *partners = tx.unscoped().rows(
            "SELECT a.pid FROM product_client_partners a WHERE a.client_id = $1 ORDER BY a.pid",
            &[(&client.client_id).into()],
            |row| row.int(0).map(PartnerId),
        )?;
    }
    Ok(())
}

/// A client of the transaction's partner with its secrets; of no partner: a product client.
pub fn find(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<StoredClient>> {
    let pid = tx.pid();
    if pid == PartnerId(0) {
        return find_product(tx, client_id);
    }
    let sql = format!("SELECT {COLUMNS} FROM clients c WHERE c.pid = $1 AND c.client_id = $2");
    tx.row(&sql, &[client_id.into()], |row| read(row, pid))
}

fn find_product(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<StoredClient>> {
    let sql = format!(
        "SELECT {COLUMNS}, c.all_partners FROM product_clients c WHERE c.client_id = $1 AND c.revoked_at = 0"
    );
    let mut found = tx.unscoped().rows(&sql, &[client_id.into()], read_product)?.pop();
    if let Some(stored) = &mut found {
        attach_partners(tx, &mut stored.client)?;
    }
    Ok(found)
}

/// Whether a client is the partner's own, or a product client that is for its users.
pub fn is_known(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let found = tx.row(
        "SELECT 1 FROM partners p WHERE p.pid = $1 AND (EXISTS \
         (SELECT 1 FROM clients c WHERE c.pid = p.pid AND c.client_id = $2) OR EXISTS \
         (SELECT 1 FROM product_clients q WHERE q.client_id = $2 AND q.revoked_at = 0 AND (q.all_partners = 1 OR EXISTS \
         (SELECT 1 FROM product_client_partners a WHERE a.pid = p.pid AND a.client_id = q.client_id))))",
        &[client_id.into()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// The start of a page of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientPosition {
    /// After this many rows.
    Offset(i64),
    /// After the client with this time and id.
    After(Millis, String),
}

/// The clients of the transaction's partner, oldest first; of no partner: the product clients.
pub fn select(tx: &mut Tx<'_>, descending: bool, from: &ClientPosition, size: i64) -> Result<Vec<Client>> {
    let pid = tx.pid();
    let (order, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
    // The partner is $1 of a statement within it.
    let (mut all, first) = if pid == PartnerId(0) { (Vec::new(), 1) } else { (vec![pid.into()], 2) };
    all.push(Param::Int(size));
    let (more, skip) = match from {
        ClientPosition::Offset(offset) => {
            all.push(Param::Int(*offset));
            (String::new(), format!("OFFSET ${}", first + 1))
        }
        ClientPosition::After(at, id) => {
            all.push(Param::Int(*at));
            all.push(Param::Text(id));
            (
                format!(" AND (c.created_at, c.client_id) {beyond} (${}, ${})", first + 1, first + 2),
                String::new(),
            )
        }
    };
    let tail = format!("{more} ORDER BY c.created_at {order}, c.client_id {order} LIMIT ${first} {skip}");
    if pid != PartnerId(0) {
        let sql = format!("SELECT {COLUMNS} FROM clients c WHERE c.pid = $1{tail}");
        return tx
            .rows(&sql, all.get(1..).unwrap_or_default(), |row| read(row, pid).map(|stored| stored.client));
    }
    let sql = format!("SELECT {COLUMNS}, c.all_partners FROM product_clients c WHERE c.revoked_at = 0{tail}");
    let mut found = tx.unscoped().rows(&sql, &all, |row| read_product(row).map(|stored| stored.client))?;
    for client in &mut found {
        attach_partners(tx, client)?;
    }
    Ok(found)
}

/// The number of clients of the transaction's partner; of no partner: of product clients.
pub fn count(tx: &mut Tx<'_>) -> Result<i64> {
    let count = if tx.pid() == PartnerId(0) {
        let sql = "SELECT count(*) FROM product_clients c WHERE c.revoked_at = 0";
        tx.unscoped().rows(sql, &[], |row| row.int(0))?.pop()
    } else {
        tx.row("SELECT count(*) FROM clients c WHERE c.pid = $1", &[], |row| row.int(0))?
    };
    Ok(count.unwrap_or(0))
}

/// The version of a client; `None` if there is no such client.
pub fn version(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<i64>> {
    Ok(find(tx, client_id)?.map(|stored| stored.client.version))
}

/// A set of columns with their values, for an INSERT or an UPDATE.
struct Values<'a>(Vec<(&'static str, Param<'a>)>);

fn values<'a>(client: &'a Client, uris: &'a [String; 2]) -> Values<'a> {
    let [redirect, post_logout] = uris;
    Values(vec![
        ("client_id", (&client.client_id).into()),
        ("name", (&client.name).into()),
        ("is_admin", client.is_admin.into()),
        ("kind", client.kind.name().into()),
        ("redirect_uris", redirect.into()),
        ("post_logout_redirect_uris", post_logout.into()),
        ("grants", client.grants.to_bits().into()),
        ("scopes", client.scopes.to_bits().into()),
        ("id_token_alg", client.id_token_alg.name().into()),
        ("auth_method", client.auth_method.name().into()),
        ("needs_consent", client.needs_consent.into()),
        ("needs_pkce", client.needs_pkce.into()),
        ("password_alone", client.password_alone.into()),
        ("created_at", client.created_at.into()),
        ("updated_at", client.updated_at.into()),
        ("version", client.version.into()),
    ])
}

fn of_secrets(secrets: &[StoredSecret]) -> Vec<(&'static str, Param<'_>)> {
    let names = [
        ["secret_hash", "secret_id", "secret_created_at"],
        ["second_secret_hash", "second_secret_id", "second_secret_created_at"],
    ];
    let column = |(at, [hash, id, since]): (usize, [&'static str; 3])| match secrets.get(at) {
        Some(StoredSecret { secret, hash: stored }) => {
            [(hash, stored.into()), (id, secret.secret_id.into()), (since, secret.created_at.into())]
        }
        None => [(hash, "".into()), (id, Param::Int(0)), (since, Param::Int(0))],
    };
    names.into_iter().enumerate().flat_map(column).collect()
}

fn uris(client: &Client) -> [String; 2] {
    [&client.redirect_uris, &client.post_logout_redirect_uris].map(|uris| serde_json::json!(uris).to_string())
}

impl Values<'_> {
    /// Stores them as a row.
    fn insert(self, tx: &mut Tx<'_>, table: &str) -> Result<(), DbError> {
        let (names, params): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let marks: Vec<_> = (1..=names.len()).map(|at| format!("${at}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", "));
        tx.unscoped().execute(&sql, &params).map(drop)
    }

    /// Stores them in the row of this client.
    fn update(self, tx: &mut Tx<'_>, pid: PartnerId, client_id: &str) -> Result<(), DbError> {
        let (names, mut params): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let set: Vec<_> = (1..).zip(&names).map(|(at, name)| format!("{name} = ${at}")).collect();
        params.push(client_id.into());
        let mut sql = format!("SET {} WHERE client_id = ${}", set.join(", "), params.len());
        sql.insert_str(0, if pid == PartnerId(0) { "UPDATE product_clients " } else { "UPDATE clients " });
        if pid != PartnerId(0) {
            params.push(pid.into());
            sql.push_str(&format!(" AND pid = ${}", params.len()));
        }
        tx.unscoped().execute(&sql, &params).map(drop)
    }
}

/// Stores a new client with its secrets and the origins of its redirect URIs.
pub fn insert(tx: &mut Tx<'_>, client: &Client, secrets: &[StoredSecret], origins: &[String]) -> Result<()> {
    let uris = uris(client);
    let mut values = values(client, &uris);
    values.0.extend(of_secrets(secrets));
    if client.is_product() {
        values.0.push(("all_partners", client.partners.is_none().into()));
        values.0.push(("revoked_at", Param::Int(0)));
        values.0.push(("is_unsettled", Param::Int(0)));
        values.insert(tx, "product_clients")?;
    } else {
        values.0.push(("pid", client.pid.into()));
        values.insert(tx, "clients")?;
    }
    tx.note_new_client(&client.client_id);
    insert_partners(tx, client)?;
    set_origins(tx, client, origins)
}

fn insert_partners(tx: &mut Tx<'_>, client: &Client) -> Result<()> {
    for pid in client.partners.iter().flatten() {
        tx.unscoped().execute(
            "INSERT INTO product_client_partners (pid, client_id) VALUES ($1, $2)",
            &[(*pid).into(), (&client.client_id).into()],
        )?;
    }
    Ok(())
}

fn set_origins(tx: &mut Tx<'_>, client: &Client, origins: &[String]) -> Result<()> {
    let key = [client.pid.into(), (&client.client_id).into()];
    let gone = tx.unscoped().execute("DELETE FROM client_origins WHERE pid = $1 AND client_id = $2", &key)?;
    if gone > 0 || !origins.is_empty() {
        tx.invalidate(CacheKey::SERVER);
    }
    for origin in origins {
        tx.unscoped().execute(
            "INSERT INTO client_origins (pid, client_id, origin) VALUES ($1, $2, $3)",
            &[client.pid.into(), (&client.client_id).into(), origin.into()],
        )?;
    }
    Ok(())
}

/// Stores all properties of a client but its secrets. What is cached of its tokens is forgotten.
pub fn update(tx: &mut Tx<'_>, client: &Client, origins: &[String]) -> Result<()> {
    let uris = uris(client);
    let mut values = values(client, &uris);
    if client.is_product() {
        values.0.push(("all_partners", client.partners.is_none().into()));
        // It may be for fewer partners than before.
        values.0.push(("is_unsettled", client.partners.is_some().into()));
    }
    values.update(tx, client.pid, &client.client_id)?;
    if client.is_product() {
        tx.unscoped().execute(
            "DELETE FROM product_client_partners WHERE client_id = $1",
            &[(&client.client_id).into()],
        )?;
        insert_partners(tx, client)?;
    }
    set_origins(tx, client, origins)?;
    forget(tx, client.pid);
    Ok(())
}

fn forget(tx: &mut Tx<'_>, pid: PartnerId) {
    tx.invalidate(if pid == PartnerId(0) { CacheKey::All } else { CacheKey::Partner(pid) });
}

/// Stores the secrets of a client, its version and the time of the change.
pub fn set_secrets(tx: &mut Tx<'_>, client: &Client, secrets: &[StoredSecret]) -> Result<()> {
    let mut values = Values(of_secrets(secrets));
    values.0.extend([("updated_at", client.updated_at.into()), ("version", client.version.into())]);
    Ok(values.update(tx, client.pid, &client.client_id)?)
}

/// Deletes a client of the partner, whose sessions are being ended by the caller, with the consents it was given.
pub fn delete(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let gone = tx.execute("DELETE FROM clients WHERE pid = $1 AND client_id = $2", &[client_id.into()])?;
    tx.execute("DELETE FROM consents WHERE pid = $1 AND client_id = $2", &[client_id.into()])?;
    let origins =
        tx.execute("DELETE FROM client_origins WHERE pid = $1 AND client_id = $2", &[client_id.into()])?;
    if origins > 0 {
        tx.invalidate(CacheKey::SERVER);
    }
    tx.invalidate(CacheKey::Partner(tx.pid()));
    Ok(gone > 0)
}

/// Marks a product client as gone: from now on none of its tokens is valid. Its sessions, of any number of partners, are
/// deleted later.
pub fn revoke_product(tx: &mut Tx<'_>, client_id: &str) -> Result<bool> {
    let now = tx.now();
    let gone = tx.unscoped().execute(
        "UPDATE product_clients SET revoked_at = $2, is_unsettled = 1 WHERE client_id = $1 AND revoked_at = 0",
        &[client_id.into(), now.max(1).into()],
    )?;
    tx.unscoped()
        .execute("DELETE FROM client_origins WHERE pid = 0 AND client_id = $1", &[client_id.into()])?;
    tx.invalidate(CacheKey::All);
    Ok(gone > 0)
}

/// A product client with sessions that it may no longer have, if there is one.
pub fn find_unsettled_product(tx: &mut Tx<'_>) -> Result<Option<String>> {
    let sql = "SELECT q.client_id FROM product_clients q WHERE q.is_unsettled = 1 LIMIT 1";
    Ok(tx.unscoped().rows(sql, &[], |row| row.text(0).map(str::to_owned))?.pop())
}

/// A partner that a product client is no longer for, and that has sessions opened through it.
pub fn find_partner_left(tx: &mut Tx<'_>, client_id: &str) -> Result<Option<PartnerId>> {
    let sql = "SELECT p.pid FROM product_clients q CROSS JOIN partners p WHERE q.client_id = $1 AND (q.revoked_at <> 0 OR \
         (q.all_partners = 0 AND NOT EXISTS (SELECT 1 FROM product_client_partners a \
         WHERE a.pid = p.pid AND a.client_id = q.client_id))) \
         AND EXISTS (SELECT 1 FROM sessions s WHERE s.pid = p.pid AND s.client_id = q.client_id) LIMIT 1";
    Ok(tx.unscoped().rows(sql, &[client_id.into()], |row| row.int(0).map(PartnerId))?.pop())
}

/// Deletes the row of a product client that was revoked; records of another one that it has only the sessions that it may
/// have.
pub fn set_settled(tx: &mut Tx<'_>, client_id: &str) -> Result<()> {
    let mut all = tx.unscoped();
    all.execute("DELETE FROM product_clients WHERE client_id = $1 AND revoked_at <> 0", &[client_id.into()])?;
    all.execute("UPDATE product_clients SET is_unsettled = 0 WHERE client_id = $1", &[client_id.into()])?;
    Ok(())
}

/// As [`crate::tables::users::lock_row`], for a client.
pub fn lock_row(tx: &mut Tx<'_>, client_id: &str) -> Result<()> {
    if tx.pid() != PartnerId(0) {
        let sql = "UPDATE clients SET version = version WHERE pid = $1 AND client_id = $2";
        return tx.lock_row(sql, &[client_id.into()]);
    }
    if !tx.dialect().has_one_writer() {
        let sql = "UPDATE product_clients SET version = version WHERE client_id = $1";
        tx.unscoped().execute(sql, &[client_id.into()])?;
    }
    Ok(())
}

/// The partners that have clients of their own whose ID tokens are signed with this algorithm.
pub fn list_partners_with_algorithm(tx: &mut Tx<'_>, alg: SigningAlg) -> Result<Vec<PartnerId>> {
    // The index is partial: by this condition it is found.
    let sql =
        "SELECT DISTINCT c.pid FROM clients c WHERE c.id_token_alg = $1 AND c.grants % 2 = 1 ORDER BY c.pid";
    tx.unscoped().rows(sql, &[alg.name().into()], |row| row.int(0).map(PartnerId))
}

/// The names of the partner's clients whose ID tokens are signed with this algorithm, oldest first; at most `limit`.
pub fn list_names_with_algorithm(tx: &mut Tx<'_>, alg: SigningAlg, limit: i64) -> Result<Vec<String>> {
    tx.rows(
        "SELECT c.name FROM clients c WHERE c.pid = $1 AND c.id_token_alg = $2 AND c.grants % 2 = 1 \
         ORDER BY c.created_at, c.client_id LIMIT $3",
        &[alg.name().into(), limit.into()],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// Whether any client has a redirect URI of this origin.
pub(crate) fn is_origin_known(tx: &mut Tx<'_>, origin: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM client_origins o WHERE o.origin = $1 LIMIT 1";
    Ok(!tx.unscoped().rows(sql, &[origin.into()], |_| Ok(()))?.is_empty())
}
