//! Operations on the complete audit log, for machines.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;

use super::Group;
use super::http::auth::Auth;
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::scan_limit::ScanLimit;
use crate::actions::audit::page;
use crate::domain::api_key::parse_time;
use crate::domain::audit::Entry;
use crate::domain::event::Head;
use crate::domain::id::OrgId;
use crate::domain::text::{self, InvalidField};
use crate::domain::time::Time;
use crate::engine::app::App;
use crate::engine::error::Error;
use crate::store::audit::backwards::AuditFilter;

/// The operations on the audit log.
pub struct AuditApi {
    app: Arc<App>,
    /// Limits concurrent reads, so that long pages do not occupy all database readers.
    scan_limit: ScanLimit,
}

/// Page size if `limit` is left out.
const LIMIT: u32 = 100;

/// An entry of the audit log, with the same fields as a line of `orgkeys audit export`.
#[derive(Object, Serialize)]
#[oai(rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
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
#[derive(Object, Serialize)]
struct AuditPage {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// The entries, in ascending order of `seq`; or with `order` `newest`, the newest first.
    data: Vec<AuditEntry>,
    /// Value of `after` for the next page; or with `order` `newest`, of `before`, and 0 if there are no more entries.
    next: i64,
    /// `seq` of the chain's last entry.
    last: i64,
    /// `seq` of the last entry that retention removed, or 0. Entries up to this one can no longer be read.
    removed: i64,
}

/// The head of an audit log: its last entry. Store heads on another machine, one per line, for `orgkeys audit verify
/// --head`.
#[derive(Object, Serialize)]
struct AuditHead {
    /// Id of the organization.
    org: String,
    /// `seq` of the last entry.
    seq: i64,
    /// Hash of the last entry, in hexadecimal.
    hash: String,
}

/// Which entries come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum AuditOrder {
    /// The oldest, by `seq`.
    Oldest,
    /// The newest, by time.
    Newest,
}

/// Outcome of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// The filters of a request, as sent.
struct Filter {
    action: Option<String>,
    actor_id: Option<String>,
    outcome: Option<AuditOutcome>,
    from: Option<String>,
    to: Option<String>,
}

type PageFail = ApiError<{ status::FORBIDDEN | status::BAD_REQUEST }>;
type HeadFail = ApiError<{ status::FORBIDDEN }>;

#[OpenApi(tag = "Group::Audit")]
impl AuditApi {
    /// Read the audit log
    ///
    /// Returns every entry of the organization, including reads and refusals, with the hashes that chain the entries.
    /// By default, the oldest come first, and to get the next page you set `after` to `next`. If you write the entries
    /// of all pages to a file, one per line, it equals the output of `orgkeys audit export`, and `orgkeys audit verify
    /// --file` can verify it.
    ///
    /// With `order` `newest`, the newest entries come first, by time, and only those that match all filters. To get the
    /// next page, set `before` to `next` until `next` is 0. A call looks at no more than 20,000 entries, so a page can
    /// have fewer entries than `limit`, or none, although more follow.
    ///
    /// Requires ADMINISTRATOR or OWNER; API keys are not allowed.
    ///
    /// Each read is itself recorded as an `audit.read` entry, which later reads return. Reads that return only entries
    /// of earlier reads are counted instead, for up to an hour. The count is `quietReads` in the reader's next entry,
    /// or in an `audit.polled` entry when the server stops.
    ///
    /// Responses:
    /// - 200: A page of entries. It is empty if `after` is the last entry.
    /// - 400: `limit` is out of range, `after` or `before` is beyond the last entry (the server was restored from an older
    ///   backup), a filter is invalid, or a parameter does not belong to this `order`.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId/audit", method = "get", operation_id = "listAuditEntries")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
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
        /// Which entries come first. Default: the oldest. The parameters below require `newest`.
        order: Query<Option<AuditOrder>>,
        /// Return entries that come after the one with this `seq` when the newest are first. Default: from the newest.
        #[oai(validator(minimum(value = "1")))]
        before: Query<Option<i64>>,
        /// Action of the entries, such as `api_key.create`.
        #[oai(validator(max_length = 64, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        action: Query<Option<String>>,
        /// Id of the actor.
        #[oai(name = "actorId", validator(max_length = 300, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        actor_id: Query<Option<String>>,
        /// Outcome of the entries. Default: both.
        outcome: Query<Option<AuditOutcome>>,
        /// Earliest time, inclusive: RFC 3339 with an offset.
        #[oai(validator(max_length = 64))]
        from: Query<Option<String>>,
        /// Latest time, inclusive: RFC 3339 with an offset.
        #[oai(validator(max_length = 64))]
        to: Query<Option<String>>,
    ) -> Result<Json<AuditPage>, PageFail> {
        let (org, limit) = (OrgId::parse(&org), limit.0.unwrap_or(LIMIT));
        let newest = order.0 == Some(AuditOrder::Newest);
        let filter = Filter { action: action.0, actor_id: actor_id.0, outcome: outcome.0, from: from.0, to: to.0 };
        filter.check_order(newest, after.0, before.0)?;
        let filter = filter.parse()?;
        let permit = self.scan_limit.begin(auth.0.org()).await?;
        let page = act(&self.app, move |app| {
            let read = match (newest, after.0) {
                (true, _) => page::list_newest(app, &auth.0, org, &filter, before.0, limit),
                (false, after) => page::list(app, &auth.0, org, after.unwrap_or(0), limit),
            };
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

impl Filter {
    /// Checks that each parameter belongs to the order of the entries.
    fn check_order(&self, newest: bool, after: Option<i64>, before: Option<i64>) -> Result<(), InvalidField> {
        let Self { action, actor_id, outcome, from, to } = self;
        let fields = [
            ("before", before.is_some()),
            ("action", action.is_some()),
            ("actorId", actor_id.is_some()),
            ("outcome", outcome.is_some()),
            ("from", from.is_some()),
            ("to", to.is_some()),
        ];
        match fields.into_iter().find(|(_, given)| *given) {
            Some((field, _)) if !newest => Err(InvalidField::new(field, "requires order=newest")),
            _ if newest && after.is_some() => {
                Err(InvalidField::new("after", "does not go with order=newest: use before"))
            }
            _ => Ok(()),
        }
    }

    fn parse(self) -> Result<AuditFilter, InvalidField> {
        let text = |field, value: Option<String>, most| {
            value.filter(|value| !value.is_empty()).map(|value| text::parse(field, &value, 1..=most)).transpose()
        };
        let time = |field, value: Option<String>, default| {
            value.map_or(Ok(Time::from_millis(default)), |value| parse_time(field, &value))
        };
        Ok(AuditFilter {
            from: time("from", self.from, i64::MIN)?,
            to: time("to", self.to, i64::MAX)?,
            action: text("action", self.action, 64)?,
            actor_id: text("actorId", self.actor_id, 300)?,
            outcome: self.outcome.map(|outcome| match outcome {
                AuditOutcome::Done => "done",
                AuditOutcome::Refused => "refused",
            }),
        })
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
