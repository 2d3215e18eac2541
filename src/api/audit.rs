//! How does a machine ask for the audit log over HTTP?

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Group;
use super::http::auth::Auth;
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::scan_limit::ScanLimit;
use crate::actions::audit::page;
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::domain::id::OrgId;
use crate::engine::app::App;
use crate::engine::error::Error;

/// The operations on the audit log.
pub struct AuditApi {
    app: Arc<App>,
    /// Held while a page is read: long pages must not keep the readers from everybody else.
    scan_limit: ScanLimit,
}

/// The number of entries without `limit`.
const LIMIT: u32 = 100;

/// An entry of the audit log, as `orgkeys audit export` prints it.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct AuditEntry {
    /// The place in the whole log; other organizations' entries lie between.
    id: i64,
    /// The organization's id.
    org: String,
    /// The place in the organization's chain, from 1 without a gap.
    seq: i64,
    /// When: milliseconds since 1970.
    at: i64,
    /// `user`, `api_key`, `node` or `system`.
    actor_kind: String,
    /// The id of who did it.
    actor_id: String,
    /// The API key's name, the node's address, or `orgkeys`; null for people, who are looked up.
    #[oai(nullable)]
    actor_name: Option<String>,
    /// What was done: a noun and a verb.
    action: String,
    /// The number of what it is about, as in system events.
    context: i64,
    /// The id of what it is about.
    context_id: String,
    /// The id of the project that it happened in.
    #[oai(nullable)]
    project: Option<String>,
    /// 0 created, 1 updated, 2 deleted; null for reads and refusals.
    #[oai(nullable)]
    change: Option<i64>,
    /// `done` or `refused`.
    outcome: String,
    /// The client's address.
    #[oai(nullable)]
    address: Option<String>,
    /// The id of the request.
    #[oai(nullable)]
    request_id: Option<String>,
    /// More: a JSON object in a string.
    #[oai(nullable)]
    detail: Option<String>,
    /// The hash of the entry before it, in hexadecimal; 64 zeros for the first.
    prev_hash: String,
    /// The hash of this entry: SHA-256 over the one before it and every other field.
    hash: String,
}

/// A page of the audit log.
#[derive(Object)]
struct AuditPage {
    /// Always true.
    success: bool,
    /// What was done.
    message: String,
    /// The entries, by `seq`.
    data: Vec<AuditEntry>,
    /// What to ask with as `after` next.
    next: i64,
    /// The `seq` of the last entry of all. Less than `after`: the server was restored from an older backup.
    last: i64,
    /// The `seq` of the last entry that retention removed, 0 if none was. Those up to it cannot be read any more.
    removed: i64,
}

/// Where the audit log ends: to be kept elsewhere, one a line, for `orgkeys audit verify --head`.
#[derive(Object)]
struct AuditHead {
    /// The organization's id.
    org: String,
    /// The place of the last entry.
    seq: i64,
    /// Its hash, in hexadecimal.
    hash: String,
}

type PageFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type HeadFail = ApiError<{ status::FORBIDDEN }>;

#[OpenApi(tag = "Group::Audit")]
impl AuditApi {
    /// Read the audit log
    ///
    /// Everything that is recorded of the organization, reads and refusals included, oldest first and with the hashes:
    /// what `orgkeys audit export` prints, so a file of all pages' entries, one a line, passes
    /// `orgkeys audit verify --file`. Ask again with `after` set to `next`.
    ///
    /// Reading is recorded as `audit.read`, so a page ends with, or is followed by, the entry of the reading before. A
    /// reading that shows nothing but readings leaves no entry of its own for up to an hour: it is counted, and the
    /// reader's next entry says how many there were (`quietReads`), or an `audit.polled` when the server stops. Needs
    /// ADMINISTRATOR, and no API key may.
    #[oai(path = "/organization/:orgId/audit", method = "get", operation_id = "listAuditEntries")]
    async fn list(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Entries after this `seq`; 0 if left out: from the beginning.
        #[oai(validator(minimum(value = "0")))]
        after: Query<Option<i64>>,
        /// How many to give: 1 to 1000, 100 if left out.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<AuditPage>, PageFail> {
        let (org, after, limit) = (OrgId::parse(&org), after.0.unwrap_or(0), limit.0.unwrap_or(LIMIT));
        let permit = self.scan_limit.begin(auth.0.org()).await?;
        let page = act(&self.app, move |app| {
            let read = page::list(app, &auth.0, org, after, limit);
            drop(permit);
            read
        })
        .await?;
        Ok(Json(AuditPage {
            success: true,
            message: "Audit entries retrieved successfully".to_owned(),
            data: page.entries.into_iter().map(shown).collect::<Result<_, _>>()?,
            next: page.next,
            last: page.last,
            removed: page.removed,
        }))
    }

    /// Get the head of the audit log
    ///
    /// The last entry's place and hash, as `orgkeys audit head --json` prints them, and without an envelope, so that
    /// answers can be kept one a line. `orgkeys audit verify --head` then shows whether the log was cut or written anew
    /// since. Being asked is recorded after that, as reading is. Needs ADMINISTRATOR, and no API key may.
    #[oai(path = "/organization/:orgId/audit/head", method = "get", operation_id = "getAuditHead")]
    async fn head(
        &self,
        auth: Auth,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<AuditHead>, HeadFail> {
        let org = OrgId::parse(&org);
        let Head { org, seq, hash } = act(&self.app, move |app| page::head(app, &auth.0, org)).await?;
        Ok(Json(AuditHead { org, seq, hash }))
    }
}

impl AuditApi {
    /// The operations, over an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}

/// Only entries of the server's own chain may be about nothing that has a context, and no organization sees those.
fn shown(entry: Entry) -> Result<AuditEntry, Error> {
    let Entry { id, org, seq, at, actor_kind, actor_id, actor_name, action, context, context_id, .. } = entry;
    let Entry { project, change, outcome, address, request_id, detail, prev_hash, hash, .. } = entry;
    let about_nothing = || Error::internal(format!("entry {id} of an organization is about nothing"));
    Ok(AuditEntry {
        id,
        org,
        seq,
        at,
        actor_kind,
        actor_id,
        actor_name,
        action,
        context: context.ok_or_else(about_nothing)?,
        context_id: context_id.ok_or_else(about_nothing)?,
        project,
        change,
        outcome,
        address,
        request_id,
        detail,
        prev_hash,
        hash,
    })
}
