//! Creates, lists, changes, rotates and deletes API keys. A secret is returned once and never stored.

mod change;
pub mod ending;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::iter;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::project::own_only;
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::api_key::{ApiKey, ApiKeySettings, MOST_PER_PROJECT, Verdict, Window, check_end, unknown_project};
use crate::domain::event::Event;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::engine::access::{self, Grant};
use crate::engine::app::App;
use crate::engine::caller::Caller;
use crate::engine::environment::Environment;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::pending::Pending;
use crate::engine::rule::Rule;
use crate::engine::system::System;
use crate::store::api_key::{ApiKeyFilter, Limit, New};
use crate::store::{self, ReadTx, WriteTx};
pub use change::{ApiKeyPatch, update};

/// The number of keys whose last use is written in one transaction.
const USES: usize = 512;

/// The properties of a new key.
#[derive(Clone, Debug)]
pub struct Request {
    /// The name of the key.
    pub name: String,
    /// A note about the key.
    pub note: String,
    /// The role of the key.
    pub role: Role,
    /// The start of its validity; `None` means now.
    pub start: Option<Time>,
    /// The end of its validity; `None` means that it never expires.
    pub end: Option<Time>,
    /// The projects that it is for; empty means the whole organization.
    pub projects: Vec<ProjectId>,
}

/// A page of keys.
#[derive(Clone, Debug)]
pub struct ApiKeyPage {
    /// The keys, newest first.
    pub keys: Vec<ApiKey>,
    /// The name of every project of the organization.
    pub names: HashMap<ProjectId, String>,
    /// The first and last names of the users who created the keys.
    pub creators: HashMap<UserId, String>,
    /// The total number of keys.
    pub total: i64,
}

/// The scope in which keys are listed or changed.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// All keys of an organization.
    Org(Option<OrgId>),
    /// The keys that name a project.
    Project(Option<ProjectId>),
}

/// Returns the keys that the caller may see, newest first.
pub fn list(app: &App, caller: &Caller, place: Place, skip: u32, take: u32) -> Pending<ApiKeyPage> {
    let (rule, project) = match place {
        Place::Org(org) => (Rule::SeesApiKeys(org), None),
        Place::Project(project) => (Rule::SeesApiKeysOf(project), project),
    };
    app.scan(caller, &rule, |tx, grant| {
        let wanted = ApiKeyFilter { org: grant.org, project, owner: own_only(grant)?, skip, take };
        let (keys, total) = store::api_key::list(tx, wanted)?;
        let projects = store::project::list(tx, grant.org, None)?;
        let names = projects.into_iter().map(|project| (project.id, project.name)).collect();
        let event = Event::ApiKeysListed { org: grant.org, project, count: keys.len() };
        let creators = creators(tx, &keys)?;
        Ok((ApiKeyPage { keys, names, creators, total }, event))
    })
}

fn creators(tx: &ReadTx<'_>, keys: &[ApiKey]) -> Result<HashMap<UserId, String>, Error> {
    let mut creators = HashMap::new();
    for id in keys.iter().filter_map(|key| key.created_by) {
        if let Entry::Vacant(place) = creators.entry(id)
            && let Some(user) = store::user::find(tx, id)?
        {
            place.insert(user.full_name());
        }
    }
    Ok(creators)
}

/// Creates a key. Returns it with its secret, which is not stored.
pub fn create(app: &App, caller: &Caller, org: Option<OrgId>, request: Request) -> Pending<(ApiKey, SecretString)> {
    let (env, quota) = (app.env.clone(), app.limits.api_keys);
    app.record(caller, Rule::ManagesApiKeys(org), move |tx, grant| {
        let Request { name, note, role, start, end, projects } = request;
        if grant.role < Role::Administrator {
            return Err(Error::denied(
                "Insufficient permissions: only OWNER and ADMINISTRATOR roles can create API keys",
            ));
        }
        access::reaches(grant, role)?;
        known(tx, grant.org, &projects)?;
        check_end("expireDateTime", end, grant.at)?;
        let window = Window::new(start.unwrap_or(grant.at), end, "expireDateTime")?;
        let terms = ApiKeySettings { name, note, role, window, disabled: false };
        let limit = |most| Some(Limit { most, at: grant.at });
        let secret = Secret::fresh(&env)?;
        let id = insert(tx, grant, &terms, &secret, limit(quota))?;
        for project in &projects {
            join(tx, id, *project, limit(MOST_PER_PROJECT))?;
        }
        let key = find(tx, grant, id)?;
        let created = Event::ApiKeyCreated { key: key.standing.clone() };
        let forgotten = forget_spent(tx, grant, quota)?.unwrap_or_default();
        Ok(((key, secret.text), iter::once(created).chain(forgotten)))
    })
}

/// Creates a successor of a key with the same name, note, role, projects and end. The old key expires after `overlap`.
pub fn rotate(
    app: &App,
    caller: &Caller,
    org: Option<OrgId>,
    id: Option<ApiKeyId>,
    overlap: Duration,
) -> Pending<(ApiKey, SecretString)> {
    let (env, quota) = (app.env.clone(), app.limits.api_keys);
    app.record(caller, Rule::ManagesApiKeys(org), move |tx, grant| {
        let key = changeable(tx, grant, id)?;
        can_rotate(&key, grant.at)?;
        let id = key.standing.id;
        let overlapped = grant.at.plus(overlap);
        let ends = key.standing.expire.map_or(overlapped, |end| end.min(overlapped));
        store::api_key::rotate(tx, id, ends, grant.at)?;
        let forgotten = forget_spent(tx, grant, quota)?;
        let forgotten = forgotten.ok_or_else(|| limit_reached(" that are still valid after their rotation", quota))?;
        let window = Window { start: grant.at, end: key.standing.expire };
        let secret = Secret::fresh(&env)?;
        // The successor replaces the old key, so no limit applies.
        let successor = insert(tx, grant, &ApiKeySettings { window, ..key.terms() }, &secret, None)?;
        let projects = key.standing.projects.into_vec();
        for project in &projects {
            join(tx, successor, *project, None)?;
        }
        let rotated = Event::ApiKeyRotated { key: id, successor, ends, projects };
        let successor = find(tx, grant, successor)?;
        let created = Event::ApiKeyCreated { key: successor.standing.clone() };
        let events = [rotated, created].into_iter().chain(forgotten);
        Ok(((successor, secret.text), events))
    })
}

/// Keys that have a successor or have expired do not count against the limits of keys, so they have a limit of their
/// own: beyond it, the oldest expired keys are deleted. Returns `None` when there are too many and none has expired.
fn forget_spent(tx: &WriteTx<'_>, grant: &Grant, most: u32) -> Result<Option<Vec<Event>>, Error> {
    if store::api_key::count_spent(tx, grant.org, grant.at)? <= most {
        return Ok(Some(Vec::new()));
    }
    let ended = store::api_key::ended(tx, grant.org, grant.at)?;
    let forget = |key: ApiKeyId| {
        let projects = store::api_key::standing(tx, key)?.map(|key| key.projects.into_vec()).unwrap_or_default();
        store::api_key::delete(tx, key)?;
        Ok(Event::ApiKeyDeleted { key, projects })
    };
    let forgotten = ended.into_iter().map(forget).collect::<Result<Vec<_>, Error>>()?;
    Ok(Some(forgotten).filter(|events| !events.is_empty()))
}

/// Deletes a key. Once this returns, the key is refused.
pub fn delete(app: &App, caller: &Caller, org: Option<OrgId>, id: Option<ApiKeyId>) -> Pending<()> {
    app.revoke(caller, Rule::ManagesApiKeys(org), move |tx, grant| {
        let key = changeable(tx, grant, id)?.standing;
        store::api_key::delete(tx, key.id)?;
        Ok(((), Event::ApiKeyDeleted { key: key.id, projects: key.projects.into_vec() }))
    })
}

/// Writes the last uses that are held only in memory. They are not actions of a caller, so the audit log has no entries
/// for them.
pub fn flush_uses(system: &System) -> Result<(), Error> {
    let index = system.app().index();
    let mut uses = index.take_used();
    while !uses.is_empty() {
        let rest = uses.split_off(uses.len().min(USES));
        if let Err(error) = system.remember_uses(uses.clone()) {
            index.put_back(&uses);
            index.put_back(&rest);
            return Err(error);
        }
        uses = rest;
    }
    Ok(())
}

/// A new secret, as text, digest and mask.
struct Secret {
    text: SecretString,
    digest: TokenDigest,
    mask: String,
}

impl Secret {
    fn fresh(env: &Environment) -> Result<Self, Error> {
        let text = secret::SecretKind::ApiKey.fresh(&mut env.rng());
        let digest = secret::SecretKind::ApiKey.digest(text.expose_secret());
        let digest = digest.ok_or_else(|| Error::internal("a fresh API key is malformed"))?;
        Ok(Self { digest, mask: secret::mask(&text), text })
    }
}

fn insert(
    tx: &WriteTx<'_>,
    grant: &Grant,
    terms: &ApiKeySettings,
    secret: &Secret,
    limit: Option<Limit>,
) -> Result<ApiKeyId, Error> {
    let Grant { org, user: by, at, .. } = *grant;
    let new = New { org, terms, digest: &secret.digest, mask: &secret.mask, at, by };
    let most = limit.map_or(0, |limit| limit.most);
    store::api_key::insert(tx, &new, limit)?.ok_or_else(|| limit_reached("", most))
}

fn join(tx: &WriteTx<'_>, id: ApiKeyId, project: ProjectId, limit: Option<Limit>) -> Result<(), Error> {
    let joined = store::api_key::join(tx, id, project, limit)?;
    joined.then_some(()).ok_or_else(|| limit_reached(" of a project", MOST_PER_PROJECT))
}

/// Returns the key with this id, if the caller sees it and its role is not above the caller's.
fn changeable(tx: &ReadTx<'_>, grant: &Grant, id: Option<ApiKeyId>) -> Result<ApiKey, Error> {
    let key = find(tx, grant, id.ok_or_else(no_such_key)?)?;
    access::reaches(grant, key.standing.role)?;
    Ok(key)
}

fn find(tx: &ReadTx<'_>, grant: &Grant, id: ApiKeyId) -> Result<ApiKey, Error> {
    store::api_key::find(tx, grant.org, id, own_only(grant)?)?.ok_or_else(no_such_key)
}

/// Checks that all of the projects belong to the organization.
fn known(tx: &ReadTx<'_>, org: OrgId, projects: &[ProjectId]) -> Result<(), Error> {
    for id in projects {
        store::project::find(tx, *id)?.filter(|project| project.org == org).ok_or_else(unknown_project)?;
    }
    Ok(())
}

fn can_rotate(key: &ApiKey, now: Time) -> Result<(), Error> {
    if key.rotated_at.is_some() {
        return Err(already_rotated("The API key already has a successor: rotate the successor"));
    }
    let (code, message) = match key.standing.at(now) {
        Verdict::NotYetValid => ("API_KEY_NOT_YET_VALID", "The API key is not valid yet: rotate it after its start"),
        Verdict::Expired => ("API_KEY_EXPIRED", "The API key has expired: create another"),
        Verdict::Disabled => ("API_KEY_DISABLED", "The API key is disabled: enable it, or create another"),
        Verdict::Valid | Verdict::NotFound | Verdict::WrongProject | Verdict::InsufficientRole => return Ok(()),
    };
    Err(Error::new(ErrorKind::Invalid, code, message))
}

fn already_rotated(message: &str) -> Error {
    Error::new(ErrorKind::Conflict, "API_KEY_ALREADY_ROTATED", message)
}

fn limit_reached(of: &str, most: u32) -> Error {
    let message = format!(
        "Maximum number of API keys{of} ({most}) has been reached. Please delete existing keys before creating new ones."
    );
    Error::new(ErrorKind::Invalid, "API_KEY_LIMIT_REACHED", message)
}

fn no_such_key() -> Error {
    Error::new(ErrorKind::Missing, "API_KEY_NOT_FOUND", "API key not found")
}
