//! What is remembered of what was done? Entries that are only ever added, each chained to the one before it.

use rusqlite::{Row, Statement, ToSql, params};

use super::heads::Head;
use super::{ReadTx, StoreError, WriteTx, stream};
use crate::crypto::chain::{self, Hash};
use crate::domain::audit::{Draft, Entry, SERVER};
use crate::domain::event;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

const COLUMNS: &str = "id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project, change, \
    outcome, address, request_id, detail, prev_hash, hash";

/// Adds an entry to its chain and gives its id.
pub fn append(tx: &WriteTx<'_>, draft: &Draft) -> Result<i64, StoreError> {
    let (seq, prev) = match tx.heads.head(draft.org) {
        Some(head) => head,
        None => last(tx, draft.org)?.unwrap_or((0, chain::START)),
    };
    let (id, seq) = (last_id(tx)? + 1, seq + 1);
    let hash = chain::hash_draft(&prev, id, &chain_name(draft.org), seq, draft);
    tx.execute(
        "INSERT INTO audit (id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, project,
             change, outcome, address, request_id, detail, prev_hash, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            id,
            draft.org.as_ref().map(OrgId::as_bytes),
            seq,
            draft.at,
            draft.actor.kind,
            draft.actor.id,
            draft.actor.name,
            draft.action,
            draft.context,
            draft.context_id,
            draft.project,
            draft.change,
            draft.outcome,
            draft.address,
            draft.request_id,
            draft.detail,
            prev,
            hash
        ],
    )?;
    tx.heads.advance(draft.org, (seq, hash), id);
    Ok(id)
}

/// Lets no further entry have an id up to `seen`; what is appended next, in the same transaction, makes it last.
pub fn pass_over(tx: &WriteTx<'_>, seen: i64) -> Result<(), StoreError> {
    tx.heads.pass_over(last_id(tx)?.max(seen));
    Ok(())
}

fn last_id(tx: &WriteTx<'_>) -> Result<i64, StoreError> {
    tx.heads.last_id().map_or_else(|| stream::last_id(tx), Ok)
}

/// What a chain is called: its organization's id, or `server`.
#[must_use]
pub fn chain_name(org: Option<OrgId>) -> String {
    org.map_or_else(|| SERVER.to_owned(), |org| org.to_string())
}

/// The last entry of a chain.
pub(super) fn last(tx: &ReadTx<'_>, org: Option<OrgId>) -> Result<Option<Head>, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match org {
        Some(org) => {
            tx.row("SELECT seq, hash FROM audit WHERE org = ?1 ORDER BY seq DESC LIMIT 1", [org.as_bytes()], read)
        }
        None => tx.row("SELECT seq, hash FROM audit WHERE org IS NULL ORDER BY seq DESC LIMIT 1", [], read),
    }
}

/// The last entry of every chain: the server's first, then the organizations' by id.
pub fn heads(tx: &ReadTx<'_>) -> Result<Vec<event::Head>, StoreError> {
    let mut heads = Vec::new();
    for org in chains(tx)? {
        if let Some((seq, hash)) = last(tx, org)? {
            heads.push(event::Head { org: chain_name(org), seq, hash: chain::hex(&hash) });
        }
    }
    Ok(heads)
}

/// When the last entry of all was made.
pub fn last_at(tx: &ReadTx<'_>) -> Result<Option<Time>, StoreError> {
    tx.row("SELECT at FROM audit ORDER BY id DESC LIMIT 1", [], |row| Ok(Time::from_millis(row.get(0)?)))
}

/// The chains that there are: the server's first, then the organizations' by id.
pub fn chains(tx: &ReadTx<'_>) -> Result<Vec<Option<OrgId>>, StoreError> {
    let orgs = tx.rows("SELECT id FROM org ORDER BY id", [], |row| Ok(Some(OrgId::from_bytes(row.get(0)?))))?;
    Ok(std::iter::once(None).chain(orgs).collect())
}

/// The last entry of an organization's chain.
pub fn head(tx: &ReadTx<'_>, org: OrgId) -> Result<Option<event::Head>, StoreError> {
    let head = last(tx, Some(org))?;
    Ok(head.map(|(seq, hash)| event::Head { org: chain_name(Some(org)), seq, hash: chain::hex(&hash) }))
}

/// The entries of an organization's chain after place `after`, in their order, at most `limit`.
pub fn page(tx: &ReadTx<'_>, org: OrgId, after: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE org = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    tx.rows(&sql, params![org.as_bytes(), after, limit], entry)
}

/// Gives every entry to `take`, in the order of their ids and in constant memory.
pub fn walk<E: From<StoreError>>(tx: &ReadTx<'_>, mut take: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
    let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY id");
    let mut statement = tx.conn.prepare(&sql).map_err(StoreError::from)?;
    let mut rows = statement.query([]).map_err(StoreError::from)?;
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        take(entry(row).map_err(StoreError::from)?)?;
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let org: Option<[u8; 16]> = row.get(1)?;
    let prev: Hash = row.get(16)?;
    let hash: Hash = row.get(17)?;
    Ok(Entry {
        id: row.get(0)?,
        org: chain_name(org.map(OrgId::from_bytes)),
        seq: row.get(2)?,
        at: row.get(3)?,
        actor_kind: row.get(4)?,
        actor_id: row.get(5)?,
        actor_name: row.get(6)?,
        action: row.get(7)?,
        context: row.get(8)?,
        context_id: row.get(9)?,
        project: row.get(10)?,
        change: row.get(11)?,
        outcome: row.get(12)?,
        address: row.get(13)?,
        request_id: row.get(14)?,
        detail: row.get(15)?,
        prev_hash: chain::hex(&prev),
        hash: chain::hex(&hash),
    })
}

/// Which events are asked for.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they are compared with")]
pub struct Filter {
    pub org: OrgId,
    pub from: Time,
    pub to: Time,
    pub actor_id: Option<String>,
    pub context: Option<u8>,
    pub context_id: Option<String>,
    pub project: Option<String>,
    pub change: Option<u8>,
    pub unread_only: bool,
    /// Whose marks count; an API key has none.
    pub reader: Option<UserId>,
    pub skip: u32,
    pub take: u32,
}

/// An event as clients are shown it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the columns that they come from")]
pub struct Shown {
    pub id: i64,
    pub org: OrgId,
    pub at: Time,
    pub actor_id: String,
    pub actor_name: String,
    pub actor_email: String,
    pub context: u8,
    pub context_id: String,
    pub project: Option<String>,
    pub change: u8,
    pub detail: Option<String>,
    pub unread: bool,
}

/// The conditions that a filter needs and no others, so that the index alone can answer them.
fn conditions(filter: &Filter) -> String {
    let mut sql = "FROM audit WHERE org = ?1 AND change IS NOT NULL AND at BETWEEN ?2 AND ?3".to_owned();
    let optional = [
        (filter.actor_id.is_some(), " AND actor_id = ?4"),
        (filter.context.is_some(), " AND context = ?5"),
        (filter.context_id.is_some(), " AND context_id = ?6"),
        (filter.change.is_some(), " AND change = ?7"),
        (filter.project.is_some(), " AND project = ?11"),
        (filter.unread_only, " AND NOT EXISTS (SELECT 1 FROM read_mark WHERE user = ?8 AND event = audit.id)"),
    ];
    sql.extend(optional.into_iter().filter(|(wanted, _)| *wanted).map(|(_, condition)| condition));
    sql
}

/// The events that fit, newest first, and how many fit in all.
pub fn shown(tx: &ReadTx<'_>, filter: &Filter) -> Result<(Vec<Shown>, i64), StoreError> {
    let conditions = conditions(filter);
    let count = format!("SELECT count(*) {conditions}");
    let list = format!(
        "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project,
             NOT EXISTS (SELECT 1 FROM read_mark WHERE user = ?8 AND event = audit.id)
         {conditions} ORDER BY id DESC LIMIT ?9 OFFSET ?10"
    );
    let mut count = tx.conn.prepare_cached(&count)?;
    bind(&mut count, filter)?;
    let total = count.raw_query().next()?.map_or(Ok(0), |row| row.get(0))?;
    let mut list = tx.conn.prepare_cached(&list)?;
    bind(&mut list, filter)?;
    let events = list.raw_query().mapped(|row| shown_event(row, filter.org)).collect::<rusqlite::Result<_>>()?;
    Ok((events, total))
}

/// Binds every parameter that the statement has.
fn bind(statement: &mut Statement<'_>, filter: &Filter) -> Result<(), StoreError> {
    let reader = filter.reader.as_ref().map(UserId::as_bytes);
    let values: [&dyn ToSql; 11] = [
        filter.org.as_bytes(),
        &filter.from.millis(),
        &filter.to.millis(),
        &filter.actor_id,
        &filter.context,
        &filter.context_id,
        &filter.change,
        &reader,
        &filter.take,
        &filter.skip,
        &filter.project,
    ];
    for (index, value) in (1..=statement.parameter_count()).zip(values) {
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

/// Reads an event from the columns that [`shown`] selects, in their order.
pub(super) fn shown_event(row: &Row<'_>, org: OrgId) -> rusqlite::Result<Shown> {
    Ok(Shown {
        id: row.get(0)?,
        org,
        at: Time::from_millis(row.get(1)?),
        actor_id: row.get(2)?,
        actor_name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        actor_email: String::new(),
        context: row.get(4)?,
        context_id: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
        change: row.get(6)?,
        detail: row.get(7)?,
        project: row.get(8)?,
        unread: row.get(9)?,
    })
}

/// An event as it is sent out.
#[derive(Clone, Debug)]
pub struct Chained {
    /// The event.
    pub shown: Shown,
    /// A noun and a verb.
    pub action: String,
    /// The place in the organization's chain.
    pub seq: i64,
    /// The hash of the entry before it.
    pub previous_hash: Hash,
    /// Its own.
    pub hash: Hash,
}

/// The event with this number, with its place in its organization's chain.
pub fn chained(tx: &ReadTx<'_>, id: i64) -> Result<Option<Chained>, StoreError> {
    tx.row(
        "SELECT id, at, actor_id, actor_name, context, context_id, change, detail, project, 0, org, action, seq, prev_hash,
             hash FROM audit WHERE id = ?1 AND org IS NOT NULL AND change IS NOT NULL",
        [id],
        |row| {
            Ok(Chained {
                shown: shown_event(row, OrgId::from_bytes(row.get(10)?))?,
                action: row.get(11)?,
                seq: row.get(12)?,
                previous_hash: row.get(13)?,
                hash: row.get(14)?,
            })
        },
    )
}

/// Marks events of an organization as read, or as not read, by a user; ids of other organizations are passed over.
pub fn mark(tx: &WriteTx<'_>, org: OrgId, user: UserId, ids: &[i64], read: bool) -> Result<usize, StoreError> {
    let sql = if read {
        "INSERT INTO read_mark (user, event)
         SELECT ?1, id FROM audit WHERE id = ?2 AND org = ?3 AND change IS NOT NULL ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM read_mark WHERE user = ?1 AND event = (SELECT id FROM audit WHERE id = ?2 AND org = ?3)"
    };
    ids.iter().try_fold(0, |count, id| Ok(count + tx.execute(sql, params![user.as_bytes(), id, org.as_bytes()])?))
}
