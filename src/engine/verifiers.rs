//! A cache of parsed public keys.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::error::Error;
use crate::crypto::rsa::Verifier;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::org_key::{KeyState, RETIRED_CANDIDATES};
use crate::domain::time::Time;
use crate::store::{self, ReadTx};

/// The maximum number of keys in the cache; beyond it the cache is cleared.
const READY: usize = 10_000;

/// Parsed public keys. The bytes of a key id never change, so no entry can be stale; whether a key still exists is
/// checked in the transaction.
#[derive(Default)]
pub struct Verifiers(RwLock<HashMap<OrgKeyId, Arc<Verifier>>>);

/// The keys of an organization that may have made a signature.
#[derive(Default)]
pub(crate) struct ReadyKeys {
    /// Those that verify: active ones first, then retiring ones, each newest first.
    pub(crate) valid: Vec<ReadyKey>,
    /// Some that do not verify any more, those that were retired last first.
    pub(crate) retired: Vec<ReadyKey>,
}

impl Verifiers {
    /// Returns the keys of an organization.
    pub(crate) fn of(&self, tx: &ReadTx<'_>, org: OrgId, now: Time) -> Result<ReadyKeys, Error> {
        let (mut ready, mut ended) = (ReadyKeys::default(), Vec::new());
        for (id, end) in store::org_key::candidates(tx, org)? {
            match KeyState::of(end, None, now) {
                KeyState::Active | KeyState::Retiring => ready.valid.push(self.get(tx, id, end)?),
                KeyState::Retired | KeyState::Deleted => ended.push((id, end)),
            }
        }
        ready.valid.sort_by_key(|key| key.end.is_some());
        ended.sort_by_key(|(id, end)| Reverse((*end, *id)));
        ended.truncate(RETIRED_CANDIDATES);
        ready.retired = ended.into_iter().map(|(id, end)| self.get(tx, id, end)).collect::<Result<_, _>>()?;
        Ok(ready)
    }

    fn get(&self, tx: &ReadTx<'_>, id: OrgKeyId, end: Option<Time>) -> Result<ReadyKey, Error> {
        if let Some(ready) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(ReadyKey { id, end, verifier: Arc::clone(ready) });
        }
        let verifier = Arc::new(Verifier::new(&store::org_key::public_key(tx, id)?)?);
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= READY {
            keys.clear();
        }
        keys.insert(id, Arc::clone(&verifier));
        Ok(ReadyKey { id, end, verifier })
    }
}

/// A key of an organization, parsed.
pub(crate) struct ReadyKey {
    pub(crate) id: OrgKeyId,
    /// When it ends, if it does.
    pub(crate) end: Option<Time>,
    verifier: Arc<Verifier>,
}

impl AsRef<Verifier> for ReadyKey {
    fn as_ref(&self) -> &Verifier {
        &self.verifier
    }
}
