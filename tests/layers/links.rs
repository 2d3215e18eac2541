//! Every link in the documentation leads to an existing file, and to a heading in it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files;

const PAGES: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "openapi/README.md"];

/// Every page: those above and all of `docs/`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let docs = files(&root.join("docs")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"));
    PAGES.iter().map(|page| root.join(page)).chain(docs).collect()
}

/// The lines of a page outside of its code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let line = line.trim_start();
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if ticks.len() >= open.len() && line.trim_end() == ticks => {
                fence = None;
                false
            }
            None if ticks.len() >= 3 => {
                fence = Some(ticks);
                false
            }
            open => open.is_none(),
        }
    })
}

/// A line without its inline code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The targets of a line's links: `[text](target)` and `[text]: target`.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let first = |rest: &str| rest.split([')', ' ']).next().unwrap_or_default().to_owned();
    let mut found: Vec<String> = line.split("](").skip(1).map(first).collect();
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        found.push(first(target));
    }
    found
}

/// The anchors of a page's headings, as GitHub makes them: repeated headings are numbered.
fn anchors(text: &str) -> Vec<String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len() && heading.starts_with(' ')).then(|| heading.trim())
    });
    headings
        .map(|heading| {
            let kept = heading.to_lowercase().replace(' ', "-");
            let anchor: String = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
            let before = times.entry(anchor.clone()).or_default();
            *before += 1;
            if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
        })
        .collect()
}

/// What is wrong with a link on a page; `None` if it is fine, or leads out of this repository.
fn problem(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() { page.to_owned() } else { page.parent()?.join(path) };
    if !file.exists() {
        return Some(format!("there is no file {path}"));
    }
    let text = || fs::read_to_string(&file).unwrap_or_default();
    let is_missing = |anchor: &&str| !anchors(&text()).iter().any(|heading| heading == anchor);
    anchor.filter(is_missing).map(|anchor| format!("no heading there has the anchor #{anchor}"))
}

#[test]
fn every_link_in_the_documentation_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut seen, mut broken) = (0, Vec::new());
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let name = page.strip_prefix(root).expect("below the repository").display();
        for (number, line) in prose(&text) {
            for target in targets(line) {
                seen += 1;
                broken.extend(problem(&page, &target).map(|problem| format!("{name}:{number}: {target}: {problem}")));
            }
        }
    }
    assert!(broken.is_empty(), "these links lead nowhere:\n{}", broken.join("\n"));
    assert!(seen > 10, "only {seen} links were found: the test looks in the wrong place");
}

#[test]
fn links_outside_code_are_found_and_headings_get_github_anchors() {
    let text = "# One `two`, three\n```sh\n# [no](a.md)\n```\n## The same\n[a](b.md#c \"d\") `[no](e.md)` [f](g.md)\n## The same\n[h]: i.md\n";
    let found: Vec<String> = prose(text).flat_map(|(_, line)| targets(line)).collect();
    assert_eq!(found, ["b.md#c", "g.md", "i.md"]);
    assert_eq!(anchors(text), ["one-two-three", "the-same", "the-same-1"]);
}

#[test]
fn links_to_missing_files_and_headings_are_reported() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/README.md");
    assert_eq!(problem(&page, "https://example.org/nothing"), None);
    assert_eq!(problem(&page, "../Cargo.toml"), None);
    assert!(problem(&page, "../nothing.md").is_some_and(|problem| problem.contains("no file")));
    assert!(problem(&page, "#nothing").is_some_and(|problem| problem.contains("#nothing")));
}
