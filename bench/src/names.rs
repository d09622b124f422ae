//! People's names with realistic frequencies.

/// One name per line, with the number of people per 100,000 who have it. In the order of magnitude of censuses,
/// rounded; several countries mixed, so that letters beyond ASCII are realistically common.
const FIRST: &str = include_str!("first_names.txt");
const LAST: &str = include_str!("last_names.txt");

/// One in this many has a double last name: the long tail of real lists.
const DOUBLE: u64 = 8;

/// Pseudorandom numbers that are the same in every run.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is more than 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }
}

/// A list of names with weights.
struct Frequencies {
    /// Each name with the cumulative weight up to it.
    names: Vec<(&'static str, u64)>,
    sum: u64,
}

impl Frequencies {
    fn read(list: &'static str) -> Self {
        let mut sum = 0;
        let mut names = Vec::new();
        for (name, weight) in list.lines().filter_map(|line| line.rsplit_once(' ')) {
            sum += weight.parse().unwrap_or(0);
            names.push((name, sum));
        }
        Self { names, sum }
    }

    fn draw(&self, dice: &mut Dice) -> &'static str {
        let at = dice.below(self.sum);
        let index = self.names.partition_point(|(_, upto)| *upto <= at);
        self.names.get(index).map_or("Ann", |(name, _)| name)
    }
}

/// All the names.
pub(crate) struct Names {
    first: Frequencies,
    last: Frequencies,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self { first: Frequencies::read(FIRST), last: Frequencies::read(LAST) }
    }

    /// The first and last name of person `n`, deterministic.
    pub(crate) fn of(&self, n: u64) -> (String, String) {
        let mut dice = Dice::new(n);
        let first = self.first.draw(&mut dice).to_owned();
        let last = self.last.draw(&mut dice);
        if dice.below(DOUBLE) == 0 {
            return (first, format!("{last}-{}", self.last.draw(&mut dice)));
        }
        (first, last.to_owned())
    }
}

/// The username of person `n`: `ada.lovelace.7`, in ASCII.
pub(crate) fn username((first, last): &(String, String), n: u64) -> String {
    let plain = |name: &str| {
        name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect::<String>()
    };
    format!("{}.{}.{n}", plain(first), plain(last))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_a_name_with_a_weight() {
        for list in [FIRST, LAST] {
            for line in list.lines() {
                let (name, weight) = line.rsplit_once(' ').unwrap();
                assert!(!name.is_empty() && weight.parse::<u64>().unwrap() > 0, "{line}");
            }
        }
    }

    #[test]
    fn common_names_are_common_and_there_are_many_others() {
        let names = Names::new();
        let drawn: Vec<(String, String)> = (0..20_000).map(|n| names.of(n)).collect();
        let smiths = drawn.iter().filter(|(_, last)| last == "Smith").count();
        let aoifes = drawn.iter().filter(|(first, _)| first == "Aoife").count();
        assert!(smiths > 300 && aoifes < 60, "{smiths} {aoifes}");
        let different: HashSet<_> = drawn.iter().collect();
        assert!(different.len() > 10_000, "{}", different.len());
        assert_eq!(names.of(7), names.of(7));
        assert_eq!(username(&("Zoé".into(), "de Vries".into()), 7), "zo.devries.7");
    }
}
