//! Writes answers: as a table for people, as JSON, or as tab-separated values for scripts.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde_json::Value;

use super::answer::Answer;
use super::failure::{Exit, Failure, Outcome};
use super::rows::{self, Column};
use super::text::{lines, one_line, tab_separated};

/// A format of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns with headings.
    Table,
    /// One JSON value.
    Json,
    /// One JSON value per line.
    Jsonl,
    /// One row per line, with a tab between its values, without headings.
    Tsv,
}

impl Format {
    /// Every format by its name.
    pub const ALL: [(&'static str, Self); 4] =
        [("table", Self::Table), ("json", Self::Json), ("jsonl", Self::Jsonl), ("tsv", Self::Tsv)];

    /// Returns the format with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, format)| format)
    }

    /// The format if none is chosen: a table on a terminal, else tab-separated values.
    #[must_use]
    pub fn usual() -> Self {
        if io::stdout().is_terminal() { Self::Table } else { Self::Tsv }
    }
}

/// Shows rows with these columns. `is_list` says whether there may be more than one.
pub fn show(format: Format, rows: &[Value], columns: &[Column], is_list: bool) -> Outcome<()> {
    let titles = columns.iter().map(|column| column.title.to_owned()).collect::<Vec<_>>();
    let cells = || -> Vec<Vec<String>> {
        rows.iter().map(|row| columns.iter().map(|column| rows::cell(row, column)).collect()).collect()
    };
    match format {
        Format::Json if is_list => say(&json(&Value::from(rows.to_vec()))),
        Format::Json => say(&json(rows.first().unwrap_or(&Value::Null))),
        Format::Jsonl => say_each(rows.iter().map(compact)),
        Format::Table if !is_list => say(&pairs(&titles, &cells())),
        Format::Table => say(&table(&titles, &cells())),
        Format::Tsv => say_each(cells().iter().map(|cells| separated(cells))),
    }
}

/// Shows an answer whose columns are not known.
pub fn show_answer(format: Format, answer: &Answer) -> Outcome<()> {
    if format == Format::Json || !answer.is_json() {
        return pass_on(answer);
    }
    let rows = rows::rows(&answer.json()?);
    let (titles, cells) = rows::every_field(&rows);
    match format {
        Format::Jsonl => say_each(rows.iter().map(compact)),
        Format::Tsv => say_each(cells.iter().map(|cells| separated(cells))),
        Format::Table | Format::Json => say(&table(&titles, &cells)),
    }
}

/// Writes a body as it is; on a terminal JSON is indented, and what could control the terminal is escaped.
pub fn pass_on(answer: &Answer) -> Outcome<()> {
    if answer.body.is_empty() {
        return Ok(());
    }
    if !io::stdout().is_terminal() {
        let end: &[u8] = if answer.body.ends_with(b"\n") { b"" } else { b"\n" };
        return write(&[answer.body.as_ref(), end].concat());
    }
    let text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => json(&value),
        Err(_) => lines(String::from_utf8_lossy(&answer.body).trim_end_matches('\n')),
    };
    say(&text)
}

/// Writes a piece of a stream of text.
pub fn pass_piece(piece: &[u8]) -> Outcome<()> {
    if io::stdout().is_terminal() { write(lines(&String::from_utf8_lossy(piece)).as_bytes()) } else { write(piece) }
}

/// Writes one row on a line of its own, for a list that has no end.
pub fn show_next(format: Format, row: &Value, columns: &[(Column, usize)]) -> Outcome<()> {
    let cell = |(column, _): &(Column, usize)| rows::cell(row, column);
    match format {
        Format::Json | Format::Jsonl => say(&compact(row)),
        Format::Tsv => say(&separated(&columns.iter().map(cell).collect::<Vec<_>>())),
        Format::Table => {
            let padded = columns.iter().map(|column| pad(&shown(&cell(column)), column.1));
            say(padded.collect::<Vec<_>>().join("  ").trim_end())
        }
    }
}

/// Writes a line to standard output.
pub fn say(text: &str) -> Outcome<()> {
    if text.is_empty() { Ok(()) } else { write(format!("{text}\n").as_bytes()) }
}

/// Writes a secret to standard output.
pub fn say_secret(secret: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(secret.as_bytes())?;
    if !secret.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Writes a note for people to standard error, where it does not disturb a pipe.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", one_line(text));
}

fn say_each(lines: impl Iterator<Item = String>) -> Outcome<()> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    write(text.as_bytes())
}

fn write(bytes: &[u8]) -> Outcome<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::new(Exit::Refused, not_written(&error)))
}

/// Says why standard output could not be written.
#[must_use]
pub fn not_written(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::BrokenPipe => "standard output was closed before everything was written".to_owned(),
        _ => format!("standard output cannot be written: {error}"),
    }
}

/// JSON for people, which stays the same JSON when unsafe characters are escaped.
fn json(value: &Value) -> String {
    lines(&format!("{value:#}"))
}

fn compact(value: &Value) -> String {
    lines(&value.to_string())
}

fn separated(cells: &[String]) -> String {
    cells.iter().map(|cell| tab_separated(cell)).collect::<Vec<_>>().join("\t")
}

/// A cell of a table.
fn shown(cell: &str) -> String {
    if cell.is_empty() { "-".to_owned() } else { one_line(cell) }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// Aligns columns by the number of their characters.
fn table(titles: &[String], rows: &[Vec<String>]) -> String {
    let heading = titles.iter().map(|title| one_line(title)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading)
        .chain(rows.iter().map(|cells| cells.iter().map(|cell| shown(cell)).collect()))
        .collect();
    let width =
        |column: usize| rows.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..titles.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One thing: a line for each of its fields. A value of several lines follows its title.
fn pairs(titles: &[String], rows: &[Vec<String>]) -> String {
    let width = titles.iter().map(String::len).max().unwrap_or(0);
    let mut text = Vec::new();
    for cells in rows {
        for (title, cell) in titles.iter().zip(cells) {
            if cell.trim_end().contains('\n') {
                text.push(format!("{title}\n{}", lines(cell.trim_end())));
            } else {
                text.push(format!("{}  {}", pad(title, width), shown(cell.trim_end())));
            }
        }
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn columns_are_aligned_and_empty_cells_are_marked() {
        let rows = [texts(&["key-1", "2024", "é"]), texts(&["k", "", "東京\u{1b}[2J"])];
        let expected = "ID     CREATED  NAME\nkey-1  2024     é\nk      -        東京\\u001b[2J";
        assert_eq!(table(&texts(&["ID", "CREATED", "NAME"]), &rows), expected);
        assert_eq!(table(&texts(&["ID", "CREATED"]), &[]), "ID  CREATED");
    }

    #[test]
    fn one_thing_has_a_line_for_each_field() {
        let expected = "ID    key-1\nNODE  -\nPEM\n--\nab\n--";
        assert_eq!(pairs(&texts(&["ID", "NODE", "PEM"]), &[texts(&["key-1", "", "--\nab\n--\n"])]), expected);
    }

    #[test]
    fn a_row_of_tab_separated_values_is_one_line() {
        assert_eq!(separated(&texts(&["a\tb", "", "c\nd\u{1b}"])), "a\\tb\t\tc\\nd\\u001b");
    }
}
