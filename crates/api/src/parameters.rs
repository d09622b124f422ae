//! Query parameters and headers of operations, for the document.

use utoipa::IntoParams;

/// What is known already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Conditions reads")]
pub struct KnownParams {
    /// An `ETag`: if it is still the present one, the answer is `304` without a body.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}

/// On what condition something is changed.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Write reads")]
pub struct ConditionParams {
    /// An `ETag`: if it is no longer the present one, nothing is changed (`412`).
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// What makes a request safe to send again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documents what Once reads")]
pub struct OnceParams {
    /// Up to 255 visible ASCII characters, such as a UUID: the same key with the same body within 24 hours gets the
    /// first answer again, with `Idempotency-Replayed: true`; with another body `409`.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// Only to try.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Write reads")]
pub struct DryRunParams {
    /// Try it: faults and conflicts are answered as ever, what would be done with `200` and a preview, and nothing is
    /// changed. The ids of what would be created are null in it, and there is no `Location`: none is given out.
    dry_run: Option<bool>,
}

/// Which part of a list, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct PageParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 if only `page` is given.
    page_size: Option<i32>,
    /// Any property of a row; the id by default. Not `groups`.
    sort_by: Option<String>,
    /// `true`, `false` or nothing, which means true.
    descending: Option<bool>,
    /// A substring of the row's values, whatever their case.
    search: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// What of each group.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct GroupParams {
    /// Only these properties, parted by commas: without `users` a list of large groups is short.
    fields: Option<String>,
}

/// Which users. Each may be repeated for "any of"; different ones are combined by "and".
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct UserFilters {
    /// In any of these groups.
    group_id: Option<Vec<i64>>,
    /// With `groupId`: also in groups nested in these.
    nested: Option<bool>,
    /// ACTIVE, INACTIVE or LOCKED.
    status: Option<Vec<String>>,
    /// Only partner admins, or only others.
    is_admin: Option<bool>,
    /// Exactly, whatever its case.
    username: Option<Vec<String>>,
    /// Exactly, whatever its case.
    email: Option<Vec<String>>,
    /// Exactly, whatever its case.
    external_id: Option<Vec<String>>,
}

/// Which events.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct EventParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `eventId`.
    sort_by: Option<String>,
    /// Newest first.
    descending: Option<bool>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
    /// Of any of these users.
    user_id: Option<Vec<i64>>,
    /// Of any of these types, such as `user.created`.
    r#type: Option<Vec<String>>,
}

/// Which part of a user's permissions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct EffectiveParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
    /// Also tell where each comes from.
    explain: Option<bool>,
}

/// Whose permission on what.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct HolderParams {
    /// A type of the catalogue.
    object_type: String,
    /// Which object; not needed where the permission is a wildcard's own name.
    object_id: Option<String>,
    /// A per-object permission of that type, or one of its wildcards.
    permission: String,
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `userId`.
    sort_by: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// Which sessions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct SessionParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `createdAt`.
    sort_by: Option<String>,
    /// Newest first.
    descending: Option<bool>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}

/// Which partners.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Params reads")]
pub struct PartnerParams {
    /// Page number, from 0.
    page: Option<i32>,
    /// Rows on a page, 1 to 1000; 10 by default.
    page_size: Option<i32>,
    /// Only `pid`.
    sort_by: Option<String>,
    /// A substring of the name, whatever its case.
    search: Option<String>,
    /// From a `Link: rel="next"`; in place of `page`.
    cursor: Option<String>,
}
