//! The dashboard and the alerts in `deploy/` use only metrics that exist, and promtool accepts both.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::Server;
use crate::metrics::metrics;
use crate::missing::has;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy(name)).expect("a file")
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("orgkeys_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

/// The metrics of a fresh server.
async fn measured() -> String {
    let server = Server::start().await;
    metrics(&server).await;
    metrics(&server).await
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_alerts_use_every_metric_and_no_unknown_one() {
    let text = measured().await;
    let samples: BTreeSet<&str> = text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let mut asked = BTreeSet::new();
    for file in ["grafana-dashboard.json", "prometheus-alerts.yml", "prometheus-alerts.test.yml"] {
        let names = named(&read(file));
        assert!(names.len() > 9, "{file}: {names:?}");
        for name in &names {
            assert!(samples.contains(name.as_str()), "{file} uses {name}, which does not exist: {text}");
        }
        asked.extend(names);
    }
    // And the reverse: every metric family is shown or alerted on.
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(asked.iter().any(|name| name.starts_with(family)), "{family} is in neither");
    }
}

#[test]
fn the_dashboard_has_the_fields_that_a_grafana_import_needs() {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON");
    assert_eq!((&dashboard["uid"], &dashboard["title"]), (&Value::from("orgkeys"), &Value::from("orgkeys")));
    assert!(dashboard["schemaVersion"].as_u64().expect("a version") >= 36);
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let source = variables.iter().find(|variable| variable["name"] == "datasource").expect("the data source");
    assert_eq!((&source["type"], &source["query"]), (&Value::from("datasource"), &Value::from("prometheus")));
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        let place = &panel["gridPos"];
        let (x, width) = (place["x"].as_u64().expect("x"), place["w"].as_u64().expect("a width"));
        assert!(x + width <= 24, "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        for target in panel["targets"].as_array().expect("targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            assert!(!named(target["expr"].as_str().expect("an expression")).is_empty(), "{panel}");
        }
    }
    assert!(ids.len() > 15, "{ids:?}");
}

#[test]
fn every_alert_has_a_summary_a_remedy_and_a_test() {
    let (alerts, tests) = (read("prometheus-alerts.yml"), read("prometheus-alerts.test.yml"));
    let mut count = 0;
    for alert in alerts.split("- alert: ").skip(1) {
        let name = alert.lines().next().expect("a name");
        for part in ["severity: ", "summary: ", "remedy: "] {
            assert_eq!(alert.matches(part).count(), 1, "{name} needs one {part}");
        }
        assert!(tests.contains(&format!("alertname: {name}, exp_alerts: []")), "{name}: no test that it stays silent");
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name}: no test that it fires");
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

/// Every expression of the dashboard as a recording rule for promtool, with an interval in place of Grafana's variable.
fn dashboard_rules() -> Value {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let rules = targets.enumerate().map(|(number, target)| {
        let expr = target["expr"].as_str().expect("an expression").replace("$__rate_interval", "5m");
        json!({ "record": format!("panel:{number}"), "expr": expr })
    });
    let rules: Vec<_> = rules.collect();
    assert!(rules.len() > 20, "{rules:?}");
    json!({ "groups": [{ "name": "dashboard", "rules": rules }] })
}

/// The Prometheus configuration in the operations guide.
fn scraping() -> &'static str {
    let operations = include_str!("../../docs/operations.md");
    let mut blocks = operations.split("```yaml\n").filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.starts_with("scrape_configs:")).expect("a block")
}

#[test]
fn the_documented_scrape_configuration_sends_the_token_over_https() {
    assert!(scraping().contains("scheme: https") && scraping().contains("authorization:"), "{}", scraping());
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_alerts_dashboard_metrics_and_documented_configuration() {
    // On Debian it is part of the package prometheus.
    if !has("promtool") {
        return;
    }
    let text = measured().await;
    let runs = crate::harness::blocking(move || {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let metrics = Stdio::from(fs::File::open(file("metrics.txt", &text)).expect("a file"));
        let dashboard = file("dashboard.yml", &dashboard_rules().to_string());
        let config = file("prometheus.yml", scraping());
        let promtool = |words: &[&str], file: PathBuf| Command::new("promtool").args(words).arg(file).output();
        let runs = [
            promtool(&["check", "rules"], deploy("prometheus-alerts.yml")),
            promtool(&["test", "rules"], deploy("prometheus-alerts.test.yml")),
            promtool(&["check", "rules"], dashboard),
            promtool(&["check", "config", "--syntax-only"], config),
            Command::new("promtool").args(["check", "metrics"]).stdin(metrics).output(),
        ];
        runs.map(|run| run.expect("it runs"))
    });
    for output in runs.await {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
}
