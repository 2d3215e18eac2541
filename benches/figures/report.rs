//! The results: one row per figure, with its limit, printed as a Markdown table.

use std::time::Duration;

/// One figure.
pub struct Row {
    what: &'static str,
    measured: String,
    limit: String,
    verdict: &'static str,
}

impl Row {
    /// A figure with its limit, and whether it meets it.
    pub fn new(what: &'static str, measured: String, limit: impl Into<String>, met: bool) -> Self {
        Self { what, measured, limit: limit.into(), verdict: if met { "met" } else { "**missed**" } }
    }

    /// A figure that others are compared with.
    pub fn baseline(what: &'static str, measured: String) -> Self {
        Self { what, measured, limit: "baseline".to_owned(), verdict: "" }
    }

    /// A figure whose baseline cannot be measured here.
    pub fn alone(what: &'static str, measured: String, why: &str) -> Self {
        Self { what, measured, limit: why.to_owned(), verdict: "" }
    }
}

/// Prints the table.
pub fn print(rows: &[Row]) {
    println!("| what | measured | limit or baseline in this run | verdict |\n|---|---|---|---|");
    for Row { what, measured, limit, verdict } in rows {
        println!("| {what} | {measured} | {limit} | {verdict} |");
    }
}

/// Returns a row that compares a time with the sum of its parts, in the same run.
pub fn over_parts(what: &'static str, whole: Duration, parts: &[(&str, Duration)], most: f64) -> Row {
    let sum: Duration = parts.iter().map(|(_, time)| *time).sum();
    let times = whole.as_secs_f64() / sum.as_secs_f64();
    let parts: Vec<String> = parts.iter().map(|(name, time)| format!("{name} {} µs", time.as_micros())).collect();
    let measured = format!("{times:.1} x: {} µs over {}", whole.as_micros(), parts.join(" + "));
    Row::new(what, measured, format!("<= {most} x"), times <= most)
}

/// Formats a rate in whole events per second.
pub fn rate(per_second: f64) -> String {
    let digits = format!("{per_second:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + "/s"
}

/// Formats a time in milliseconds.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1_000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// Formats a size in MiB.
pub fn mib(kib: u32) -> String {
    format!("{:.1} MiB", f64::from(kib) / 1_024.0)
}
