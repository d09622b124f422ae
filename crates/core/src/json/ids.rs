//! Lists of ids, as a whole body (B15) or as a field of one (B18).

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use crate::error::{Error, Fault};
use crate::json::{Flaw, WHITE, integer, syntax, text};

/// The most ids a list may have (B15), doubled ones counted once.
pub const MAX_IDS: usize = 100_000;
/// The most faults listed for one list: a list of 100,000 mistakes needs no 100,000 explanations.
pub(super) const MAX_LISTED: usize = 100;

/// Reads a list of ids (B15): `[1,2]`, and also the letters as the source page prints them, `{[1,2]}`.
/// The answer ascends and has doubled ids once.
///
/// # Errors
/// One fault of the whole document, or one for each of the first faulty elements, at `/<index>`.
pub fn id_list(bytes: &[u8]) -> Result<Vec<i64>, Error> {
    const EXPECTED: &str = "an array of ids";
    let text = text(bytes, EXPECTED)?.trim_matches(WHITE);
    let printed = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).map(|t| t.trim_matches(WHITE));
    let list = printed.filter(|inner| inner.starts_with('[')).unwrap_or(text);
    let ids: Ids = serde_json::from_str(list).map_err(|e| syntax(&e, EXPECTED))?;
    ids.judge("").map_err(Error::Invalid)
}

/// A list of ids as it stands: the good ones, and the first of the bad ones with their indexes.
#[derive(Default)]
pub(super) struct Ids {
    good: Vec<i64>,
    bad: Vec<(usize, Flaw)>,
    too_many: bool,
}

impl Ids {
    /// The ids, ascending, each once; or the faults, below `at`.
    pub(super) fn judge(mut self, at: &str) -> Result<Vec<i64>, Vec<Fault>> {
        self.settle();
        if self.too_many {
            let detail = format!("a list may have at most {MAX_IDS} ids");
            return Err(vec![Fault::new(at.to_owned(), "too-many-ids", detail)]);
        }
        if self.bad.is_empty() {
            return Ok(self.good);
        }
        let fault =
            |(index, flaw): (usize, Flaw)| Fault::new(format!("{at}/{index}"), flaw.code, flaw.detail);
        Err(self.bad.into_iter().map(fault).collect())
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
                // Elements are small values in all but hostile lists, and those are bounded by the body's size.
                while let Some(value) = list.next_element::<Value>()? {
                    match integer(&value, &(1..=i64::MAX)) {
                        Ok(_) if ids.too_many => {}
                        Ok(id) => ids.good.push(id),
                        Err(flaw) if ids.bad.len() < MAX_LISTED => ids.bad.push((index, flaw)),
                        Err(_) => {}
                    }
                    // Doubled ids count once, yet must not fill the memory while they are counted.
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
