//! The systemd unit and its settings file: at the places where the doctor and the documentation expect them.

use serde_json::json;

use crate::harness::{Home, objects};

const SETTINGS: &str = include_str!("../../deploy/orgkeys.toml");
const UNIT: &str = include_str!("../../deploy/orgkeys.service");

/// The path of the unit's settings.
const INSTALLED: &str = "/etc/orgkeys/orgkeys.toml";

/// The shipped settings, with or without the lines that are commented out.
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
fn the_shipped_settings_are_valid_with_and_without_the_commented_lines() {
    let names = |all| settings(all).into_iter().map(|setting| setting["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(false), ["database"]);
    assert_eq!(names(true), ["database", "backup_dir", "listen", "tls_cert", "tls_key", "trusted_proxy"]);
    assert_eq!(settings(false)[0]["value"], json!("/var/lib/orgkeys/orgkeys.db"));
}

#[test]
fn the_unit_sets_nothing_that_the_doctor_does_not_see() {
    let line = |name: &str| UNIT.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(line("ExecStart="), [format!("ExecStart=/usr/local/bin/orgkeys serve --config {INSTALLED}")]);
    assert_eq!(
        line("Environment="),
        ["Environment=ORGKEYS_BOOTSTRAP_TOKEN_FILE=%d/bootstrap-token"],
        "for the first start only"
    );
    assert_eq!(line("LoadCredential="), ["LoadCredential=bootstrap-token:/etc/orgkeys/bootstrap-token"]);
    assert_eq!(
        line("SetCredential="),
        ["SetCredential=bootstrap-token:\\n"],
        "or the unit would need the file forever"
    );
    assert!(line("RestrictAddressFamilies=")[0].contains("AF_UNIX"), "for the socket beside the database");
    assert_eq!(line("LimitCORE="), ["LimitCORE=0"], "no core dumps");
    assert!(!UNIT.contains("ORGKEYS_TLS"));
    assert_eq!(line("StateDirectory="), ["StateDirectory=orgkeys"], "which is /var/lib/orgkeys");
    assert!(UNIT.contains(&format!("install -m 0644 deploy/orgkeys.toml {INSTALLED}")));
    let operations = include_str!("../../docs/operations.md");
    assert!(operations.contains(&format!("\nsudo orgkeys doctor --config {INSTALLED}\n")));
    // Without --config, they look at this place.
    let local = include_str!("../../src/cli/local.rs");
    assert!(local.contains(&format!("OF_THE_UNIT: &str = \"{INSTALLED}\"")));
    assert!(operations.contains("\nsudo orgkeys user list\n"));
}
