//! Which users are asked for: the parameters that choose them, for every edge that lists users (A9, B14, B27).

use crate::paging::Params;
use crate::parameters::{Parameter, SEARCH};
use tenantry_core::model::{GroupId, Status};
use tenantry_core::user_fields::UserField;
use tenantry_core::values::{self, ANY_TEXT};
use tenantry_store::listing::user_queries::UserQuery;

/// Users in any of these groups.
pub static GROUP_ID: Parameter = Parameter::ids("groupId", "Users in any of these groups.");
/// The source's misprint (A9, B14).
static GROUPD_ID: Parameter = Parameter::ids("groupdId", "The same as `groupId`.");
/// Whether nested groups count.
pub static NESTED: Parameter =
    Parameter::flag("nested", "With `groupId`: also users in groups nested in these.");
/// The statuses.
pub static STATUS: Parameter =
    Parameter::any_of("status", || Status::NAMES.to_vec(), "Users with any of these statuses.");
/// Only admins, or only others.
pub static IS_ADMIN: Parameter = Parameter::flag("isAdmin", "Only partner admins, or only others.");
/// Usernames.
pub static USERNAME: Parameter =
    Parameter::texts("username", &ANY_TEXT, "Users with exactly one of these usernames, ignoring case.");
/// Addresses.
pub static EMAIL: Parameter = Parameter::texts(
    "email",
    &ANY_TEXT,
    "Users with exactly one of these addresses, ignoring case; an internationalized domain equals its ASCII form.",
);
/// Keys of the product.
pub static EXTERNAL_ID: Parameter =
    Parameter::texts("externalId", &ANY_TEXT, "Users with exactly one of these keys, ignoring case.");
/// The parameters by which users are chosen. Different ones are combined by "and".
pub const FILTERS: [&Parameter; 8] =
    [&GROUP_ID, &NESTED, &STATUS, &IS_ADMIN, &USERNAME, &EMAIL, &EXTERNAL_ID, &SEARCH];

/// Which users are asked for. The values of `externalId` are still as they were given, but folded.
pub fn read_filters(params: &mut Params) -> UserQuery {
    let mut ids = params.ids(&GROUP_ID);
    ids.extend(params.ids(&GROUPD_ID));
    ids.sort_unstable();
    ids.dedup();
    // Filters compare folded, those with few values too (B27).
    let mut status = Vec::new();
    for name in params.all(STATUS.name) {
        let folded = values::fold(&name);
        match Status::ALL.into_iter().find(|status| values::fold(status.as_str()) == folded) {
            Some(one) => status.push(one),
            None => params.error(STATUS.name, "unknown-status", "give ACTIVE, INACTIVE or LOCKED"),
        }
    }
    let mut is_admin = Vec::new();
    for value in params.all(IS_ADMIN.name) {
        match values::fold(&value).as_str() {
            "true" => is_admin.push(true),
            "false" => is_admin.push(false),
            _ => params.error(IS_ADMIN.name, "wrong-value", "give true or false"),
        }
    }
    // In one order, so that a cursor holds however the same filters are written down.
    let sorted = |mut values: Vec<String>| {
        values.sort_unstable();
        values.dedup();
        values
    };
    let folded = |values: Vec<String>| sorted(values.iter().map(|v| values::fold(v)).collect());
    let (usernames, emails) = (params.all(USERNAME.name), params.all(EMAIL.name));
    for (parameter, values) in [(&USERNAME, &usernames), (&EMAIL, &emails)] {
        if values.iter().any(|value| value.contains(' ')) {
            // No user has one: in a query it is most likely a + that was not encoded (B27).
            let detail = "contains a space, which none of them has: in a query write + as %2B";
            params.error(parameter.name, "contains-space", detail);
        }
    }
    let emails = emails.iter().map(|email| values::email_key(email)).collect();
    let mut query = UserQuery {
        username: folded(usernames),
        email: sorted(emails),
        external_id: folded(params.all(EXTERNAL_ID.name)),
        // Both values together are no filter.
        is_admin: is_admin.first().copied().filter(|first| is_admin.iter().all(|v| v == first)),
        status,
        nested: params.flag(&NESTED).unwrap_or(false),
        groups: ids.into_iter().map(GroupId).collect(),
        search: params.user_search(),
        sort: UserField::UserId,
        descending: false,
    };
    if query.nested && query.groups.is_empty() {
        params.error(NESTED.name, "needs-group-id", "say with groupId of which groups");
    }
    query.status.sort_unstable();
    query.status.dedup();
    query
}

/// Brings the filters into the form that is stored: the key of an optional string (crates/store/src/tables/users.rs).
pub fn as_stored(mut query: UserQuery) -> UserQuery {
    for value in &mut query.external_id {
        *value = tenantry_store::tables::users::optional_key(Some(value));
    }
    query
}

/// The parameters that ask for what a query asks for, in one order; without the order of the list.
pub fn parameters_of(query: &UserQuery) -> Vec<(&'static str, String)> {
    let mut parameters: Vec<_> = query.groups.iter().map(|id| (GROUP_ID.name, id.to_string())).collect();
    if query.nested {
        parameters.push((NESTED.name, String::from("true")));
    }
    parameters.extend(query.status.iter().map(|status| (STATUS.name, status.as_str().to_owned())));
    parameters.extend(query.is_admin.map(|is_admin| (IS_ADMIN.name, is_admin.to_string())));
    for (parameter, values) in
        [(&USERNAME, &query.username), (&EMAIL, &query.email), (&EXTERNAL_ID, &query.external_id)]
    {
        parameters.extend(values.iter().map(|value| (parameter.name, value.clone())));
    }
    parameters.extend(query.search.as_ref().map(|term| (SEARCH.name, term.to_string())));
    parameters
}
