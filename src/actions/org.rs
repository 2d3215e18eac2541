//! Organizations: members see their organization, and administrators change its profile.

use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::org::Org;
use crate::engine::access::Grant;
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::Error;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::{self, ReadTx};

/// Returns an organization to its members.
pub fn get(app: &App, caller: &Caller, org: Option<OrgId>) -> Pending<Org> {
    app.read(caller, &Rule::SeesOrg(org), |tx, grant| Ok((own(tx, grant)?, Event::OrgRead { org: grant.org })))
}

/// Changes the profile of an organization; `change` maps the old profile to the new one.
pub fn update(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    change: impl FnOnce(Org) -> Org + Send + 'static,
) -> Pending<Org> {
    app.record(caller, Rule::ManagesOrg(org), move |tx, grant| {
        let before = own(tx, grant)?;
        let id = before.id;
        let after = Org { id, ..change(before) };
        store::org::update(tx, &after)?;
        Ok((after, Event::OrgUpdated { org: id }))
    })
}

fn own(tx: &ReadTx<'_>, grant: &Grant) -> Result<Org, Error> {
    store::org::find(tx, grant.org)?.ok_or_else(|| Error::internal("a member without an organization"))
}
