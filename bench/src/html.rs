//! The report as one self-contained page without scripts.

use std::fmt::Write as _;

use crate::report::{BenchReport, ReportRow, SHARE_NAMES, mib, p99};
use tenantry::cli::progress::grouped;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
    color:#1b2733;background:#fff}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\
    table{border-collapse:collapse;width:100%}td,th{padding:.28rem .6rem;border-bottom:1px solid #dde3e9;\
    text-align:right;white-space:nowrap}td:first-child,th:first-child{text-align:left;white-space:normal}\
    th{font-weight:600}svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}\
    .note{background:#fff4d6;color:#4a3800;padding:.5rem .8rem;border-radius:.3rem;margin:.4rem 0}\
    .wide{overflow-x:auto}@media(prefers-color-scheme:dark){body{color:#dbe3ea;background:#12181e}\
    td,th{border-color:#2c3843}}";

/// Dimensions of a plot, in its own units.
const WIDTH: f64 = 1_000.0;
const LABELS: f64 = 380.0;
const LINE: f64 = 24.0;
/// The left and right ends of a latency plot, as powers of ten of milliseconds.
const DECADES: (i32, i32) = (-2, 4);

/// The whole page.
pub(crate) fn page(report: &BenchReport) -> String {
    let mut out = String::with_capacity(32 << 10);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Tenantry benchmark</title><style>{STYLE}</style></head><body>\n\
         <h1>Tenantry benchmark</h1><p>{}</p>\n",
        escaped(&report.conditions())
    );
    for warning in report.warnings() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(&warning));
    }
    table(&mut out, report);
    facts(&mut out, report);
    let with_ratio: Vec<(&ReportRow, f64)> = report
        .rows
        .iter()
        .filter_map(|row| Some((row, row.ratio?.0, row.ratio?.1)))
        .filter(|(.., name)| *name == "bare")
        .map(|(row, ratio, _)| (row, ratio))
        .collect();
    let _ = write!(out, "<h2>Rate by that of the bare endpoint</h2>\n{}", bars(&with_ratio));
    let many = |row: &'_ ReportRow| row.latencies;
    let one = |row: &'_ ReportRow| row.alone;
    let _ = write!(
        out,
        "<h2>Latency with one connection</h2>\n{}<h2>Latency with {} connections</h2>\n{}",
        latencies(&report.rows, one),
        report.connections,
        latencies(&report.rows, many)
    );
    out.push_str("</body></html>\n");
    out
}

fn table(out: &mut String, report: &BenchReport) {
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>operation<th>per second<th>ratio<th>to<th>refused<th>p50 ms<th>p99 ms\
         <th>one connection: p50<th>p99<th>own MiB<th>mapped MiB</tr></thead><tbody>\n",
    );
    for row in &report.rows {
        let ratio = row.ratio.map_or((String::new(), ""), |(ratio, name)| (format!("{ratio:.3}"), name));
        let refused = row.refused.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        let pair = |of: Option<[f64; 5]>| {
            of.map_or((String::new(), String::new()), |all| {
                (format!("{:.2}", all[0]), format!("{:.2}", p99(all)))
            })
        };
        let ((p50, p99), (one50, one99)) = (pair(row.latencies), pair(row.alone));
        let memory = row.memory.map_or((String::new(), String::new()), |(m, _)| {
            (format!("{:.1}", m.own), format!("{:.1}", m.mapped))
        });
        let _ = writeln!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{refused}<td>{p50}<td>{p99}<td>{one50}<td>{one99}<td>{}<td>{}</tr>",
            escaped(&row.title),
            grouped(row.per_second.round() as u64),
            ratio.0,
            ratio.1,
            memory.0,
            memory.1
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn facts(out: &mut String, report: &BenchReport) {
    let _ = writeln!(
        out,
        "<p>Idle memory: {:.1} MiB private and {:.1} MiB of mapped files. Start to first response: {:.0} ms. Binary: {:.1} \
         MiB. Database: {:.1} MiB.</p>",
        report.idle.own,
        report.idle.mapped,
        report.start_ms,
        mib(report.binary_bytes),
        mib(report.database_bytes)
    );
}

fn open(out: &mut String, lines: usize, what: &str) {
    let height = (lines as f64 + 1.5) * LINE;
    let _ = writeln!(out, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{what}\">");
}

fn label(out: &mut String, row: &ReportRow, y: f64) {
    let _ = write!(
        out,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LABELS - 10.0,
        y + LINE * 0.65,
        escaped(&row.title)
    );
}

fn bars(rows: &[(&ReportRow, f64)]) -> String {
    let mut out = String::new();
    open(&mut out, rows.len(), "rates");
    let most = rows.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    let span = WIDTH - LABELS - 70.0;
    for (at, (row, ratio)) in rows.iter().enumerate() {
        let (y, width) = (at as f64 * LINE, ratio / most * span);
        label(&mut out, row, y);
        let _ = writeln!(
            out,
            "<rect x=\"{LABELS}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"#2f7dd1\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{ratio:.3}</text>",
            y + LINE * 0.2,
            LINE * 0.6,
            LABELS + width + 6.0,
            y + LINE * 0.65
        );
    }
    out.push_str("</svg>\n");
    out
}

/// The position of a latency on the logarithmic scale.
fn place(ms: f64) -> f64 {
    let (low, high) = DECADES;
    let share = (ms.max(1e-6).log10() - f64::from(low)) / f64::from(high - low);
    LABELS + share.clamp(0.0, 1.0) * (WIDTH - LABELS - 20.0)
}

/// A line per row, from its p50 to its slowest response, with a dot per percentile.
fn latencies(rows: &[ReportRow], of: impl Fn(&ReportRow) -> Option<[f64; 5]>) -> String {
    const COLOURS: [&str; 5] = ["#2f7dd1", "#3aa37a", "#d9822b", "#c94b4b", "#8a8f98"];
    let shown: Vec<(&ReportRow, [f64; 5])> = rows.iter().filter_map(|row| Some((row, of(row)?))).collect();
    let mut out = String::new();
    open(&mut out, shown.len(), "latencies");
    let bottom = shown.len() as f64 * LINE;
    for decade in DECADES.0..=DECADES.1 {
        let (x, ms) = (place(10_f64.powi(decade)), 10_f64.powi(decade));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom}\" stroke=\"#8a8f98\" stroke-opacity=\".35\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{ms} ms</text>",
            bottom + LINE
        );
    }
    for (at, (row, all)) in shown.iter().enumerate() {
        let middle = (at as f64 + 0.5) * LINE;
        label(&mut out, row, at as f64 * LINE);
        let _ = write!(
            out,
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"#8a8f98\" stroke-width=\"2\"/>",
            place(all[0]),
            place(all[4])
        );
        for ((ms, name), colour) in all.iter().zip(SHARE_NAMES).zip(COLOURS) {
            let _ = write!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{middle}\" r=\"5\" fill=\"{colour}\"><title>{name}: {ms:.3} ms</title></circle>",
                place(*ms)
            );
        }
        out.push('\n');
    }
    out.push_str("</svg>\n<p>");
    for (name, colour) in SHARE_NAMES.iter().zip(COLOURS) {
        let _ = write!(out, "<span style=\"color:{colour}\">&#9679;</span> {name} ");
    }
    out.push_str("</p>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_logarithmic_and_stay_within() {
        assert_eq!((place(0.0), place(0.01)), (LABELS, LABELS));
        assert_eq!((place(1e9), place(10_000.0)), (WIDTH - 20.0, WIDTH - 20.0));
        assert!((place(10.0) - place(1.0) - (place(1.0) - place(0.1))).abs() < 1e-9);
    }

    #[test]
    fn text_is_escaped() {
        let row = ReportRow { title: "<b>&".into(), ratio: Some((0.5, "bare")), ..ReportRow::default() };
        let page = page(&BenchReport { rows: vec![row], ..BenchReport::default() });
        assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<b>"), "{page}");
    }
}
