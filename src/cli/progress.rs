//! Progress of long operations on standard error: a bar with rate and remaining time on a terminal, otherwise a line
//! now and then.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Interval of progress lines without a terminal.
const LINES: Duration = Duration::from_secs(10);
/// Updates of the bar per second.
const FRAMES: u8 = 5;

/// The progress of an operation.
pub(super) struct Bar {
    bar: ProgressBar,
    name: &'static str,
    unit: &'static str,
    begun: bool,
    last_line: Instant,
}

impl Bar {
    pub(super) fn new(name: &'static str, unit: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(FRAMES))
            .with_prefix(name);
        if let Ok(style) = ProgressStyle::with_template(&template(unit)) {
            bar.set_style(style.progress_chars("#.").with_key("rate", rate));
        }
        Self { bar, name, unit, begun: false, last_line: Instant::now() }
    }

    /// Updates the bar; the total may have grown.
    pub(super) fn update_of(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.update(done);
    }

    /// Updates the bar.
    pub(super) fn update(&mut self, done: u64) {
        self.go_to(done);
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINES {
            self.write_line();
        }
    }

    /// Updates the bar and the current part of the operation. Without a terminal, the beginning and the end are printed
    /// as well.
    pub(super) fn update_at(&mut self, done: u64, total: u64, at: &str) {
        let is_edge = !self.begun || done >= total;
        self.bar.set_length(total);
        self.bar.set_message(at.to_owned());
        self.go_to(done);
        if self.bar.is_hidden() && (is_edge || self.last_line.elapsed() >= LINES) {
            self.write_line();
        }
    }

    /// Ends the bar without clearing it: further output follows below.
    pub(super) fn leave(self) {
        self.bar.abandon();
    }

    /// Rate and remaining time count only what this run has done.
    fn go_to(&mut self, done: u64) {
        self.bar.set_position(done);
        if !std::mem::replace(&mut self.begun, true) {
            self.bar.reset_eta();
            self.bar.reset_elapsed();
        }
    }

    fn write_line(&mut self) {
        self.last_line = Instant::now();
        let state = LineState {
            done: self.bar.position(),
            total: self.bar.length().unwrap_or_default(),
            rate: self.bar.per_sec(),
            left: self.bar.eta(),
        };
        let line = line(self.name, self.unit, &state, &self.bar.message());
        // If progress cannot be shown, the work continues all the same.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Drop for Bar {
    /// Clears the bar unless it was ended: the result follows.
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

/// There is no rate of things that differ in size.
fn has_rate(unit: &str) -> bool {
    !unit.contains(' ')
}

/// The template for indicatif.
fn template(unit: &str) -> String {
    let rate = if has_rate(unit) { format!("  {{rate}} {unit}/s") } else { String::new() };
    format!(
        "{{prefix:9}} [{{bar:24}}] {{percent:>3}} %  {{human_pos}} of {{human_len}} {unit}{rate}  {{eta}} left  {{msg}}"
    )
}

/// Whole units per second.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A bar that cannot be written must not stop the work.
    let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
}

/// The state of an operation.
struct LineState {
    done: u64,
    total: u64,
    /// Per second.
    rate: f64,
    left: Duration,
}

/// A line for a log.
fn line(name: &str, unit: &str, state: &LineState, at: &str) -> String {
    let percent = (state.done.min(state.total) * 100).checked_div(state.total).unwrap_or(100);
    let mut line =
        format!("{name:9} {percent:3} %  {} of {} {unit}", HumanCount(state.done), HumanCount(state.total));
    if state.rate > 0.0 {
        if has_rate(unit) {
            line.push_str(&format!("  {} {unit}/s", grouped(state.rate as u64)));
        }
        line.push_str(&format!("  {} left", clock(state.left)));
    }
    if !at.is_empty() {
        line.push_str("  ");
        line.push_str(at);
    }
    line
}

/// 1234567 as 1,234,567.
pub fn grouped(n: u64) -> String {
    HumanCount(n).to_string()
}

/// Hours (if any), minutes and seconds.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_rate_and_remaining_time() {
        let state =
            |done, total, rate, left| LineState { done, total, rate, left: Duration::from_secs(left) };
        assert_eq!(
            line("importing", "rows", &state(1_500_000, 6_000_000, 100_000.4, 45), ""),
            "importing  25 %  1,500,000 of 6,000,000 rows  100,000 rows/s  0:45 left"
        );
        assert_eq!(
            line("building", "indexes and keys", &state(3, 4, 0.002, 600), "users_search"),
            "building   75 %  3 of 4 indexes and keys  10:00 left  users_search"
        );
        assert_eq!(
            line("verifying", "rows", &state(0, 0, 0.0, 0), "users"),
            "verifying 100 %  0 of 0 rows  users"
        );
    }

    #[test]
    fn the_bar_is_understood() {
        for unit in ["rows", "indexes and keys"] {
            ProgressStyle::with_template(&template(unit)).unwrap();
        }
        assert!(
            template("rows").contains("{rate} rows/s") && !template("indexes and keys").contains("{rate}")
        );
    }

    #[test]
    fn earlier_work_does_not_count_for_the_rate() {
        let mut bar = Bar::new("importing", "rows", 1_000_000);
        bar.bar.set_draw_target(ProgressDrawTarget::hidden());
        bar.update(900_000);
        assert_eq!((bar.bar.position(), bar.bar.per_sec()), (900_000, 0.0));
        bar.update_of(900_000, 2_000_000);
        assert_eq!((bar.bar.length(), bar.bar.per_sec()), (Some(2_000_000), 0.0));
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([59, 61, 3_661].map(|s| clock(Duration::from_secs(s))), ["0:59", "1:01", "1:01:01"]);
    }
}
