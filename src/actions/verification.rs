//! Verifies API keys, from memory and without disk access. Verifications are counted, not recorded in the audit log.
//! Those that are refused at a reverse proxy are logged, as counts.

use std::net::IpAddr;
use std::sync::Arc;

use crate::crypto::secret::TokenDigest;
use crate::domain::api_key::{ApiKeyStatus, Verdict};
use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;
use crate::engine::access;
use crate::engine::app::App;
use crate::engine::caller::{Caller, CallerId, Origin};
use crate::engine::error::Error;
use crate::store::index::LiveKey;

/// One requirement on a key.
#[derive(Clone, Copy, Debug)]
pub enum Requirement<T> {
    /// No requirement.
    None,
    /// The key must satisfy this value.
    Is(T),
    /// The requested value does not exist, so no key satisfies it.
    Unsatisfiable,
}

impl<T> Requirement<T> {
    /// Parses a requested value with `parse`.
    pub fn read(asked: Option<&str>, parse: impl FnOnce(&str) -> Option<T>) -> Self {
        asked.map_or(Self::None, |text| parse(text).map_or(Self::Unsatisfiable, Self::Is))
    }
}

/// The requirements on a key.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// A project of the organization that the key must be valid for.
    pub project: Requirement<ProjectId>,
    /// The minimum role.
    pub role: Requirement<Role>,
}

/// A verdict, and the key that it is about, if the organization has it.
pub struct VerifiedKey {
    /// The verdict.
    pub verdict: Verdict,
    key: Option<Arc<LiveKey>>,
}

impl VerifiedKey {
    /// Returns the key's status; `None` if the organization has no such key.
    #[must_use]
    pub fn standing(&self) -> Option<&ApiKeyStatus> {
        self.key.as_ref().map(|key| &key.standing)
    }
}

/// Verifies a key for a caller, who learns only about keys of its own organization. `None` is a malformed key.
pub fn verify(app: &App, caller: &Caller, key: Option<TokenDigest>, asked: Asked) -> Result<VerifiedKey, Error> {
    let org = access::verifies_for(caller)?;
    let verified = judge(app, org, key, asked, caller.origin.address);
    app.hourly_counts.verified(org, verified.verdict);
    Ok(verified)
}

/// Verifies a key that was presented to a service of `org` through a reverse proxy, which needs no other credential.
pub fn present(app: &App, org: Option<OrgId>, key: Option<TokenDigest>, asked: Asked, origin: &Origin) -> VerifiedKey {
    let verified = match org {
        Some(org) => judge(app, org, key, asked, origin.address),
        None => VerifiedKey { verdict: Verdict::NotFound, key: None },
    };
    if let (Verdict::Valid | Verdict::WrongProject | Verdict::InsufficientRole, Some(key)) =
        (verified.verdict, verified.standing())
    {
        origin.proven.set(CallerId::ApiKey(key.id), None);
    }
    match org {
        Some(org) if verified.key.is_some() => app.hourly_counts.verified(org, verified.verdict),
        Some(org) => app.hourly_counts.verified_if_known(org, verified.verdict),
        None => {}
    }
    if verified.verdict != Verdict::Valid {
        app.refused_verifications.count(verified.verdict.code(), origin.address);
    }
    verified
}

/// Logs how many keys were refused at a reverse proxy since the last time: one line for each error code and network.
pub(super) fn log_refused(app: &App) {
    for (refusal, count) in app.refused_verifications.take() {
        let network = refusal.network.map_or_else(|| "other".to_owned(), |network| network.to_string());
        tracing::info!(errorCode = refusal.code, network, count, "API keys were refused at a reverse proxy");
    }
}

fn judge(app: &App, org: OrgId, key: Option<TokenDigest>, asked: Asked, address: Option<IpAddr>) -> VerifiedKey {
    let key = key.and_then(|digest| app.index().api_key(&digest));
    let Some(key) = key.filter(|key| key.standing.org == org) else {
        return VerifiedKey { verdict: Verdict::NotFound, key: None };
    };
    let now = app.now();
    let verdict = match key.standing.at(now) {
        Verdict::Valid if !opens(app, &key.standing, asked.project) => Verdict::WrongProject,
        Verdict::Valid if !reaches(&key.standing, asked.role) => Verdict::InsufficientRole,
        verdict => verdict,
    };
    if verdict == Verdict::Valid {
        key.touch(now, address);
    }
    VerifiedKey { verdict, key: Some(key) }
}

fn opens(app: &App, key: &ApiKeyStatus, required: Requirement<ProjectId>) -> bool {
    match required {
        Requirement::None => true,
        Requirement::Is(project) => key.opens(project) && app.index().org_of_project(project) == Some(key.org),
        Requirement::Unsatisfiable => false,
    }
}

fn reaches(key: &ApiKeyStatus, required: Requirement<Role>) -> bool {
    match required {
        Requirement::None => true,
        Requirement::Is(role) => key.role >= role,
        Requirement::Unsatisfiable => false,
    }
}
