//! Lists of ids, as a whole body (B15) or as a field of one (B18).

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, FieldError};
use crate::json::{WHITE, id, syntax, text};

/// Maximum number of ids in a list (B15), not counting duplicates.
pub const MAX_IDS: usize = 100_000;
/// Maximum number of errors reported for one list.
pub(super) const MAX_LISTED: usize = 100;

/// Parses a list of ids (B15): `[1,2]`, or the published form `{[1,2]}`. Returns them in ascending order without
/// duplicates.
///
/// # Errors
/// One error of the whole document, or one for each of the first invalid elements, at `/<index>`.
pub fn id_list(bytes: &[u8]) -> Result<Vec<i64>, Error> {
    const EXPECTED: &str = "an array of ids";
    let text = text(bytes, EXPECTED)?.trim_matches(WHITE);
    let printed = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).map(|t| t.trim_matches(WHITE));
    let list = printed.filter(|inner| inner.starts_with('[')).unwrap_or(text);
    let ids: Ids = serde_json::from_str(list).map_err(|e| syntax(&e, EXPECTED))?;
    ids.judge("").map_err(Error::Invalid)
}

/// A parsed list of ids: the valid ones, and the first invalid ones with their indexes.
#[derive(Default)]
pub(super) struct Ids {
    good: Vec<i64>,
    bad: Vec<(usize, FieldError)>,
    too_many: bool,
}

impl Ids {
    /// The ids in ascending order without duplicates, or the errors, below `at`.
    pub(super) fn judge(mut self, at: &str) -> Result<Vec<i64>, Vec<FieldError>> {
        self.settle();
        if self.too_many {
            let detail = format!("a list may have at most {MAX_IDS} ids");
            return Err(vec![FieldError::new(at.to_owned(), "too-many-ids", detail)]);
        }
        if self.bad.is_empty() {
            return Ok(self.good);
        }
        let error = |(index, error): (usize, FieldError)| error.at(format!("{at}/{index}"));
        Err(self.bad.into_iter().map(error).collect())
    }

    fn settle(&mut self) {
        self.good.sort_unstable();
        self.good.dedup();
        self.too_many |= self.good.len() > MAX_IDS;
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Ids;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ids, A::Error> {
                let mut ids = Ids::default();
                let mut index = 0;
                // Elements are small values except in hostile lists, which are bounded by the body's size.
                while let Some(value) = list.next_element::<Value>()? {
                    match id(&value) {
                        Ok(_) if ids.too_many => {}
                        Ok(id) => ids.good.push(id),
                        Err(error) if ids.bad.len() < MAX_LISTED => ids.bad.push((index, error)),
                        Err(_) => {}
                    }
                    // Duplicate ids do not count towards the limit, but must not fill the memory.
                    if ids.good.len() >= 2 * MAX_IDS {
                        ids.settle();
                    }
                    index += 1;
                }
                Ok(ids)
            }
        }
        deserializer.deserialize_seq(List)
    }
}
