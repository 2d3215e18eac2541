//! Extracts the SQL texts from the store's sources, so that a statement need not run to be tested.
//!
//! A statement is a string literal that starts with SELECT, INSERT or the like. Placeholders in braces are replaced by
//! constants, and by variables of the same function in each of the forms that they have there. A placeholder that
//! cannot be resolved is an error. So is an SQL literal that is part of no statement, and a call that runs anything but
//! such a literal.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The file whose statements are assembled by code that cannot be read here. `event::texts` returns all of them; its
/// literals must be part of those.
const BUILT: &str = "event/query.rs";

/// Calls that run a text by a name that is not defined in the same function: the file, the name, and why that is
/// permitted.
const GIVEN: [(&str, &str, &str); 9] = [
    ("mod.rs", "sql", "what every other file reads through"),
    ("writer.rs", "sql", "what every other file writes through"),
    ("writer/thread.rs", "sql", "BEGIN, COMMIT, SAVEPOINT and their like"),
    ("event.rs", "sql", "a text of event/query.rs"),
    ("connection.rs", "pragma", "SQLite's own: the mode of its journal"),
    ("space.rs", "pragma", "SQLite's own: the pages of its file"),
    ("migrate.rs", "step", "a step of an upgrade, which changes tables: each engine has its own words for that"),
    ("open.rs", "migrate", "the schema itself"),
    ("schema.rs", "migrate", "the schema itself"),
];

/// The first words of statements that both engines must accept.
const VERBS: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "REPLACE", "VALUES"];

/// The first words of statements about SQLite's file or its transactions, which differ between engines.
const OWN_VERBS: [&str; 6] = ["PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r##"(?s)//[^\n]*|'(?:\\[^']+|[^'\\])'|r#".*?"#|"(?:[^"\\]|\\.)*""##));
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)\\(\n\s*|.)"));
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{(\w*)\}"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\?\d+"));
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ *(?:pub(?:\([^)]*\))? )?(?:const )?fn "));
static SQL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\?\d|\b(SELECT|FROM|WHERE|INSERT|VALUES|UPDATE|DELETE|JOIN|AND|OR|NOT|NULL|ORDER|LIMIT|UNION|CASE|EXISTS|BETWEEN|IN|SET)\b",
    )
});
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\.(?:row|rows|execute|execute_batch|returning|prepare\w*|query_row\w*|query_one)",
        r#"\(\s*&?(format!\(\s*"|"|\[|params\b|\w*)"#
    ))
});
static LOOP: LazyLock<Regex> = LazyLock::new(|| pattern(r"for (?:\((\w+), \w+\)|(\w+)) in ([A-Z_]+) "));

/// A string literal and its position.
struct Literal {
    from: usize,
    text: String,
}

/// A source file without its tests: its code with literals and comments blanked, and the literals.
struct SourceFile {
    name: String,
    code: String,
    literals: Vec<Literal>,
}

/// The sources of the store.
pub(super) struct SourceFiles(Vec<SourceFile>);

impl SourceFile {
    fn read(name: String, text: &str) -> Self {
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let (mut code, mut literals, mut end) = (String::new(), Vec::new(), 0);
        for token in TOKEN.find_iter(text) {
            code += &text[end..token.start()];
            end = token.end();
            if let Some(quoted) = token.as_str().strip_prefix('"') {
                let quoted = ESCAPE.replace_all(&quoted[..quoted.len() - 1], |escape: &regex::Captures<'_>| {
                    let escaped = &escape[1];
                    (if escaped.starts_with('\n') { "" } else { escaped }).to_owned()
                });
                literals.push(Literal { from: token.start(), text: quoted.into_owned() });
                code.extend(["\"", &" ".repeat(token.len() - 2), "\""]);
            } else {
                code += &" ".repeat(token.len());
            }
        }
        code += &text[end..];
        Self { name, code, literals }
    }

    /// Returns the start of the function that contains `at`.
    fn function(&self, at: usize) -> usize {
        FUNCTION.find_iter(&self.code[..at]).last().map_or(0, |found| found.start())
    }

    /// Returns the literals that a constant or a variable may have at position `at`.
    fn values(&self, name: &str, at: usize) -> Result<Vec<&Literal>, String> {
        let is_constant = name.starts_with(|c: char| c.is_ascii_uppercase());
        let (from, to) = if is_constant { (0, self.code.len()) } else { (self.function(at), at) };
        let (word, scope) = (if is_constant { "const" } else { "let" }, &self.code[from..to]);
        let range = |found: regex::Match<'_>| {
            let begin = from + found.end();
            (begin, begin + self.code[begin..].find(';').unwrap_or(0))
        };
        let ranges = pattern(&format!(r"\b{word} {name}\b[^=]*=")).find_iter(scope).map(range).collect::<Vec<_>>();
        // In `let sql = format!("{sql} ..")`, the name refers to the earlier variable.
        let Some((begin, end)) = ranges.into_iter().rfind(|(_, end)| *end <= to) else { return Ok(Vec::new()) };
        let value = &self.code[begin..end];
        if value.contains('+') || ["push", "concat", "join", "replace"].iter().any(|way| value.contains(way)) {
            return Err(format!("{}: {name} is assembled in a way that cannot be read: use format!", self.name));
        }
        Ok(self.literals.iter().filter(|literal| (begin..end).contains(&literal.from)).collect())
    }
}

impl SourceFiles {
    pub(super) fn of_store() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        let is_test = |path: &PathBuf| path.iter().any(|part| part.to_string_lossy().contains("tests"));
        let relative = |path: PathBuf| path.strip_prefix(&root).expect("below it").to_owned();
        let paths: Vec<PathBuf> = files(&root).into_iter().map(relative).filter(|path| !is_test(path)).collect();
        let read = |path: PathBuf| {
            SourceFile::read(path.display().to_string(), &fs::read_to_string(root.join(path)).expect("text"))
        };
        Self(paths.into_iter().map(read).collect())
    }

    /// Returns every statement, in every form that it can take.
    pub(super) fn statements(&self) -> Result<BTreeSet<String>, String> {
        let mut statements = BTreeSet::new();
        for source in self.0.iter().filter(|source| source.name != BUILT) {
            for literal in source.literals.iter().filter(|literal| SQL.is_match(&literal.text)) {
                if begins_with(&literal.text, &OWN_VERBS) || !is_statement(&literal.text) {
                    continue;
                }
                let forms = self.forms(source, literal)?;
                statements.extend(forms.into_iter().filter(|form| begins_with(form, &VERBS)).map(|form| plain(&form)));
            }
        }
        Ok(statements)
    }

    /// Returns the texts that a literal can become when its placeholders are replaced.
    fn forms(&self, source: &SourceFile, literal: &Literal) -> Result<Vec<String>, String> {
        let mut forms = vec![literal.text.clone()];
        for name in PLACEHOLDER.captures_iter(&literal.text).map(|found| found[1].to_owned()) {
            let mut values = Vec::new();
            // A constant of another file is found by its name.
            let others = self.0.iter().filter(|other| other.name != source.name && name == name.to_uppercase());
            for place in std::iter::once(source).chain(others) {
                if values.is_empty() {
                    for value in place.values(&name, literal.from)? {
                        values.extend(self.forms(place, value)?);
                    }
                }
            }
            if values.is_empty() {
                return Err(format!("{}: {{{name}}} cannot be resolved in {:?}", source.name, literal.text));
            }
            let hole = format!("{{{name}}}");
            forms = forms.iter().flat_map(|form| values.iter().map(|value| form.replace(&hole, value))).collect();
        }
        Ok(forms)
    }

    /// Returns SQL literals that belong to no statement, and calls that run anything else.
    pub(super) fn unseen(&self, statements: &BTreeSet<String>) -> Vec<String> {
        let nameless: Vec<String> = statements.iter().map(|statement| unnumbered(statement)).collect();
        let mut unseen = Vec::new();
        for source in &self.0 {
            for literal in source.literals.iter().filter(|literal| SQL.is_match(&literal.text)) {
                let is_seen = |piece: &str| nameless.iter().any(|statement| statement.contains(piece));
                let text = unnumbered(&plain(&literal.text));
                if !begins_with(&text, &OWN_VERBS) && !PLACEHOLDER.split(&text).all(|piece| is_seen(piece.trim())) {
                    unseen.push(format!("{}: {:?} is part of no statement", source.name, literal.text));
                }
            }
            for run in RUN.captures_iter(&source.code) {
                let (at, text) = (run.get(0).map_or(0, |run| run.start()), &run[1]);
                let is_name = text.starts_with(|c: char| c.is_alphabetic()) && !text.ends_with('"') && text != "params";
                if is_name && !source.knows(text, at) || text.is_empty() {
                    unseen.push(format!("{}: the text run as {text:?} cannot be resolved", source.name));
                }
            }
        }
        unseen
    }
}

impl SourceFile {
    /// Returns whether a name that is run at `at` has known texts.
    fn knows(&self, name: &str, at: usize) -> bool {
        let are_statements = |name: &str| {
            let is_one = |value: &&Literal| is_statement(&value.text) || begins_with(&value.text, &OWN_VERBS);
            self.values(name, at).is_ok_and(|values| values.iter().any(is_one))
        };
        let in_loop = |found: &regex::Captures<'_>| {
            let variable = found.get(1).or(found.get(2)).map_or("", |variable| variable.as_str());
            variable == name && are_statements(&found[3])
        };
        GIVEN.iter().any(|(file, given, _)| *file == self.name && *given == name)
            || are_statements(name)
            || LOOP.captures_iter(&self.code[self.function(at)..at]).any(|found| in_loop(&found))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn begins_with(text: &str, words: &[&str]) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    words.contains(&first)
}

/// Returns whether a literal is a statement, as far as can be seen before its placeholders are replaced.
fn is_statement(text: &str) -> bool {
    begins_with(text, &VERBS) || text.starts_with('{')
}

/// Returns a text on one line.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Removes the numbers of parameters: an assembled statement numbers its own anew.
fn unnumbered(text: &str) -> String {
    NUMBER.replace_all(text, "?").into_owned()
}

/// Returns the statements of a file, and what is not covered in it.
fn read(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let sources = SourceFiles(vec![SourceFile::read("a.rs".to_owned(), text)]);
    let statements = sources.statements()?;
    let unseen = sources.unseen(&statements);
    Ok((statements.into_iter().collect(), unseen))
}

#[test]
fn a_statement_is_extracted_in_each_of_its_forms() {
    let (statements, unseen) = read(
        r#"
        const COLUMNS: &str = "id, \
            name";
        /// Gives "SELECT nothing".
        fn list(tx: &ReadTx<'_>, all: bool) -> Vec<Org> {
            let fits = if all { "" } else { " WHERE id = ?1" };
            let sql = format!("SELECT {COLUMNS} FROM org{fits}");
            tx.rows(&sql, [], org).chain(tx.row("SELECT 'a' FROM org", [], |row| row.get(0)))
        }"#,
    )
    .expect("readable");
    let expected = ["SELECT 'a' FROM org", "SELECT id, name FROM org", "SELECT id, name FROM org WHERE id = ?1"];
    assert_eq!((statements, unseen), (expected.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn unresolvable_statements_are_reported() {
    for (text, expected) in [
        (r#"fn f() { tx.row(&format!("SELECT 1 FROM org WHERE {x}"), [], get) }"#, "{x} cannot be resolved"),
        (r#"fn f() { let x = "a".to_owned() + b; tx.row(&format!("SELECT 1 FROM {x}"), [], get) }"#, "x is assembled"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(expected), "{error}");
    }
    for (text, expected) in [
        ("fn f(sql: &str) { tx.row(sql, [], get) }", "the text run as \"sql\" cannot be resolved"),
        ("fn f() { conn.query_row(&text(), [], get) }", "the text run as \"text\" cannot be resolved"),
        (r#"fn f() { let mut sql = "SELECT 1".to_owned(); sql += " WHERE id = ?1"; }"#, "is part of no statement"),
        (r#"fn f() { let sql = text("org"); tx.row(sql, [], get) }"#, "the text run as \"sql\" cannot be resolved"),
    ] {
        let (_, unseen) = read(text).expect("readable");
        assert!(unseen.iter().any(|line| line.contains(expected)), "{unseen:?}");
    }
}
