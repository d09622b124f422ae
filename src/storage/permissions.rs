//! Which permissions and wildcards groups have.

use std::collections::HashMap;

use super::driver::Row;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{GroupId, ObjectId, ObjectPermissions};

/// What a group may do with single objects, as the list was given.
pub fn list(tx: &mut Tx<'_>, group_id: GroupId) -> Result<Vec<ObjectPermissions>> {
    let mut list: Vec<ObjectPermissions> = Vec::new();
    let mut last = None;
    let read = &mut |row: &dyn Row| {
        let entry = row.int(0)?;
        match list.last_mut().filter(|_| last == Some(entry)) {
            Some(present) => present.permissions.push(row.text(4)?.to_owned()),
            None => list.push(ObjectPermissions {
                object_type: row.text(1)?.to_owned(),
                object_id: ObjectId { text: row.text(2)?.to_owned(), is_number: row.int(3)? != 0 },
                permissions: vec![row.text(4)?.to_owned()],
            }),
        }
        last = Some(entry);
        Ok(())
    };
    tx.each(
        "SELECT p.entry, p.object_type, p.object_id, p.is_number, p.permission FROM group_permissions p \
         WHERE p.pid = $1 AND p.group_id = $2 ORDER BY p.entry, p.place",
        &[group_id.into()],
        read,
    )?;
    Ok(list)
}

/// Removes the first `limit` rows of a group's list, whose group goes as well; how many.
pub fn delete_first(tx: &mut Tx<'_>, group_id: GroupId, limit: i64) -> Result<usize> {
    Ok(tx.execute(
        "DELETE FROM group_permissions WHERE pid = $1 AND group_id = $2 AND \
         (object_type, object_id, permission) IN (SELECT p.object_type, p.object_id, p.permission \
         FROM group_permissions p WHERE p.pid = $1 AND p.group_id = $2 ORDER BY p.entry, p.place LIMIT $3)",
        &[group_id.into(), limit.into()],
    )?)
}

/// One permission on one object.
type Key<'a> = (&'a str, &'a str, &'a str);
/// Where it stands in the list, and whether the object's id was given as a number.
type Place = (i64, i64, bool);

fn rows(list: &[ObjectPermissions]) -> HashMap<Key<'_>, Place> {
    let mut rows = HashMap::new();
    for (entry, of) in (0..).zip(list) {
        for (place, permission) in (0..).zip(&of.permissions) {
            let key = (of.object_type.as_str(), of.object_id.text.as_str(), permission.as_str());
            rows.insert(key, (entry, place, of.object_id.is_number));
        }
    }
    rows
}

/// Stores a group's list in place of `before`. Only what differs is written.
pub fn replace(
    tx: &mut Tx<'_>,
    group_id: GroupId,
    before: &[ObjectPermissions],
    after: &[ObjectPermissions],
) -> Result<()> {
    let (before, after) = (rows(before), rows(after));
    for (object_type, object_id, permission) in before.keys().filter(|key| !after.contains_key(*key)) {
        tx.execute(
            "DELETE FROM group_permissions WHERE pid = $1 AND object_type = $2 AND object_id = $3 \
             AND permission = $4 AND group_id = $5",
            &[(*object_type).into(), (*object_id).into(), (*permission).into(), group_id.into()],
        )?;
    }
    for (key, place) in after.iter().filter(|(key, place)| before.get(*key) != Some(*place)) {
        tx.execute(
            "INSERT INTO group_permissions (pid, object_type, object_id, permission, group_id, entry, place, is_number) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (pid, object_type, object_id, permission, group_id) \
             DO UPDATE SET entry = excluded.entry, place = excluded.place, is_number = excluded.is_number",
            &[
                key.0.into(),
                key.1.into(),
                key.2.into(),
                group_id.into(),
                place.0.into(),
                place.1.into(),
                place.2.into(),
            ],
        )?;
    }
    Ok(())
}

/// Stores a group's wildcards in place of `before`.
pub fn replace_wildcards(
    tx: &mut Tx<'_>,
    group_id: GroupId,
    before: &[String],
    after: &[String],
) -> Result<()> {
    for wildcard in before.iter().filter(|name| !after.contains(name)) {
        tx.execute(
            "DELETE FROM group_wildcards WHERE pid = $1 AND wildcard = $2 AND group_id = $3",
            &[wildcard.into(), group_id.into()],
        )?;
    }
    for wildcard in after.iter().filter(|name| !before.contains(name)) {
        tx.execute(
            "INSERT INTO group_wildcards (pid, wildcard, group_id) VALUES ($1, $2, $3)",
            &[wildcard.into(), group_id.into()],
        )?;
    }
    Ok(())
}
