//! Writes the metrics in the classic Prometheus text format.
//!
//! The library writes `OpenMetrics`. Prometheus 2.42 (Debian 12) reads that as well, with types and help, but stores those of a
//! counter under its family's name, without `_total`, so a lookup by the name of a series finds nothing. And `promtool
//! check metrics`, which the tests run on what is served, reads the classic format only. Content negotiation would need both.

use std::fmt::Write;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Returns all registered metrics. The library writes `OpenMetrics`, where the help and type of a counter lack the
/// `_total` of its samples. Read as the classic format that the content type declares, they would describe another
/// metric, and the counter would have no type.
pub fn of(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = encode(&mut text, registry) {
        let _ = writeln!(text, "# {error}");
    }
    classic(&text)
}

fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let counter = |name: &str| {
        let samples = format!("# TYPE {name} counter\n");
        text.contains(&samples)
    };
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind @ ("HELP" | "TYPE")), Some(name), Some(rest)) if counter(name) => {
                let _ = writeln!(out, "# {kind} {name}_total {rest}");
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_under_their_sample_name() {
        let open = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total 1\n\
            # HELP a_seconds Time.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 2\n# EOF\n";
        let classic_text = "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\na_requests_total 1\n\
            # HELP a_seconds Time.\n# TYPE a_seconds gauge\na_seconds 2\n";
        assert_eq!(classic(open), classic_text);
    }
}
