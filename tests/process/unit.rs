//! What is shipped for systemd: the settings lie where the unit and everybody who looks after the server find them.

use serde_json::json;

use crate::harness::{Home, objects};

const SETTINGS: &str = include_str!("../../deploy/orgkeys.toml");
const UNIT: &str = include_str!("../../deploy/orgkeys.service");

/// Where the unit has its settings.
const INSTALLED: &str = "/etc/orgkeys/orgkeys.toml";

/// What the shipped settings are, where the lines that are commented out are taken in too, or not.
fn settings(all: bool) -> Vec<serde_json::Value> {
    let home = Home::new();
    let lines = SETTINGS.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if all && !setting.starts_with(' ') => setting,
        _ => line,
    });
    home.write("orgkeys.toml", lines.collect::<Vec<_>>().join("\n"));
    let shown = objects(&home.done(&["config", "--config", "orgkeys.toml", "--json"]));
    shown.into_iter().filter(|setting| setting["source"] == "file").collect()
}

#[test]
fn the_shipped_settings_are_taken_with_and_without_what_they_suggest() {
    let names = |all| settings(all).into_iter().map(|setting| setting["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(false), ["database"]);
    assert_eq!(names(true), ["database", "listen", "tls_cert", "tls_key", "trusted_proxy"]);
    assert_eq!(settings(false)[0]["value"], json!("/var/lib/orgkeys/orgkeys.db"));
}

#[test]
fn the_unit_has_no_settings_that_the_doctor_would_not_see() {
    let line = |name: &str| UNIT.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(line("ExecStart="), [format!("ExecStart=/usr/local/bin/orgkeys serve --config {INSTALLED}")]);
    assert_eq!(
        line("Environment="),
        ["Environment=ORGKEYS_BOOTSTRAP_TOKEN_FILE=%d/bootstrap-token"],
        "for a first start"
    );
    assert_eq!(line("LimitCORE="), ["LimitCORE=0"], "no image of its memory");
    assert!(!UNIT.contains("ORGKEYS_TLS"));
    assert_eq!(line("StateDirectory="), ["StateDirectory=orgkeys"], "which is /var/lib/orgkeys");
    assert!(UNIT.contains(&format!("install -m 0644 deploy/orgkeys.toml {INSTALLED}")));
    let operations = include_str!("../../docs/operations.md");
    assert!(operations.contains(&format!("\nsudo orgkeys doctor --config {INSTALLED}\n")));
}
