//! The hash chains of the audit log: every change to the file is detected and located.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orgkeys::actions::audit;
use orgkeys::crypto::chain;
use orgkeys::domain::audit::{Actor, Draft, Entry};
use orgkeys::domain::event::Head;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::harness::{Identity, Server, entries};

/// The database of a stopped server, with 12 entries of one organization and some of others.
struct Log {
    path: PathBuf,
    owner: Identity,
    _folder: TempDir,
}

impl Log {
    async fn new() -> Self {
        let server = Server::start().await;
        let owner = server.owner_of("acme").await;
        let other = server.owner_of("other").await;
        for _ in 0..9 {
            server.events(&owner).await;
            server.events(&other).await;
        }
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("log.db");
        let database = server.database.clone();
        let stopped = server.stop().await;
        std::fs::copy(&database, &path).expect("a copy");
        drop(stopped);
        Self { path, owner, _folder: folder }
    }

    /// The file, with the triggers that keep the log append-only switched off.
    fn unguarded(&self) -> Connection {
        let conn = Connection::open(&self.path).expect("the file");
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).expect("set");
        conn
    }

    fn verdict(&self, heads: &[Head]) -> Result<u64, String> {
        audit::verify(&self.path, heads).map(|verified| verified.entries).map_err(|error| error.message)
    }

    /// The verdict on an export of the log.
    fn file_verdict(&self, heads: &[Head]) -> Result<u64, String> {
        let mut lines = Vec::new();
        audit::export(&self.path, &mut lines).expect("an export");
        audit::verify_file(lines.as_slice(), heads).map(|verified| verified.entries).map_err(|error| error.message)
    }

    async fn entry(&self, seq: i64) -> Entry {
        let found = entries(&self.path).await.into_iter().find(|entry| entry.org == self.owner.org && entry.seq == seq);
        found.expect("an entry")
    }
}

fn heads(path: &Path) -> Vec<Head> {
    audit::heads(path).expect("heads")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intact_log_verifies_with_and_without_heads_and_as_an_export() {
    let log = Log::new().await;
    let all = entries(&log.path).await.len() as u64;
    let heads = heads(&log.path);
    assert!(heads.iter().any(|head| head.org == log.owner.org && head.seq == 12), "{heads:?}");
    for heads in [&[][..], &heads] {
        assert_eq!((log.verdict(heads), log.file_verdict(heads)), (Ok(all), Ok(all)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_to_any_column_is_detected() {
    let log = Log::new().await;
    let entry = log.entry(6).await;
    let cases: [(&str, Sql); 17] = [
        ("org", Sql::Blob(vec![])),
        ("seq", Sql::Integer(99)),
        ("at", Sql::Integer(entry.at - 1)),
        ("actor_kind", Sql::Text("system".to_owned())),
        ("actor_id", Sql::Text("somebody else".to_owned())),
        ("actor_name", Sql::Text("Somebody Else".to_owned())),
        ("action", Sql::Text("event.mark".to_owned())),
        ("context", Sql::Null),
        ("context_id", Sql::Text("elsewhere".to_owned())),
        ("project", Sql::Text("another".to_owned())),
        ("change", Sql::Integer(0)),
        ("outcome", Sql::Text("refused".to_owned())),
        ("address", Sql::Text("192.0.2.1".to_owned())),
        ("request_id", Sql::Null),
        ("detail", Sql::Text("{}".to_owned())),
        ("prev_hash", Sql::Blob(vec![7; 32])),
        ("hash", Sql::Blob(vec![7; 32])),
    ];
    let conn = log.unguarded();
    conn.execute_batch("PRAGMA foreign_keys = OFF").expect("off");
    for (column, value) in cases {
        let before: Sql = conn
            .query_row(&format!("SELECT {column} FROM audit WHERE id = ?1"), [entry.id], |row| row.get(0))
            .expect("a value");
        let value = match column {
            "org" => {
                conn.query_row("SELECT org FROM audit WHERE org <> ?1", [&before], |row| row.get(0)).expect("another")
            }
            _ => value,
        };
        assert_ne!(before, value, "{column}");
        // A number that is free in the other chain too.
        let free = if column == "org" { ", seq = 99" } else { "" };
        let change = format!("UPDATE audit SET {column} = ?1{free} WHERE id = ?2");
        conn.execute(&change, params![value, entry.id]).expect(column);
        for verdict in [log.verdict(&[]), log.file_verdict(&[])] {
            let error = verdict.expect_err(column);
            assert!(error.contains("The audit log is broken") && error.contains("entry "), "{column}: {error}");
        }
        let back = format!("UPDATE audit SET {column} = ?1, seq = 6 WHERE id = ?2");
        conn.execute(&back, params![before, entry.id]).expect("put back");
        assert!(log.verdict(&[]).is_ok(), "{column} was not put back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_entry_is_detected_and_located() {
    let log = Log::new().await;
    let entry = log.entry(6).await;
    log.unguarded().execute("DELETE FROM audit WHERE id = ?1", [entry.id]).expect("deleted");
    let next = log.entry(7).await;
    for verdict in [log.verdict(&[]), log.file_verdict(&[])] {
        let error = verdict.expect_err("a gap");
        let place = format!("entry {} (number 7 of {}): number 6 was expected here", next.id, log.owner.org);
        assert!(error.contains(&place), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_entries_are_detected() {
    let log = Log::new().await;
    let (one, two) = (log.entry(6).await, log.entry(7).await);
    let conn = log.unguarded();
    for (id, to) in [(one.id, -1), (two.id, one.id), (-1, two.id)] {
        conn.execute("UPDATE audit SET id = ?1 WHERE id = ?2", [to, id]).expect("moved");
    }
    assert!(log.verdict(&[]).is_err() && log.file_verdict(&[]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_log_is_detected_only_with_its_heads() {
    let log = Log::new().await;
    let known = heads(&log.path);
    let last = log.entry(12).await;
    let conn = log.unguarded();
    conn.execute("DELETE FROM audit WHERE id = ?1", [last.id]).expect("deleted");
    assert!(log.verdict(&[]).is_ok(), "the rest is a valid chain");
    for verdict in [log.verdict(&known), log.file_verdict(&known)] {
        let error = verdict.expect_err("a cut tail");
        assert!(
            error.contains(&format!("the chain of {} ends at 11, before the given head 12", log.owner.org)),
            "{error}"
        );
    }
    conn.execute("DELETE FROM audit WHERE org IS NOT NULL", []).expect("deleted");
    assert!(log.verdict(&known).expect_err("no chain").contains("ends at 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_chain_is_detected_only_with_its_heads() {
    let log = Log::new().await;
    let known = heads(&log.path);
    let conn = log.unguarded();
    let mut prev = chain::START;
    for mut entry in entries(&log.path).await.into_iter().filter(|entry| entry.org == log.owner.org) {
        if entry.seq == 6 {
            entry.address = Some("192.0.2.1".to_owned());
        }
        let hash = chain::hash_entry(&prev, &entry);
        let sql = "UPDATE audit SET address = ?1, prev_hash = ?2, hash = ?3 WHERE id = ?4";
        conn.execute(sql, params![entry.address, prev, hash, entry.id]).expect("written");
        prev = hash;
    }
    assert_eq!(log.entry(6).await.address.as_deref(), Some("192.0.2.1"));
    assert!(log.verdict(&[]).is_ok(), "it is a valid chain");
    for verdict in [log.verdict(&known), log.file_verdict(&known)] {
        let error = verdict.expect_err("written anew");
        assert!(error.contains(&format!("(number 12 of {})", log.owner.org)) && error.contains("rewritten"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_export_is_detected() {
    let log = Log::new().await;
    let mut lines = Vec::new();
    audit::export(&log.path, &mut lines).expect("an export");
    let text = String::from_utf8(lines).expect("text");
    let verdict = |text: &str| audit::verify_file(text.as_bytes(), &[]).map(|verified| verified.entries);
    assert!(verdict(&text).is_ok());
    let moved = text.replacen("127.0.0.1", "192.0.2.1", 1);
    assert!(verdict(&moved).expect_err("changed").message.contains("its contents were changed"));
    let extra = text.replacen("{\"id\"", "{\"note\":1,\"id\"", 1);
    assert!(verdict(&extra).expect_err("a field more").message.contains("line 1 is not an exported entry"));
    let half = &text[..text.len() - 10];
    assert!(verdict(half).expect_err("cut").message.contains("is not an exported entry"));
    let shuffled: Vec<&str> = text.lines().rev().collect();
    assert!(verdict(&shuffled.join("\n")).is_err());
}

/// An export in which each entry of a chain follows the one before it, whatever it contains.
pub fn rehashed(mut entries: Vec<Entry>, org: &str) -> Vec<u8> {
    let mut prev = None;
    for entry in entries.iter_mut().filter(|entry| entry.org == org) {
        let before = prev.unwrap_or_else(|| chain::unhex(&entry.prev_hash).expect("a hash"));
        let hash = chain::hash_entry(&before, entry);
        (entry.prev_hash, entry.hash) = (chain::hex(&before), chain::hex(&hash));
        prev = Some(hash);
    }
    entries.iter().map(|entry| serde_json::to_string(entry).expect("JSON") + "\n").collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_entries_of_an_export_have_the_same_id() {
    let log = Log::new().await;
    let verdict = |entries| audit::verify_file(rehashed(entries, &log.owner.org).as_slice(), &[]);
    let entries = entries(&log.path).await;
    assert!(verdict(entries.clone()).is_ok());
    // The number of the entry before it, which is in another chain.
    let place = entries.iter().position(|entry| entry.org == log.owner.org && entry.seq == 6).expect("an entry");
    assert_ne!(entries[place - 1].org, log.owner.org);
    for before in [0, 1] {
        let mut entries = entries.clone();
        entries[place].id = entries[place - 1].id - before;
        let error = verdict(entries).expect_err("not in order").message;
        assert!(error.contains("it is out of order"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_rejects_changes_to_and_deletions_of_entries() {
    let log = Log::new().await;
    let conn = Connection::open(&log.path).expect("the file");
    conn.execute_batch("PRAGMA recursive_triggers = ON; PRAGMA foreign_keys = ON")
        .expect("as every connection of the server");
    let before = entries(&log.path).await;
    for sql in [
        "UPDATE audit SET detail = NULL WHERE id = 3",
        "UPDATE audit SET id = 1000 WHERE id = 3",
        "DELETE FROM audit WHERE id = 3",
        "DELETE FROM audit",
        "REPLACE INTO audit SELECT * FROM audit WHERE id = 3",
        "INSERT OR REPLACE INTO audit SELECT id + 1000, org, seq, at, actor_kind, actor_id, actor_name, action, context,
             context_id, project, change, outcome, address, request_id, detail, prev_hash, hash FROM audit WHERE id = 3",
        "INSERT INTO audit SELECT * FROM audit WHERE id = 3 ON CONFLICT DO UPDATE SET detail = NULL",
    ] {
        let error = conn.execute(sql, []).expect_err(sql).to_string();
        assert_eq!(error, "the audit log is append-only", "{sql}");
    }
    assert_eq!(entries(&log.path).await, before);
}

/// Entries whose hashes were computed by another program, as docs/audit-log.md describes the chain.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    /// A whole log: every action, every kind of actor, and texts and numbers that are easily encoded wrongly.
    entries: Vec<Entry>,
    /// Entries after the same hash, which differ only in where a text ends or in what is null.
    alike: Vec<Entry>,
}

impl Vectors {
    fn read() -> Self {
        serde_json::from_str(include_str!("../fixtures/audit-chain.json")).expect("JSON")
    }
}

/// The same entry as the server holds it before it is appended.
fn draft(entry: &Entry) -> Draft {
    let fixed = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let number = |number: Option<i64>| number.map(|number| u8::try_from(number).expect("a small number"));
    Draft {
        org: None,
        at: entry.at,
        actor: Actor { kind: fixed(&entry.actor_kind), id: entry.actor_id.clone(), name: entry.actor_name.clone() },
        action: fixed(&entry.action),
        context: number(entry.context),
        context_id: entry.context_id.clone(),
        project: entry.project.clone(),
        change: number(entry.change),
        outcome: fixed(&entry.outcome),
        address: entry.address.clone(),
        request_id: entry.request_id.clone(),
        detail: entry.detail.clone(),
    }
}

#[test]
fn each_hash_is_that_of_the_documented_encoding() {
    let Vectors { entries, alike } = Vectors::read();
    for entry in entries.iter().chain(&alike) {
        let prev = chain::unhex(&entry.prev_hash).expect("a hash");
        assert_eq!(chain::hex(&chain::hash_entry(&prev, entry)), entry.hash, "{entry:?}");
        let drafted = chain::hash_draft(&prev, entry.id, &entry.org, entry.seq, &draft(entry));
        assert_eq!(chain::hex(&drafted), entry.hash, "when it is appended: {entry:?}");
    }
    let hashes: BTreeSet<&str> = alike.iter().map(|entry| entry.hash.as_str()).collect();
    assert_eq!(hashes.len(), alike.len());
    assert!(alike.iter().all(|entry| entry.prev_hash == alike[0].prev_hash));
}

#[test]
fn the_log_of_the_vectors_verifies_and_has_every_documented_action() {
    let Vectors { entries, .. } = Vectors::read();
    let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).expect("JSON")).collect();
    let verified = audit::verify_file(lines.join("\n").as_bytes(), &[]).map_err(|error| error.message).expect("intact");
    assert_eq!((verified.entries, verified.chains), (entries.len() as u64, 3));
    let page = include_str!("../../docs/audit-log.md").split_once("\n## Actions\n").expect("a section").1;
    let documented: BTreeSet<&str> = page.split('`').filter(|word| is_action(word)).collect();
    let actions: BTreeSet<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, documented);
    for (what, values) in [
        (
            "user, api_key, node and system",
            entries.iter().map(|entry| entry.actor_kind.as_str()).collect::<BTreeSet<_>>(),
        ),
        ("done and refused", entries.iter().map(|entry| entry.outcome.as_str()).collect()),
    ] {
        assert_eq!(values.len(), what.split([',', ' ']).filter(|word| !["", "and"].contains(word)).count(), "{what}");
    }
}

/// Whether a word is the name of an action, such as `org_key.create`.
fn is_action(word: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    word.split_once('.').is_some_and(|(noun, verb)| is_name(noun) && is_name(verb))
}
