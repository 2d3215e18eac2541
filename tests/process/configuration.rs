//! The configuration page: its tables match the code, and its example matches the program's output.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use orgkeys::config::{FIELDS, Field};

use crate::harness::{Home, run};
use crate::texts::fails_to_start;

const PAGE: &str = "docs/configuration.md";

/// The markers around the tables.
const TABLES: [&str; 2] = ["<!-- The settings, as the code has them. -->\n", "<!-- The end of the settings. -->\n"];

/// The fences around the example settings file.
const EXAMPLE: [&str; 2] = ["```toml\n", "```\n"];

/// The fences around the output of the program for it.
const SHOWN: [&str; 2] = ["```console\n", "```\n"];

/// The range between two markers.
fn part(page: &str, [begin, end]: [&str; 2]) -> std::ops::Range<usize> {
    let from = page.find(begin).unwrap_or_else(|| panic!("{PAGE} has no {begin}")) + begin.len();
    from..from + page[from..].find(end).unwrap_or_else(|| panic!("{PAGE} has no {end}"))
}

/// A table for each group of settings.
fn tables() -> String {
    let mut text = String::new();
    let mut group = "";
    for field in FIELDS {
        if field.group != group {
            group = field.group;
            let head = "| setting | default | values | meaning |\n|---|---|---|---|";
            write!(text, "\n### {group}\n\n{head}\n").expect("a text");
        }
        writeln!(text, "{}", row(field)).expect("a text");
    }
    text + "\n"
}

fn row(field: &Field) -> String {
    let names = [field.keys(), vec![field.flag()], field.variables()].concat();
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let default = if field.default.is_empty() { String::new() } else { format!("`{}`", field.default) };
    let meaning = format!("{} {}", field.summary, field.details);
    format!("| {} | {default} | {} | {} |", names.join("<br>"), field.values(), meaning.trim_end())
}

/// What `orgkeys config` prints about the settings in this file.
fn shown(file: &str) -> String {
    let home = Home::new();
    let token = home.write("metrics.token", "a token that nobody guesses\n");
    home.write("orgkeys.toml", file.replace("/etc/orgkeys/metrics.token", &token.display().to_string()));
    let printed = home.done(&["config", "--config", "orgkeys.toml"]);
    let set: Vec<&str> = printed.lines().filter(|line| !line.contains(" default ")).collect();
    format!("$ orgkeys config --config orgkeys.toml | grep -v ' default '\n{}\n", set.join("\n"))
}

#[test]
fn the_page_is_what_the_code_says_of_the_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).expect("the page");
    let example = page[part(&page, EXAMPLE)].to_owned();
    let mut coded = page.clone();
    for (marks, text) in [(TABLES, tables()), (SHOWN, shown(&example))] {
        let place = part(&coded, marks);
        coded.replace_range(place, &text);
    }
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &coded).expect("written");
        return;
    }
    assert!(
        page == coded,
        "{PAGE} is not what the code says. Renew it: BLESS=1 cargo test --test process the_page_is_what_the_code_says"
    );
}

#[test]
fn a_web_origin_that_would_never_match_is_refused_at_the_start() {
    let home = Home::new();
    for (origins, sentence) in [
        ("*", "does not support wildcards: list each origin, such as https://app.example.org"),
        ("example.org", "needs the scheme of each origin: write https://app.example.org, not app.example.org"),
        ("https://x/", "has an origin that is not written as browsers send it: write https://x, and nothing after it"),
        (
            "https://app.example.org, https://App.example.org",
            "has an origin that is not written as browsers send it: write https://app.example.org, and nothing after it",
        ),
    ] {
        let ran = fails_to_start(&home, &["--cors-origins", origins]);
        let expected = format!("orgkeys: cors_origins {sentence} (set by flag)");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.trim_end()), (Some(1), "", expected.as_str()));
    }
    assert!(home.files().is_empty(), "nothing was started: {:?}", home.files());
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let home = Home::new();
    let mut empty = home.orgkeys(&["config", "--json"]);
    for variable in FIELDS.iter().flat_map(Field::variables) {
        empty.env(variable, "");
    }
    let ran = run(empty.env("ORGKEYS_MAX", "").env("ORGKEYS_CONFIG", ""));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, home.done(&["config", "--json"]));
    // The file's value is the next one that counts.
    home.write("orgkeys.toml", "readers = 7\n");
    let ran = run(home.orgkeys(&["config", "--config", "orgkeys.toml"]).env("ORGKEYS_READERS", ""));
    assert!(ran.stdout.lines().any(|line| line.starts_with("readers           7 ")), "{ran:?}");
    // A call goes to the server on this machine, as its administrator.
    let (server, _) = home.first_start();
    let mut list = home.orgkeys(&["key", "list", "-o", "json"]);
    for variable in ["ORGKEYS_URL", "ORGKEYS_TOKEN", "ORGKEYS_TOKEN_FILE", "XDG_CONFIG_HOME"] {
        list.env(variable, "");
    }
    let ran = run(&mut list);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "[]\n", ""), "{ran:?}");
    assert_eq!(server.stop().0, Some(0));
}
