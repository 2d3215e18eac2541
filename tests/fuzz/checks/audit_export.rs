//! Exports of the audit log, as `orgkeys audit verify --file` reads them. An input is an export. Lines before an empty line
//! are heads, as `orgkeys audit head` prints them.

use orgkeys::actions::audit::{BROKEN, VerifiedLog, verify_file};
use orgkeys::crypto::chain::{START, hash_entry, hex, unhex};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::event::Head;
use orgkeys::engine::error::{Error, ErrorKind};

use super::SECRET;

pub fn check(input: &[u8]) {
    let empty = input.windows(2).position(|pair| pair == b"\n\n");
    let (heads, export) = empty.map_or((&[][..], input), |at| (&input[..at], &input[at + 2..]));
    let heads: Vec<Head> = heads.split(|byte| *byte == b'\n').filter_map(head).collect();
    let entries = entries(export);
    match verify_file(export, &heads) {
        Ok(log) => {
            let entries = entries.expect("what is verified is an export");
            assert_eq!(log.entries, entries.len() as u64);
            assert!(log.chains >= 1 && log.removed.len() <= heads.len());
            assert_tamper_evident(&entries, input);
        }
        Err(error) => {
            let is_expected =
                matches!((error.kind, error.code), (ErrorKind::Conflict, BROKEN) | (ErrorKind::Invalid, "NO_EXPORT"));
            assert!(is_expected && error.cause.is_none(), "{error:?}");
            assert!(error.code == BROKEN || !error.message.contains(SECRET), "{}", error.message);
        }
    }
    // Nothing that is invented has the right hashes, so the same entries are also tried as the server would chain them.
    if let Some(mut entries) = entries_of_a_chain(export)
        && !entries.is_empty()
    {
        chained(&mut entries);
        verified(&entries, &[last(&entries)]).expect("entries as the server chains them are intact");
        assert_tamper_evident(&entries, input);
    }
}

fn head(line: &[u8]) -> Option<Head> {
    let line = str::from_utf8(line).ok()?;
    let head = Head::parse(line)?;
    let json = serde_json::to_string(&head).expect("JSON");
    assert_eq!(Head::parse(&json).as_ref(), Some(&head));
    if !line.trim_start().starts_with('{') {
        assert_eq!(Head::parse(&head.to_string()).as_ref(), Some(&head));
    }
    Some(head)
}

/// Reads every line as an entry.
fn entries(export: &[u8]) -> Option<Vec<Entry>> {
    let text = str::from_utf8(export).ok()?;
    text.lines().map(|line| serde_json::from_str(line).ok()).collect()
}

/// The lines that are entries, up to eight, as entries of one chain that nothing was removed from.
fn entries_of_a_chain(export: &[u8]) -> Option<Vec<Entry>> {
    let text = str::from_utf8(export).ok()?;
    let entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    Some(entries.filter(|entry: &Entry| entry.action != "audit.trim").take(8).collect())
}

/// Gives entries the numbers and hashes that they would have in one chain.
fn chained(entries: &mut [Entry]) {
    let (org, mut prev) = (entries[0].org.clone(), START);
    for (entry, number) in entries.iter_mut().zip(1..) {
        org.clone_into(&mut entry.org);
        (entry.id, entry.seq, entry.prev_hash) = (number * 3, number, hex(&prev));
        prev = hash_entry(&prev, entry);
        entry.hash = hex(&prev);
        assert_eq!(unhex(&entry.hash), Some(prev));
    }
}

fn verified(entries: &[Entry], heads: &[Head]) -> Result<VerifiedLog, Error> {
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).expect("JSON")).collect();
    verify_file(lines.join("\n").as_bytes(), heads)
}

fn last(entries: &[Entry]) -> Head {
    let last = entries.last().expect("an entry");
    Head { org: last.org.clone(), seq: last.seq, hash: last.hash.clone() }
}

/// Checks that a log which is intact is broken by a change of an entry, and by an entry that is missing. The input also
/// chooses the entry and the change: to try all of them would take too long.
fn assert_tamper_evident(entries: &[Entry], input: &[u8]) {
    let head = [last(entries)];
    verified(entries, &head).expect("what is printed again is intact");
    let number = input.iter().fold(0_usize, |number, byte| number.wrapping_mul(31).wrapping_add((*byte).into()));
    let at = number / CHANGES.len() % entries.len();
    let (field, change) = CHANGES[number % CHANGES.len()];
    let mut changed = entries.to_vec();
    change(&mut changed[at]);
    assert_ne!(changed[at], entries[at], "{field}");
    assert!(verified(&changed, &[]).is_err(), "another {field} in line {} goes unnoticed", at + 1);
    let mut changed = entries.to_vec();
    changed.remove(at);
    // Retention may have removed the first entries of a chain, if another one says so.
    let is_first = entries.iter().position(|entry| entry.org == head[0].org) == Some(at);
    let may_be_missing = is_first && entries.iter().any(|entry| entry.action == "audit.trim");
    if entries[at].org == head[0].org && !may_be_missing {
        assert!(verified(&changed, &head).is_err(), "line {} is not missed", at + 1);
    }
    if at > 0 {
        let mut changed = entries.to_vec();
        changed.swap(at - 1, at);
        assert!(verified(&changed, &[]).is_err(), "the order of lines {at} and {} is not looked at", at + 1);
    }
}

/// A change of each field.
type Change = (&'static str, fn(&mut Entry));

const CHANGES: [Change; 18] = [
    ("id", |entry| entry.id = entry.id.wrapping_add(1)),
    ("org", |entry| entry.org.push('x')),
    ("seq", |entry| entry.seq = entry.seq.wrapping_add(1)),
    ("at", |entry| entry.at ^= 1),
    ("actorKind", |entry| entry.actor_kind.push('x')),
    ("actorId", |entry| entry.actor_id.push('\0')),
    ("actorName", |entry| other(&mut entry.actor_name)),
    ("action", |entry| entry.action.insert(0, 'x')),
    ("context", |entry| entry.context = entry.context.map_or(Some(0), |_| None)),
    ("contextId", |entry| other(&mut entry.context_id)),
    ("project", |entry| other(&mut entry.project)),
    ("change", |entry| entry.change = entry.change.map_or(Some(0), |change| Some(change ^ 1))),
    ("outcome", |entry| entry.outcome.push('x')),
    ("address", |entry| other(&mut entry.address)),
    ("requestId", |entry| other(&mut entry.request_id)),
    ("detail", |entry| other(&mut entry.detail)),
    ("prevHash", |entry| flip(&mut entry.prev_hash)),
    ("hash", |entry| flip(&mut entry.hash)),
];

fn other(text: &mut Option<String>) {
    *text =
        text.take().map_or_else(|| Some(String::new()), |text| if text.is_empty() { None } else { Some(text + "x") });
}

fn flip(hash: &mut String) {
    let last = hash.pop();
    hash.push(if last == Some('0') { '1' } else { '0' });
}
