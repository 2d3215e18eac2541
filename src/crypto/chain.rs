//! The SHA-256 hash chain that makes the audit log tamper-evident. Each entry's hash covers the hash before it.

use sha2::{Digest, Sha256};

use crate::domain::audit::{Draft, Entry};

/// A SHA-256 hash.
pub type ChainHash = [u8; 32];

/// The previous hash of the first entry of a chain.
pub const START: ChainHash = [0; 32];

/// Prefixed to the hashed bytes, so that a later format cannot be mistaken for this one.
const VERSION: &[u8] = b"orgkeys audit v1";

/// One column of an entry, framed so that no two column lists encode to the same bytes.
enum Column<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
}

/// Returns the hash of a draft with id `id` in the log and place `seq` in the chain of `org`, following hash `prev`.
#[must_use]
pub fn hash_draft(prev: &ChainHash, id: i64, org: &str, seq: i64, draft: &Draft) -> ChainHash {
    let columns = [
        Column::Integer(id),
        Column::Text(org),
        Column::Integer(seq),
        Column::Integer(draft.at),
        Column::Text(draft.actor.kind),
        Column::Text(&draft.actor.id),
        text(draft.actor.name.as_deref()),
        Column::Text(draft.action),
        integer(draft.context.map(i64::from)),
        text(draft.context_id.as_deref()),
        text(draft.project.as_deref()),
        integer(draft.change.map(i64::from)),
        Column::Text(draft.outcome),
        text(draft.address.as_deref()),
        text(draft.request_id.as_deref()),
        text(draft.detail.as_deref()),
    ];
    hash(prev, &columns)
}

/// Returns the hash that `entry` must have if `prev` is the hash before it.
#[must_use]
pub fn hash_entry(prev: &ChainHash, entry: &Entry) -> ChainHash {
    let columns = [
        Column::Integer(entry.id),
        Column::Text(&entry.org),
        Column::Integer(entry.seq),
        Column::Integer(entry.at),
        Column::Text(&entry.actor_kind),
        Column::Text(&entry.actor_id),
        text(entry.actor_name.as_deref()),
        Column::Text(&entry.action),
        integer(entry.context),
        text(entry.context_id.as_deref()),
        text(entry.project.as_deref()),
        integer(entry.change),
        Column::Text(&entry.outcome),
        text(entry.address.as_deref()),
        text(entry.request_id.as_deref()),
        text(entry.detail.as_deref()),
    ];
    hash(prev, &columns)
}

/// Encodes bytes as lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Decodes a hash that [`hex`] encoded; `None` for anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<ChainHash> {
    let mut hash = START;
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (hex(&hash) == text).then_some(hash)
}

fn hash(prev: &ChainHash, columns: &[Column<'_>]) -> ChainHash {
    let mut frames = Vec::with_capacity(512);
    for column in columns {
        match column {
            Column::Null => frames.push(b'n'),
            Column::Integer(number) => {
                frames.push(b'i');
                frames.extend_from_slice(&number.to_be_bytes());
            }
            Column::Text(text) => {
                frames.push(b't');
                frames.extend_from_slice(&(text.len() as u64).to_be_bytes());
                frames.extend_from_slice(text.as_bytes());
            }
        }
    }
    Sha256::new().chain_update(VERSION).chain_update(prev).chain_update(&frames).finalize().into()
}

fn text(value: Option<&str>) -> Column<'_> {
    value.map_or(Column::Null, Column::Text)
}

fn integer(value: Option<i64>) -> Column<'static> {
    value.map_or(Column::Null, Column::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_only_as_it_is_printed() {
        let hash = [0xab; 32];
        let text = hex(&hash);
        assert_eq!(unhex(&text), Some(hash));
        let (short, long) = (&text[..62], format!("{text}ab"));
        for other in ["", short, &text[..63], &long, &text.to_uppercase(), &text.replacen("ab", "+b", 1)] {
            assert_eq!(unhex(other), None, "{other}");
        }
    }
}
