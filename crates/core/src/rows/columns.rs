//! The columns of a CSV file, and its delimiter: both by its first line.

use crate::error::FieldError;
use crate::printable::printable;
use crate::rows::{Delimiter, ReadOptions};
use crate::user_fields::{ProfileField, UserField};

/// The column of imported password hashes.
const HASH: &str = "passwordHash";

/// Maximum number of characters of an unknown name that an error repeats.
const MAX_NAME: usize = 255;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A text.
    Text {
        /// The member of a row's object.
        name: &'static str,
        /// Whether `""` is a value, and not just an empty cell of a program that puts every cell in quotes.
        takes_empty: bool,
    },
    /// A word without white space around it.
    Word {
        /// The member of a row's object.
        name: &'static str,
    },
    /// A list of groups.
    Groups,
    /// Not to be imported.
    Ignored,
    /// Without a name: it must be empty in every row.
    Unnamed,
}

/// The columns of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) list: Vec<Column>,
    /// Whether no cell can be a secret, so that a row can be shown that could not be taken apart.
    pub(super) can_be_shown: bool,
}

/// The allowed names: every field of a user, and the hash. An import ignores those that the server sets.
fn known_names() -> impl Iterator<Item = &'static str> {
    UserField::ALL.into_iter().map(UserField::name).chain([HASH])
}

fn listed_names() -> String {
    UserField::portable().map(UserField::name).chain([HASH]).collect::<Vec<_>>().join(", ")
}

impl Column {
    fn of(name: &'static str) -> Self {
        if name == UserField::Groups.name() {
            Self::Groups
        } else if [UserField::Status, UserField::IsAdmin].map(UserField::name).contains(&name) {
            Self::Word { name }
        } else {
            let takes_empty =
                ProfileField::parse(name).is_some_and(|field| *field.spec().text.length.start() == 0);
            Self::Text { name, takes_empty }
        }
    }
}

/// The form in which names are compared: without regard to case, white space, `-` and `_`.
fn plain(name: &str) -> String {
    let is_part = |c: &char| !c.is_whitespace() && !matches!(c, '-' | '_' | '\u{feff}');
    name.chars().filter(is_part).flat_map(char::to_lowercase).collect()
}

fn find(name: &str) -> Option<&'static str> {
    let name = plain(name);
    known_names().find(|known| known.eq_ignore_ascii_case(&name))
}

/// Which delimiter a first line has: the one by which most of its cells are names of columns.
pub(super) fn delimiter_of(line: &str, options: &ReadOptions) -> Delimiter {
    let names = |delimiter: Delimiter| {
        let cells = cells_of(line, delimiter);
        cells.filter(|cell| find(cell).is_some() || is_ignored(cell, options)).count()
    };
    let measure = |delimiter: Delimiter| (names(delimiter), cells_of(line, delimiter).count());
    // The first of several that are equal.
    Delimiter::ALL.into_iter().rev().max_by_key(|delimiter| measure(*delimiter)).unwrap_or(Delimiter::Comma)
}

/// The cells of a first line, roughly: no name contains a delimiter.
fn cells_of(line: &str, delimiter: Delimiter) -> impl Iterator<Item = &str> {
    line.split(char::from(delimiter.byte())).map(|cell| cell.trim().trim_matches('"'))
}

/// Whether a line names columns.
pub(super) fn is_header(line: &str) -> bool {
    Delimiter::ALL.into_iter().any(|delimiter| cells_of(line, delimiter).any(|cell| find(cell).is_some()))
}

fn is_ignored(name: &str, options: &ReadOptions) -> bool {
    let name = plain(name);
    options.ignored_columns.iter().any(|ignored| plain(ignored) == name)
}

/// The delimiter that a line `sep=;` names, which spreadsheets write and read; `None` if it is another line.
///
/// # Errors
/// It names another character.
pub(super) fn separator_of(line: &str) -> Option<Result<Delimiter, FieldError>> {
    let line = line.trim_matches('"');
    let (name, rest) = line.split_at_checked(4)?;
    if !name.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let mut rest = rest.chars();
    let separator = rest.next().map(String::from).unwrap_or_default();
    // A spreadsheet that saves the file again adds empty cells.
    if !rest.all(|c| matches!(c, ',' | ';' | '\t' | '|' | '"' | ' ')) {
        return None;
    }
    let unknown = || {
        let detail = "the line sep= must name a comma, a semicolon, a tab or a bar (|)";
        FieldError::new("", "unknown-delimiter", detail)
    };
    Some(Delimiter::parse(&separator).ok_or_else(unknown))
}

/// Reads the first line.
///
/// # Errors
/// All names that are unknown or given twice.
pub(super) fn read<'a>(
    cells: impl Iterator<Item = &'a str>,
    options: &ReadOptions,
    is_only_line: bool,
) -> Result<Columns, Vec<FieldError>> {
    let (mut list, mut taken, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let name = find(cell);
        if is_ignored(cell, options) && !plain(cell).is_empty() {
            list.push(Column::Ignored);
        } else if plain(cell).is_empty() {
            list.push(Column::Unnamed);
        } else if let Some(name) = name {
            if taken.contains(&name) {
                errors.push(FieldError::new(place(cell), "duplicate-field", "is given more than once"));
            }
            taken.push(name);
            list.push(Column::of(name));
        } else {
            errors.push(FieldError::new(place(cell), "unknown-field", unknown_column()));
        }
    }
    if !errors.is_empty() {
        return Err(if is_only_line { vec![one_line()] } else { errors });
    }
    if taken.is_empty() {
        return Err(vec![no_names()]);
    }
    let can_be_shown = !taken.contains(&HASH) && !list.contains(&Column::Ignored);
    Ok(Columns { list, can_be_shown })
}

fn unknown_column() -> String {
    format!(
        "is not a column of an import; the columns are {}; name a column that is not to be imported with \
         --ignore-column, or ignoreColumn over HTTP",
        listed_names()
    )
}

fn place(cell: &str) -> String {
    let name: String = cell.trim().chars().take(MAX_NAME).collect();
    format!("/{}", printable(&name))
}

/// The error of a file without column names.
pub(super) fn no_names() -> FieldError {
    let detail = format!("the first line must contain column names, of these: {}", listed_names());
    FieldError::new("", "no-names", detail)
}

/// Checks by the first line whether the file is CSV at all.
///
/// # Errors
/// What it is instead.
pub(super) fn recognize(line: &str) -> Result<(), FieldError> {
    let line = line.trim_start();
    let (code, detail) = if line.starts_with(['{', '[']) {
        ("not-csv", "this is JSON: send it as application/x-ndjson, or import it with --format ndjson")
    } else if line.starts_with('<') {
        ("not-csv", "this is HTML or XML: save the table as CSV UTF-8")
    } else if let Some(detail) = form_hint(line) {
        ("not-rows", detail)
    } else {
        return Ok(());
    };
    Err(FieldError::new("", code, detail))
}

/// The error of a file whose only line names unknown columns.
fn one_line() -> FieldError {
    let detail = format!(
        "the whole file is one line: curl -d and --data remove line ends; send the file itself with --data-binary \
         @FILE. If it is meant to be one line: {}",
        no_names().detail
    );
    FieldError::new("", "one-line", detail)
}

/// What to do about a form that was sent instead of a file.
pub(super) fn form_hint(first: &str) -> Option<&'static str> {
    let is_form = first.starts_with("--") && first.len() >= 12;
    is_form.then_some(
        "this is multipart/form-data: send the file itself, with curl --data-binary @FILE instead of -F",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Format;

    fn options(ignored: &[&str]) -> ReadOptions {
        let ignored_columns = ignored.iter().map(|name| (*name).to_owned()).collect();
        ReadOptions { ignored_columns, ..ReadOptions::of(Format::Csv) }
    }

    fn names(line: &str, ignored: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let columns = read(line.split(','), &options(ignored), false);
        let name = |column: &Column| match column {
            Column::Text { name, .. } | Column::Word { name } => (*name).to_owned(),
            other => format!("{other:?}"),
        };
        columns
            .map(|columns| columns.list.iter().map(name).collect())
            .map_err(|errors| errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect())
    }

    #[test]
    fn case_white_space_and_hyphens_of_names_do_not_matter() {
        for line in [
            "username,firstName",
            "USERNAME, First Name ",
            "\u{feff}User_Name,\tfirst-name",
            "userName,FIRST_NAME\u{a0}",
        ] {
            assert_eq!(names(line, &[]).unwrap(), ["username", "firstName"], "{line}");
        }
        assert_eq!(names("username,,groups, ", &[]).unwrap(), ["username", "Unnamed", "Groups", "Unnamed"]);
        assert_eq!(names("username,User-Name", &[]).unwrap_err(), ["/User-Name duplicate-field"]);
        assert_eq!(
            names("nick,username,\u{1b}[31m", &[]).unwrap_err(),
            ["/nick unknown-field", "/\\u{1b}[31m unknown-field"]
        );
        assert_eq!(names(",, ", &[]).unwrap_err(), [" no-names"]);
    }

    #[test]
    fn columns_can_be_ignored() {
        assert_eq!(
            names("username,Nick Name,email", &["nick-name", "shoe"]).unwrap(),
            ["username", "Ignored", "email"]
        );
        // Also one that is known, also twice.
        assert_eq!(
            names("username,email,x,X", &["email", "x"]).unwrap(),
            ["username", "Ignored", "Ignored", "Ignored"]
        );
        assert_eq!(names("username,x", &["y"]).unwrap_err(), ["/x unknown-field"]);
        assert_eq!(names("x", &["x"]).unwrap_err(), [" no-names"]);
    }

    #[test]
    fn the_delimiter_is_the_one_that_makes_names() {
        for (line, expected) in [
            ("username,email", Delimiter::Comma),
            ("Username;E-Mail", Delimiter::Semicolon),
            ("username\temail", Delimiter::Tab),
            ("\"username\"|\"email\"", Delimiter::Bar),
            ("username", Delimiter::Comma),
            // What is no name may contain anything.
            ("username;a,b,c,d;email", Delimiter::Semicolon),
            ("x;y", Delimiter::Semicolon),
            ("", Delimiter::Comma),
        ] {
            assert_eq!(delimiter_of(line, &options(&[])), expected, "{line}");
        }
        assert_eq!(delimiter_of("a|b,username", &options(&["a", "b"])), Delimiter::Comma);
    }

    #[test]
    fn a_line_can_name_the_separator() {
        let of = |line: &str| separator_of(line).map(|found| found.map_err(|error| error.code));
        for (line, expected) in [
            ("sep=;", Delimiter::Semicolon),
            ("SEP=,", Delimiter::Comma),
            ("sep=\t", Delimiter::Tab),
            ("\"sep=|\"", Delimiter::Bar),
            ("sep=,,,,", Delimiter::Comma),
            ("sep=;;;", Delimiter::Semicolon),
        ] {
            assert_eq!(of(line), Some(Ok(expected)), "{line}");
        }
        assert_eq!(of("sep=^"), Some(Err("unknown-delimiter")));
        assert_eq!(of("sep="), Some(Err("unknown-delimiter")));
        for line in ["", "sep", "username,email", "sep=ada", "süß"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn other_files_are_named() {
        let hint = |line: &str| recognize(line).unwrap_err();
        assert_eq!(hint("{\"username\":\"ada\",\"x\":1}").code, "not-csv");
        assert_eq!(hint("[{\"username\":\"ada\"").code, "not-csv");
        assert_eq!(hint(" <table>").code, "not-csv");
        assert!(hint("--------------------------d74496d66958873e").detail.contains("--data-binary"));
        assert_eq!(recognize("--,username"), Ok(()));
        let errors = read("username,emailada,ada@example.com".split(','), &options(&[]), true).unwrap_err();
        assert!(errors[0].code == "one-line" && errors[0].detail.contains("--data-binary"), "{errors:?}");
    }
}
