//! How far a long work is: a bar with rate and remaining time on standard error, where a person looks at it.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Between two lines of progress where nobody watches a bar.
pub(super) const LINES: Duration = Duration::from_secs(10);
/// Between two states of the bar.
pub(super) const FRAMES: Duration = Duration::from_millis(200);
/// Its width.
const BAR: u64 = 24;

/// The progress of one work.
pub(super) struct Bar {
    is_terminal: bool,
    name: &'static str,
    unit: &'static str,
    total: u64,
    begun: Option<(Instant, u64)>,
    told: Instant,
}

impl Bar {
    pub(super) fn new(name: &'static str, unit: &'static str, total: u64) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, name, unit, total, begun: None, told: Instant::now() }
    }

    /// So much is done of a total that may have grown.
    pub(super) fn tell_of(&mut self, done: u64, total: u64) {
        self.total = total;
        self.tell(done);
    }

    /// So much is done.
    pub(super) fn tell(&mut self, done: u64) {
        let now = Instant::now();
        let (begun, before) = *self.begun.get_or_insert((now, done));
        let pause = if self.is_terminal { FRAMES } else { LINES };
        if now.duration_since(self.told) < pause {
            return;
        }
        self.told = now;
        let line = line(self.name, self.unit, done, self.total, now.duration_since(begun), before);
        // Who cannot be told of the progress still gets the work done.
        let _ = if self.is_terminal {
            write!(io::stderr(), "\r\u{1b}[K{line}")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }
}

impl Drop for Bar {
    /// The line goes: what follows is the answer.
    fn drop(&mut self) {
        if self.is_terminal && self.begun.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// One state of a bar. Rate and remaining time count from what was done when this run came to it.
pub(super) fn line(name: &str, unit: &str, done: u64, total: u64, since: Duration, before: u64) -> String {
    let filled = (done.min(total) * BAR).checked_div(total).unwrap_or(BAR);
    let bar: String = (0..BAR).map(|n| if n < filled { '#' } else { '.' }).collect();
    let percent = (done.min(total) * 100).checked_div(total).unwrap_or(100);
    let mut line = format!("{name:9} [{bar}] {percent:3} %  {} of {} {unit}", grouped(done), grouped(total));
    let (seconds, new) = (since.as_secs_f64(), done.saturating_sub(before));
    if seconds > 0.0 && new > 0 {
        let rate = new as f64 / seconds;
        let left = Duration::from_secs_f64(total.saturating_sub(done) as f64 / rate);
        // Of things that are not alike there is no rate.
        if !unit.contains(' ') {
            line.push_str(&format!("  {} {unit}/s", grouped(rate as u64)));
        }
        line.push_str(&format!("  {} left", clock(left)));
    }
    line
}

/// 1234567 as 1,234,567.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Hours (where there are any), minutes and seconds.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_rate_and_remaining_time() {
        let ten = Duration::from_secs(10);
        assert_eq!(
            line("importing", "rows", 1_500_000, 6_000_000, ten, 500_000),
            "importing [######..................]  25 %  1,500,000 of 6,000,000 rows  100,000 rows/s  0:45 left"
        );
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([59, 61, 3_661].map(|s| clock(Duration::from_secs(s))), ["0:59", "1:01", "1:01:01"]);
    }
}
