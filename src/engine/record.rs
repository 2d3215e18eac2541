//! Records an action in the transaction that makes it: its event (which is also sent to webhooks) or its denial, and
//! the use of the caller's token.

use std::time::Duration;

use super::access::{self, Denial, Grant};
use super::caller::{Caller, Identity};
use super::environment::Environment;
use super::error::{Error, ErrorKind};
use super::outbox;
use super::rule::Rule;
use crate::domain::audit::Draft;
use crate::domain::event::{Change, Context, Event};
use crate::domain::id::OrgId;
use crate::domain::session::web_end;
use crate::domain::time::Time;
use crate::store::token::TokenStatus;
use crate::store::{self, Rejection, StoreError, WriteTx};

/// The minimum time between two writes of a token's last use.
const LAST_USE_STEP: Duration = Duration::from_mins(1);

/// Returns what the writer runs for a recorded change: decide, work, append. A denial commits too, to record it.
pub(super) fn recorded<T, E: IntoIterator<Item = Event>>(
    caller: Caller,
    env: Environment,
    rule: Rule,
    work: impl FnOnce(&WriteTx<'_>, &Grant) -> Result<(T, E), Error> + Send + 'static,
) -> impl FnOnce(&WriteTx<'_>) -> Result<T, Rejection<Error>> + Send + 'static {
    move |tx| {
        let now = env.now();
        let grant = match access::decide(tx, &caller, &rule, now) {
            Ok(grant) => grant,
            Err(denial) => return Err(Rejection::Recorded(refuse(tx, &env, &caller, &rule, denial, now)?)),
        };
        let before = tx.changes();
        let (value, events) = match work(tx, &grant) {
            Ok(done) => done,
            // A denial by `work` is recorded like any other if there is nothing to undo, but not from the disk reserve,
            // which a caller could use up that way. What asks for the password is returned all the same: without it,
            // nothing could be deleted.
            Err(error) if error.kind == ErrorKind::Denied && tx.changes() == before => {
                match (tx.in_reserve(), error.code) {
                    (true, access::CONFIRMATION_REQUIRED) => return Err(error.into()),
                    (true, _) => return Err(StoreError::Full.into()),
                    (false, _) => {}
                }
                let denial = Denial::Forbidden(grant.org, Box::new(error));
                return Err(Rejection::Recorded(refuse(tx, &env, &caller, &rule, denial, now)?));
            }
            Err(error) => return Err(error.into()),
        };
        remember_use(tx, &grant)?;
        append_all(tx, &env, &caller, Some(grant.org), events, now)?;
        Ok(value)
    }
}

/// Records the denial of a known caller. Returns the error for the caller.
pub(super) fn refuse(
    tx: &WriteTx<'_>,
    env: &Environment,
    caller: &Caller,
    rule: &Rule,
    denial: Denial,
    now: Time,
) -> Result<Error, Error> {
    match denial {
        Denial::NoCaller(error) | Denial::Missing(error) => Ok(*error),
        Denial::Forbidden(org, error) => {
            append(tx, env, caller, Some(org), &Event::AccessDenied { org, rule: rule.name() }, now)?;
            Ok(*error)
        }
    }
}

/// Stores when a token was last used. A web session ends later for it.
pub(super) fn remember_use(tx: &WriteTx<'_>, grant: &Grant) -> Result<(), StoreError> {
    let Some(TokenStatus { token, password_at, .. }) = &grant.token else { return Ok(()) };
    if token.last_used.is_some_and(|last| grant.at < last.plus(LAST_USE_STEP)) {
        return Ok(());
    }
    store::token::touch(tx, token.id, grant.at)?;
    match password_at {
        Some(_) => store::web_session::extend(tx, token.id, web_end(token.created_at, grant.at)),
        None => Ok(()),
    }
}

/// Adds events to a chain, each as [`append`] does; gives the id of the last entry, 0 without any.
pub(super) fn append_all(
    tx: &WriteTx<'_>,
    env: &Environment,
    caller: &Caller,
    org: Option<OrgId>,
    events: impl IntoIterator<Item = Event>,
    now: Time,
) -> Result<i64, Error> {
    let mut id = 0;
    for event in events {
        id = append(tx, env, caller, org, &event, now)?;
    }
    Ok(id)
}

/// Appends an event to its chain and creates its webhook deliveries. Returns the id of its entry.
pub(super) fn append(
    tx: &WriteTx<'_>,
    env: &Environment,
    caller: &Caller,
    org: Option<OrgId>,
    event: &Event,
    now: Time,
) -> Result<i64, Error> {
    let audit_record = event.audit_record();
    let server = Caller::system();
    let caller = if event.is_of_server() { &server } else { caller };
    let mut actor = caller.actor(audit_record.context_id.as_deref());
    if let Identity::ApiKey { key, .. } = caller.identity {
        actor.name = store::api_key::name(tx, key)?;
    }
    let draft = Draft {
        org,
        at: now.millis(),
        actor,
        action: audit_record.action,
        context: audit_record.context.map(Context::number),
        project: audit_record.project.map(|project| project.to_string()),
        change: audit_record.change.map(Change::number),
        outcome: audit_record.outcome(),
        address: caller.origin.address.map(|address| address.to_string()),
        request_id: caller.origin.request_id.clone(),
        detail: audit_record.detail.map(|detail| detail.to_string()),
        context_id: audit_record.context_id,
    };
    let id = store::audit::append(tx, &draft)?;
    // Events that are not visible to clients are not sent to webhooks.
    if let (Some(org), Some(context), Some(change)) = (org, draft.context, draft.change) {
        let sent = outbox::Sent { id, org, context, change, at: now };
        for event in outbox::post(tx, env, event.audience(), &sent)? {
            // Each of these events has disabled a webhook, so the recursion ends.
            append(tx, env, &Caller::system(), Some(org), &event, now)?;
        }
    }
    Ok(id)
}
