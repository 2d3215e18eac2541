//! Changes an API key: all editable properties at once, against the limits that newly apply to it.

use super::super::project::own_only;
use super::{Place, already_rotated, changeable, find, join, known, limit_reached, no_such_key};
use crate::domain::api_key::{ApiKey, ApiKeySettings, MOST_PER_PROJECT, Window, check_end};
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, ProjectId};
use crate::domain::project::MemberRole;
use crate::domain::role::Role;
use crate::engine::access::{self, Grant};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::error::Error;
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::store::api_key::Limit;
use crate::store::{self, ReadTx, WriteTx};

/// The new properties of a key; `None` leaves a property unchanged.
#[derive(Clone, Debug)]
pub struct ApiKeyPatch {
    /// The key.
    pub id: Option<ApiKeyId>,
    /// The name of the key.
    pub name: String,
    /// A note about the key.
    pub note: Option<String>,
    /// The role of the key.
    pub role: Role,
    /// When it is valid.
    pub window: Window,
    /// Whether it is disabled.
    pub disabled: Option<bool>,
    /// The projects that it is for; an empty list means the whole organization.
    pub projects: Option<Vec<ProjectId>>,
}

/// Changes a key.
pub fn update(app: &App, caller: &Caller, place: Place, change: ApiKeyPatch) -> Pending<ApiKey> {
    let quota = app.limits.api_keys;
    let (rule, within) = match place {
        Place::Org(org) => (Rule::ManagesApiKeys(org), None),
        Place::Project(project) => (Rule::ManagesProject(project), project),
    };
    app.record(caller, rule, move |tx, grant| {
        let key = changeable(tx, grant, change.id)?;
        if within.is_some_and(|project| !key.standing.projects.contains(&project)) {
            return Err(no_such_key());
        }
        let projects = check(tx, grant, &key, &change)?;
        let ApiKeyPatch { name, note, role, window, disabled, .. } = change;
        let note = note.unwrap_or_else(|| key.note.clone());
        let disabled = disabled.unwrap_or(key.standing.disabled);
        let terms = ApiKeySettings { name, note, role, window, disabled };
        apply(tx, grant, &key, &terms, &projects, quota)?;
        let changed = find(tx, grant, key.standing.id)?;
        let event = Event::ApiKeyUpdated { key: changed.standing.clone() };
        Ok((changed, event))
    })
}

/// Checks that the caller may make this change, before anything is written. Returns the projects of the changed key.
fn check(tx: &ReadTx<'_>, grant: &Grant, key: &ApiKey, change: &ApiKeyPatch) -> Result<Vec<ProjectId>, Error> {
    access::reaches(grant, change.role)?;
    if key.rotated_at.is_some() && change.window != key.terms().window {
        let message = "The API key already has a successor, so its dates cannot be changed";
        return Err(already_rotated(message));
    }
    check_end("expireDate", change.window.end, grant.at)?;
    let Some(projects) = change.projects.clone() else {
        own_role(grant, key, change)?;
        return Ok(key.standing.projects.to_vec());
    };
    known(tx, grant.org, &projects)?;
    own_role(grant, key, change)?;
    if let Some(owner) = own_only(grant)? {
        for project in &projects {
            if store::project::member_role(tx, *project, owner)? != Some(MemberRole::Owner) {
                return Err(not_theirs());
            }
        }
        if projects.is_empty() {
            return Err(not_theirs());
        }
    }
    Ok(projects)
}

/// Checks that a project owner who is not an administrator does not change the role.
fn own_role(grant: &Grant, key: &ApiKey, change: &ApiKeyPatch) -> Result<(), Error> {
    if grant.role < Role::Administrator && change.role != key.standing.role {
        return Err(Error::denied(
            "Insufficient permissions: only OWNER and ADMINISTRATOR roles can change an API key's role",
        ));
    }
    Ok(())
}

/// Writes the change. A key that starts to count against a limit needs room within that limit.
fn apply(
    tx: &WriteTx<'_>,
    grant: &Grant,
    key: &ApiKey,
    terms: &ApiKeySettings,
    projects: &[ProjectId],
    quota: u32,
) -> Result<(), Error> {
    let id = key.standing.id;
    let counted = key.is_live(grant.at);
    let counts = key.rotated_at.is_none() && terms.window.end.is_none_or(|end| grant.at < end);
    let limit = |most| Limit { most, at: grant.at };
    if !store::api_key::update(tx, id, terms, (counts && !counted).then_some(limit(quota)))? {
        return Err(limit_reached("", quota));
    }
    let room = counts.then_some(limit(MOST_PER_PROJECT));
    let stays = |project: &ProjectId| counted && projects.contains(project);
    for project in key.standing.projects.iter().filter(|project| !stays(project)) {
        store::api_key::leave(tx, id, *project)?;
    }
    let there = |project: &ProjectId| counted && key.standing.projects.contains(project);
    projects.iter().filter(|project| !there(project)).try_for_each(|project| join(tx, id, *project, room))
}

fn not_theirs() -> Error {
    Error::denied("Insufficient permissions: you can only assign API keys to projects that you own")
}
