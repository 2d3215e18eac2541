//! Operations on the complete audit log, for machines.

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
    /// Limits concurrent reads, so that long pages do not occupy all database readers.
    scan_limit: ScanLimit,
}

/// Page size if `limit` is left out.
const LIMIT: u32 = 100;

/// An entry of the audit log, with the same fields as a line of `orgkeys audit export`.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct AuditEntry {
    /// Number of the entry in the log of the whole server. Within an organization the numbers have gaps, because other
    /// organizations' entries have the numbers in between.
    id: i64,
    /// Id of the organization.
    org: String,
    /// Position in the organization's chain, from 1 without gaps.
    seq: i64,
    /// Time of the action, in Unix milliseconds.
    at: i64,
    /// Kind of actor: `user`, `api_key`, `node` or `system`.
    actor_kind: String,
    /// Id of the actor.
    actor_id: String,
    /// Name of an API key, address of a node, or `orgkeys` for the system. Null for users: look them up by id.
    #[oai(nullable)]
    actor_name: Option<String>,
    /// Action as a noun and a verb, such as `org_key.create`.
    action: String,
    /// Kind of resource as a number, as in system events.
    context: i64,
    /// Id of the resource that the entry is about.
    context_id: String,
    /// Id of the project that the entry belongs to. Null if it belongs to none.
    #[oai(nullable)]
    project: Option<String>,
    /// Kind of change: 0 created, 1 updated, 2 deleted. Null if the entry is not shown as a system event.
    #[oai(nullable)]
    change: Option<i64>,
    /// Outcome: `done` or `refused`.
    outcome: String,
    /// Client address. Null if there was none.
    #[oai(nullable)]
    address: Option<String>,
    /// Id of the request, as in `X-Request-Id` and the server's log. Null if there was none.
    #[oai(nullable)]
    request_id: Option<String>,
    /// Details as a JSON object in a string. Null if there are none.
    #[oai(nullable)]
    detail: Option<String>,
    /// Hash of the previous entry, in hexadecimal. 64 zeros for the first.
    prev_hash: String,
    /// Hash of this entry, in hexadecimal: SHA-256 over the previous hash and all other fields.
    hash: String,
}

/// A page of the audit log.
#[derive(Object)]
struct AuditPage {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The entries, in ascending order of `seq`.
    data: Vec<AuditEntry>,
    /// Value of `after` for the next page.
    next: i64,
    /// `seq` of the chain's last entry.
    last: i64,
    /// `seq` of the last entry that retention removed, or 0. Entries up to this one can no longer be read.
    removed: i64,
}

/// The head of an audit log: its last entry. Store heads on another machine, one per line, for `orgkeys audit verify
/// --head`.
#[derive(Object)]
struct AuditHead {
    /// Id of the organization.
    org: String,
    /// `seq` of the last entry.
    seq: i64,
    /// Hash of the last entry, in hexadecimal.
    hash: String,
}

type PageFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type HeadFail = ApiError<{ status::FORBIDDEN }>;

#[OpenApi(tag = "Group::Audit")]
impl AuditApi {
    /// Read the audit log
    ///
    /// Returns every entry of the organization, including reads and refusals, oldest first and with the hashes that
    /// chain the entries. If you write the entries of all pages to a file, one per line, it equals the output of
    /// `orgkeys audit export`, and `orgkeys audit verify --file` can verify it. To get the next page, set `after` to
    /// `next`. Requires ADMINISTRATOR or OWNER; API keys are not allowed.
    ///
    /// Each read is itself recorded as an `audit.read` entry, which later reads return. Reads that return only entries
    /// of earlier reads are counted instead, for up to an hour. The count is `quietReads` in the reader's next entry,
    /// or in an `audit.polled` entry when the server stops.
    ///
    /// Responses:
    /// - 200: A page of entries. It is empty if `after` is the last entry.
    /// - 400: `limit` is out of range, or `after` is beyond the last entry: the server was restored from an older backup.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId/audit", method = "get", operation_id = "listAuditEntries")]
    async fn list(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Return entries after this `seq`. Default 0: from the beginning.
        #[oai(validator(minimum(value = "0")))]
        after: Query<Option<i64>>,
        /// Maximum number of entries to return: 1 to 1,000. Default 100.
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
    /// Returns the position and hash of the last entry in the format of `orgkeys audit head --json`. The response has
    /// no envelope, so responses can be stored one per line. With a stored head, `orgkeys audit verify --head` detects
    /// whether the log has since been truncated or rewritten. Requires ADMINISTRATOR or OWNER; API keys are not
    /// allowed. Recorded as an `audit.head` entry after the returned head. Repeated reads are counted as in
    /// `listAuditEntries`.
    ///
    /// Responses:
    /// - 200: The last entry's position and hash.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId/audit/head", method = "get", operation_id = "getAuditHead")]
    async fn head(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
    ) -> Result<Json<AuditHead>, HeadFail> {
        let org = OrgId::parse(&org);
        let Head { org, seq, hash } = page::head(&self.app, &auth.0, org).await?;
        Ok(Json(AuditHead { org, seq, hash }))
    }
}

impl AuditApi {
    /// Creates the operations on an app.
    #[must_use]
    pub fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}

/// Converts an entry. Only entries of the server's own chain may lack a context, and no organization sees those.
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
