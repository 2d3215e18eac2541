//! A store to test, and changes to make in it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::crypto::chain;
use crate::domain::audit::{Actor, Draft};
use crate::domain::id::OrgId;
use crate::domain::org::{About, Org};
use crate::domain::time::Time;
use crate::store::{Options, ReadTx, Reply, Room, Store, StoreError, Urgency, WriteTx, audit, org};

/// How long a test waits for something that must happen.
const LONG: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(5);

pub const RESERVE: u64 = 256 * 1024;

type Answer = Reply<OrgId, StoreError>;

pub struct Subject {
    pub store: Store,
    pub options: Options,
    folder: TempDir,
}

/// A subject whose store is closed.
pub struct Closed {
    pub options: Options,
    _folder: TempDir,
}

impl Closed {
    pub fn open(&self) -> Result<Store, StoreError> {
        open_again(&self.options)
    }
}

/// Opens a store that was just closed. A process forked by another test holds its lock until it executes its program.
fn open_again(options: &Options) -> Result<Store, StoreError> {
    let began = Instant::now();
    loop {
        match Store::open(options) {
            Err(StoreError::InUse { .. }) if began.elapsed() < LONG => sleep(PAUSE),
            // The file itself has a lock, too.
            Err(StoreError::Unusable(why)) if why.contains("another") && began.elapsed() < LONG => sleep(PAUSE),
            opened => return opened,
        }
    }
}

impl Subject {
    pub fn new() -> Self {
        Self::within(TempDir::new().expect("a folder"))
    }

    pub fn within(folder: TempDir) -> Self {
        let options = Options { path: folder.path().join("orgkeys.db"), readers: 4, room: Room::new(RESERVE, 0) };
        Self { store: Store::open(&options).expect("a store"), options, folder }
    }

    pub fn closed(self) -> Closed {
        drop(self.store);
        Closed { options: self.options, _folder: self.folder }
    }

    pub fn reopened(self) -> Self {
        let Self { store, options, folder } = self;
        drop(store);
        Self { store: open_again(&options).expect("a store"), options, folder }
    }

    /// Lets the file grow by this many pages before only revocations are accepted.
    pub fn leave_room_for(&self, pages: u64) {
        let used: u32 = self.store.read(|tx| pragma(tx.conn, "page_count")).expect("pages");
        self.options.room.limit.store((u64::from(used) + pages) * 4_096 + RESERVE, Ordering::Relaxed);
    }

    pub fn enqueue(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&WriteTx<'_>) -> Result<OrgId, StoreError> + Send + 'static,
    ) -> Answer {
        self.store.writer.write(urgency, work)
    }

    /// Blocks the writer inside a transaction until the sender is used or dropped, so that everything queued meanwhile
    /// is one batch.
    pub fn hold(&self) -> (Sender<()>, Answer) {
        let ((begun, wait), (release, held)) = (channel(), channel());
        let answer = self.enqueue(Urgency::MayUseReserve, move |_| {
            begun.send(()).expect("somebody waits");
            let _ = held.recv();
            Ok(id(0))
        });
        wait.recv_timeout(LONG).expect("the writer begins");
        (release, answer)
    }

    /// Returns the existing organizations, after checking every chain and each organization's entry.
    pub fn orgs(&self) -> HashSet<OrgId> {
        self.store.read(whole).expect("read")
    }
}

/// Checks every chain, that every row has its entry, and that every entry has its row; returns the rows.
fn whole(tx: &ReadTx<'_>) -> Result<HashSet<OrgId>, StoreError> {
    let (mut ends, mut entered) = (HashMap::<String, (i64, chain::ChainHash)>::new(), HashSet::new());
    for entry in audit::slice(tx, 0, i64::MAX, u32::MAX)? {
        let (seq, prev) = ends.get(&entry.org).copied().unwrap_or((0, chain::START));
        let hash = chain::hash_entry(&prev, &entry);
        let follows = (entry.seq, entry.prev_hash.as_str()) == (seq + 1, chain::hex(&prev).as_str());
        assert!(follows && entry.hash == chain::hex(&hash), "{entry:?}");
        ends.insert(entry.org.clone(), (entry.seq, hash));
        assert!(entered.insert(entry.context_id.expect("an organization")));
    }
    let rows: HashSet<_> = org::list(tx, u32::MAX)?.into_iter().map(|org| org.id).collect();
    assert_eq!(rows.iter().map(ToString::to_string).collect::<HashSet<_>>(), entered);
    Ok(rows)
}

pub fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> Result<T, StoreError> {
    Ok(conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
}

pub fn id(number: u8) -> OrgId {
    OrgId::from_bytes([number; 16])
}

/// A change of a few hundred bytes: a row, and its entry in the chain of `chain`.
pub fn add(tx: &WriteTx<'_>, number: u8, chain: Option<OrgId>, detail: usize) -> Result<OrgId, StoreError> {
    let new =
        Org { id: id(number), name: "acme".to_owned(), created_at: Time::from_millis(0), about: About::default() };
    org::insert(tx, &new)?;
    let draft = Draft {
        org: chain,
        at: 0,
        actor: Actor { kind: "system", id: "system".to_owned(), name: None },
        action: "org.create",
        context: Some(4),
        context_id: Some(id(number).to_string()),
        project: None,
        change: Some(0),
        outcome: "done",
        address: None,
        request_id: None,
        detail: Some(format!("\"{}\"", "x".repeat(detail))),
    };
    audit::append(tx, &draft)?;
    Ok(new.id)
}

/// The same as [`add`], with an entry of a page in the organization's own chain.
pub fn add_large(tx: &WriteTx<'_>, number: u8) -> Result<OrgId, StoreError> {
    add(tx, number, Some(id(number)), 4_096)
}
