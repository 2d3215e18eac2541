//! Is this API key good for that? Answered from memory, without touching the disk, and counted rather than recorded.

use std::net::IpAddr;
use std::sync::Arc;

use super::access;
use super::app::App;
use super::caller::Caller;
use super::error::Error;
use crate::crypto::secret::TokenDigest;
use crate::domain::api_key::{Standing, Verdict};
use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;
use crate::store::index::LiveKey;

/// One thing that a key is to be good for.
#[derive(Clone, Copy, Debug)]
pub enum Wish<T> {
    /// It was not asked.
    None,
    /// This one.
    This(T),
    /// What was asked names nothing: no key is good for it.
    Unknown,
}

impl<T> Wish<T> {
    /// What was asked, read by `parse`.
    pub fn read(asked: Option<&str>, parse: impl FnOnce(&str) -> Option<T>) -> Self {
        asked.map_or(Self::None, |text| parse(text).map_or(Self::Unknown, Self::This))
    }
}

/// What a key is to be good for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// A project of the organization.
    pub project: Wish<ProjectId>,
    /// The least role.
    pub role: Wish<Role>,
}

/// A verdict, and the key that it is about if the organization has it.
pub struct Verified {
    /// What was found.
    pub verdict: Verdict,
    key: Option<Arc<LiveKey>>,
}

impl Verified {
    /// What the key opens; `None` where the organization has no such key.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.key.as_ref().map(|key| &key.standing)
    }
}

/// Judges a key for a caller, who learns of keys of its own organization only. `None` is a key of the wrong shape.
pub fn verify(app: &App, caller: &Caller, key: Option<TokenDigest>, asked: Asked) -> Result<Verified, Error> {
    let org = access::verifies_for(caller)?;
    Ok(judge(app, org, key, asked, caller.origin.address))
}

/// Judges a key that was presented at the door of something of `org`, which needs no other credential.
pub fn present(
    app: &App,
    org: Option<OrgId>,
    key: Option<TokenDigest>,
    asked: Asked,
    address: Option<IpAddr>,
) -> Verified {
    match org {
        Some(org) => judge(app, org, key, asked, address),
        None => Verified { verdict: Verdict::NotFound, key: None },
    }
}

fn judge(app: &App, org: OrgId, key: Option<TokenDigest>, asked: Asked, address: Option<IpAddr>) -> Verified {
    let key = key.and_then(|digest| app.index().api_key(&digest));
    let Some(key) = key.filter(|key| key.standing.org == org) else {
        return Verified { verdict: Verdict::NotFound, key: None };
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
    Verified { verdict, key: Some(key) }
}

fn opens(app: &App, key: &Standing, wish: Wish<ProjectId>) -> bool {
    match wish {
        Wish::None => true,
        Wish::This(project) => key.opens(project) && app.index().org_of_project(project) == Some(key.org),
        Wish::Unknown => false,
    }
}

fn reaches(key: &Standing, wish: Wish<Role>) -> bool {
    match wish {
        Wish::None => true,
        Wish::This(role) => key.role >= role,
        Wish::Unknown => false,
    }
}
