//! What the address of the list of users says: which users, in which order, which of their properties, which part.

use super::pager::{PAGE, address, given};
use crate::view::View;
use tenantry_core::error::{Error, FieldError};
use tenantry_core::user_fields::{ProfileField, UserField};
use tenantry_http::paging::Params;
use tenantry_http::parameters::{DESCENDING, Parameter, SEARCH};
use tenantry_http::user_filters::{FILTERS, as_stored, parameters_of, read_filters};
use tenantry_store::listing::user_queries::{UserQuery, sort_names};

/// The path of the list.
pub const PATH: &str = "/console/users";

/// The sizes that the page offers.
pub const SIZES: [i64; 4] = [10, 25, 50, 100];

const SIZE: i64 = 25;

static PAGE_SIZE: Parameter = Parameter::integer("pageSize", 1, 200, "The number of rows of a page.");

/// The parameter of a column.
pub const COLUMNS: &str = "columns";

const SORT: &str = "sortBy";

/// The columns of whoever has chosen none.
const DEFAULT_COLUMNS: [UserField; 7] = [
    UserField::Username,
    UserField::Profile(ProfileField::FirstName),
    UserField::Profile(ProfileField::LastName),
    UserField::Profile(ProfileField::Email),
    UserField::Status,
    UserField::IsAdmin,
    UserField::LastLoginAt,
];

/// The columns that there are, in the order of the table. The partner is the same throughout.
pub fn columns() -> impl Iterator<Item = UserField> {
    let is_other = |field: &UserField| *field != UserField::Pid && !DEFAULT_COLUMNS.contains(field);
    DEFAULT_COLUMNS.into_iter().chain(UserField::ALL.into_iter().filter(is_other))
}

/// See the module.
#[derive(Debug)]
pub struct ListState {
    /// The filters and the search, as they are written in the address.
    pub filters: Vec<(String, String)>,
    /// The columns, in the order of the table.
    pub columns: Vec<UserField>,
    /// The page, from 1.
    pub page: i64,
    /// Its size.
    pub size: i64,
    /// What is asked for.
    pub query: UserQuery,
    /// The same as parameters of the API.
    pub api: Vec<(&'static str, String)>,
    /// What cannot be understood.
    pub errors: Vec<FieldError>,
}

impl ListState {
    /// Reads the address of a page.
    pub fn read(view: &View) -> Self {
        let given = given(view);
        let mut params = Params::parse(Some(&given));
        let mut query = read_filters(&mut params);
        query.sort = params.sort_by(sort_names(), UserField::UserId);
        query.descending = params.flag(&DESCENDING).unwrap_or(false);
        let chosen = params.all(COLUMNS);
        if chosen.iter().any(|name| !columns().any(|field| field.name() == name)) {
            let names: Vec<_> = columns().map(UserField::name).collect();
            params.error(COLUMNS, "unknown-column", format!("must be among {}", names.join(", ")));
        }
        let columns: Vec<UserField> =
            columns().filter(|field| chosen.iter().any(|name| field.name() == name)).collect();
        let page = params.integer(&PAGE).unwrap_or(1);
        let size = params.integer(&PAGE_SIZE).unwrap_or(SIZE);
        let errors = match params.finish() {
            Err(Error::Invalid(errors)) => errors,
            _ => Vec::new(),
        };
        let pairs = form_urlencoded::parse(given.as_bytes());
        // The misprint of the API counts as well (B14): what is in force is shown.
        let is_filter = |name: &str| name == "groupdId" || FILTERS.iter().any(|filter| filter.name == name);
        Self {
            filters: pairs.into_owned().filter(|(name, _)| is_filter(name)).collect(),
            columns: if columns.is_empty() { DEFAULT_COLUMNS.to_vec() } else { columns },
            page,
            size,
            api: parameters_of(&query),
            query: as_stored(query),
            errors,
        }
    }

    /// The words that are searched for, as they were typed.
    pub fn search(&self) -> &str {
        self.filters.iter().find(|(name, _)| name == SEARCH.name).map_or("", |(_, value)| value)
    }

    /// Whether a column is shown.
    pub fn has(&self, column: UserField) -> bool {
        self.columns.contains(&column)
    }

    /// Whether its size is one of those that the page offers.
    pub fn has_offered_size(&self) -> bool {
        SIZES.contains(&self.size)
    }

    /// How it is presented: order, columns and size, unless they are the default.
    pub fn presentation(&self) -> Vec<(String, String)> {
        self.presented(self.query.sort, self.query.descending)
    }

    fn presented(&self, sort: UserField, descending: bool) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        if sort != UserField::UserId {
            add(SORT, sort.name());
        }
        if descending {
            add(DESCENDING.name, "true");
        }
        if self.columns != DEFAULT_COLUMNS {
            self.columns.iter().for_each(|column| add(COLUMNS, column.name()));
        }
        if self.size != SIZE {
            add(PAGE_SIZE.name, &self.size.to_string());
        }
        pairs
    }

    /// All that its address says, but the page.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = self.filters.clone();
        pairs.extend(self.presentation());
        pairs
    }

    /// The address of the list sorted by a column: the other way round if it is so already.
    pub fn sorted_by(&self, base: &str, column: UserField) -> String {
        let descending = self.query.sort == column && !self.query.descending;
        let mut pairs = self.filters.clone();
        pairs.extend(self.presented(column, descending));
        address(&format!("{base}{PATH}"), &pairs, 1)
    }

    /// The address of the list without this filter.
    pub fn without(&self, base: &str, filter: &(String, String)) -> String {
        let mut pairs: Vec<_> = self.filters.iter().filter(|other| *other != filter).cloned().collect();
        // It says something about groups only.
        if !pairs.iter().any(|(name, _)| name == "groupId") {
            pairs.retain(|(name, _)| name != "nested");
        }
        pairs.extend(self.presentation());
        address(&format!("{base}{PATH}"), &pairs, 1)
    }

    /// The address of the list without any filter.
    pub fn without_filters(&self, base: &str) -> String {
        address(&format!("{base}{PATH}"), &self.presentation(), 1)
    }

    /// The same list as a path of the API.
    pub fn api_path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("page", &(self.page - 1).to_string());
        query.append_pair(PAGE_SIZE.name, &self.size.to_string());
        query.append_pair(SORT, self.query.sort.name());
        if self.query.descending {
            query.append_pair(DESCENDING.name, "true");
        }
        query.extend_pairs(&self.api);
        format!("/api/v1/users?{}", query.finish())
    }
}
