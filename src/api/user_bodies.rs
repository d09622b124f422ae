//! What requests say of users, for the document: the fields themselves are read one by one (users.rs).

use utoipa::ToSchema;

/// The body of a create (A1, B30).
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct CreateUser {
    /// 1 to 255 characters; an e-mail address can be one.
    #[schema(example = "ada")]
    username: String,
    /// ACTIVE, INACTIVE or LOCKED. An ACTIVE user is mailed a temporary password.
    #[schema(example = "ACTIVE")]
    status: String,
    /// 1 to 255 characters.
    #[schema(example = "Ada")]
    first_name: String,
    /// 1 to 255 characters.
    #[schema(example = "Lovelace")]
    last_name: String,
    /// Up to 254 characters.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Up to 255 characters.
    #[schema(required = false)]
    title: Option<String>,
    /// Up to 255 characters.
    #[schema(required = false)]
    phone_number: Option<String>,
    /// Ids of groups of this partner; none by default.
    #[schema(required = false)]
    groups: Vec<i64>,
    /// `true` or `false`, also as strings; false by default.
    #[schema(required = false)]
    is_admin: bool,
    /// Up to 255 characters, unique in the partner.
    #[schema(required = false)]
    external_id: Option<String>,
}

/// The body of an update (A2, B7). What was read can be written back.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct UpdateUser {
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "ACTIVE")]
    status: String,
    #[schema(example = "Ada")]
    first_name: String,
    #[schema(example = "King")]
    last_name: String,
    #[schema(example = "ada@example.com")]
    email: String,
    /// Left out, it stays; null clears it.
    #[schema(required = false)]
    title: Option<String>,
    /// Left out, it stays; null clears it.
    #[schema(required = false)]
    phone_number: Option<String>,
    /// All groups from now on; left out, they stay.
    #[schema(required = false)]
    groups: Vec<i64>,
    /// Left out, it stays.
    #[schema(required = false)]
    is_admin: bool,
    /// Left out, it stays; null clears it.
    #[schema(required = false)]
    external_id: Option<String>,
}

/// The body of a merge patch (RFC 7396): only what is named changes.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what Fields reads")]
pub struct PatchUser {
    #[schema(required = false)]
    username: String,
    #[schema(required = false)]
    status: String,
    #[schema(required = false)]
    first_name: String,
    #[schema(required = false, example = "King")]
    last_name: String,
    #[schema(required = false)]
    email: String,
    /// Null clears it.
    #[schema(required = false, example = json!(null))]
    title: Option<String>,
    /// Null clears it.
    #[schema(required = false)]
    phone_number: Option<String>,
    /// All groups from now on.
    #[schema(required = false)]
    groups: Vec<i64>,
    #[schema(required = false)]
    is_admin: bool,
    /// Null clears it.
    #[schema(required = false)]
    external_id: Option<String>,
}
