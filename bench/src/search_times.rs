//! Whether the time of a search that finds nobody tells what users of other partners are called.

use std::time::Instant;

use crate::load::{self, Sample};
use crate::measure::Bench;
use crate::names::{Dice, Names, username};
use crate::refusals::kolmogorov_smirnov;
use crate::report::ReportRow;
use crate::rows::{self, Tokens};
use crate::server::Server;
use tenantry::cli::command_error::CommandError;
use tenantry::cli::print::ProgressLine;

/// Searches for a word that others have, and for one that nobody has, of each length.
const PAIRS: usize = 500;
/// Pairs before these.
const WARM_UP: usize = 20;
/// Different words of a kind.
const WORDS: usize = 40;
/// Candidates for them.
const CANDIDATES: usize = 4_000;

/// Lengths of words: of a last name with a number, which one user has, and of parts that many have.
const KINDS: [(&str, &str, Option<usize>); 3] = [
    ("search-other-name", "a name with a number that one user of another partner has", None),
    ("search-other-three", "three characters that users of another partner have", Some(3)),
    ("search-other-two", "two characters that users of another partner have", Some(2)),
];

/// Searches in a partner of twenty users beside the huge one.
pub(crate) fn rows(bench: &Bench<'_>, progress: &mut ProgressLine) -> Result<Vec<ReportRow>, CommandError> {
    progress.say("measuring: searches for what other partners have");
    let server = Server::start(bench.binary, bench.data, bench.cores, bench.stop)?;
    let times = SearchTimes { bench, server: &server, tokens: bench.tokens(&server)? };
    KINDS.into_iter().map(|(id, title, length)| times.row(id, title, length)).collect()
}

struct SearchTimes<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    tokens: Tokens,
}

impl SearchTimes<'_> {
    fn row(&self, id: &'static str, title: &str, length: Option<usize>) -> Result<ReportRow, CommandError> {
        let (names, users) = (Names::new(), self.bench.seeded.users);
        let (mut dice, mut others) = (Dice::new(500), Dice::new(501));
        let last_name = |n: u64, number: u64| {
            let name = username(&names.of(n), number);
            name.split_once('.').map_or_else(String::new, |(_, rest)| rest.to_owned())
        };
        let with = self.words(true, || {
            let n = dice.below(users);
            let word = last_name(n, n);
            length.map_or_else(|| word.clone(), |length| word.chars().take(length).collect())
        })?;
        let without = self.words(false, || match length {
            // Of the same kind, so that as much of it is in this partner.
            None => {
                let n = others.below(users);
                last_name(n, n + users)
            }
            Some(length) => (0..length).map(|_| char::from(b'a' + others.below(26) as u8)).collect(),
        })?;
        let (mut samples, begun) = ([Sample::default(), Sample::default()], Instant::now());
        for round in 0..PAIRS + WARM_UP {
            let is_first = dice.below(2) == 0;
            for has in [is_first, !is_first] {
                let words = if has { &with } else { &without };
                let Some(word) = words.get(round % words.len().max(1)) else { continue };
                let (_, answer) = self.search(&self.tokens.small, word)?;
                let [of_others, of_nobody] = &mut samples;
                let sample = if has { of_others } else { of_nobody };
                if round >= WARM_UP {
                    sample.answers += 1;
                    sample.failed += u64::from(answer.status != 200);
                    sample.latencies.push(u32::try_from(answer.took.as_nanos() / 100).unwrap_or(u32::MAX));
                }
            }
        }
        let [mut of_others, of_nobody] = samples;
        of_others.elapsed = begun.elapsed();
        let d = kolmogorov_smirnov(&of_nobody.latencies, &of_others.latencies);
        let row = ReportRow::of(id, format!("search in a partner of 20: {title}"), &of_others);
        Ok(ReportRow { ratio: Some((d, "D")), alone: row.latencies, latencies: None, busy: 0.0, ..row })
    }

    /// Words that nobody in the small partner has, and that somebody in the huge one has or not.
    fn words(&self, has: bool, mut candidate: impl FnMut() -> String) -> Result<Vec<String>, CommandError> {
        let mut words: Vec<String> = Vec::new();
        for _ in 0..CANDIDATES {
            let word = candidate();
            let is_found = |token| self.search(token, &word).map(|(found, _)| found);
            if !words.contains(&word) && !is_found(&self.tokens.small)? && is_found(&self.tokens.huge)? == has
            {
                words.push(word);
            }
            if words.len() == WORDS {
                break;
            }
        }
        Ok(words)
    }

    /// Whether a search finds somebody, and its response.
    fn search(&self, token: &str, word: &str) -> Result<(bool, load::Once), CommandError> {
        let mut request = Vec::new();
        rows::search(&mut request, token, &rows::encoded(word));
        let answer = load::once(self.server.address, &request, self.bench.stop)?;
        let is_found = !answer.body.windows(9).any(|part| part == b"\"total\":0");
        Ok((is_found, answer))
    }
}
