//! What goes into the log with a thing that is done? Its event, which webhooks get too, or the denial, and that the caller's token was used.

use std::time::Duration;

use super::super::access::{Denial, Grant, Rule};
use super::super::caller::{Caller, Identity};
use super::super::delivery;
use super::super::error::Error;
use super::super::outside::Outside;
use crate::domain::audit::Draft;
use crate::domain::event::{Change, Context, Event};
use crate::domain::id::OrgId;
use crate::domain::time::Time;
use crate::store::{self, StoreError, WriteTx};

/// A token's last use is written once a minute, not at every call.
const LAST_USE_STEP: Duration = Duration::from_mins(1);

/// Records a denial of a known caller, and gives the error to answer.
pub(super) fn refuse(
    tx: &WriteTx<'_>,
    outside: &Outside,
    caller: &Caller,
    rule: &Rule,
    denial: Denial,
    now: Time,
) -> Result<Error, Error> {
    match denial {
        Denial::NoCaller(error) | Denial::Missing(error) => Ok(*error),
        Denial::Forbidden(org, error) => {
            append(tx, outside, caller, Some(org), &Event::AccessDenied { org, rule: rule.name() }, now)?;
            Ok(*error)
        }
    }
}

/// Remembers when a token was last used.
pub(super) fn remember_use(tx: &WriteTx<'_>, caller: &Caller, grant: &Grant) -> Result<(), StoreError> {
    match caller.identity {
        Identity::User { token, .. } if grant.token_used.is_none_or(|last| last.plus(LAST_USE_STEP) <= grant.at) => {
            store::token::touch(tx, token, grant.at)
        }
        Identity::User { .. } | Identity::Proven { .. } | Identity::ApiKey { .. } => Ok(()),
        Identity::Node { .. } | Identity::System => Ok(()),
    }
}

/// Adds an event to its chain, and puts it on its way to the webhooks that ask for it; gives the id of its entry.
pub(super) fn append(
    tx: &WriteTx<'_>,
    outside: &Outside,
    caller: &Caller,
    org: Option<OrgId>,
    event: &Event,
    now: Time,
) -> Result<i64, Error> {
    let facts = event.facts();
    let mut actor = caller.actor(facts.context_id.as_deref());
    if let Identity::ApiKey { key, .. } = caller.identity {
        actor.name = store::api_key::name(tx, key)?;
    }
    let draft = Draft {
        org,
        at: now.millis(),
        actor,
        action: facts.action,
        context: facts.context.map(Context::number),
        project: facts.project.map(|project| project.to_string()),
        change: facts.change.map(Change::number),
        outcome: facts.outcome(),
        address: caller.origin.address.map(|address| address.to_string()),
        request_id: caller.origin.request_id.clone(),
        detail: facts.detail.map(|detail| detail.to_string()),
        context_id: facts.context_id,
    };
    let id = store::audit::append(tx, &draft)?;
    // What clients are not shown is not sent out.
    if let (Some(org), Some(context), Some(change)) = (org, draft.context, draft.change) {
        let sent = delivery::Sent { id, org, context, change, at: now };
        delivery::post(tx, outside, event.audience(), &sent)?;
    }
    Ok(id)
}
