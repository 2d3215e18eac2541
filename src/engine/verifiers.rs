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
        self.keep(id, Arc::clone(&verifier));
        Ok(ReadyKey { id, end, verifier })
    }

    fn keep(&self, id: OrgKeyId, verifier: Arc<Verifier>) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= READY {
            keys.clear();
        }
        keys.insert(id, verifier);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::public_key;

    #[test]
    fn keys_without_end_do_not_fill_the_memory() {
        let pems = include_str!("../../tests/api/rotation/public-keys.pem");
        let der = public_key::read(&pems[..=pems.find("-----\n-----BEGIN").expect("a second key") + 5]).expect("a key");
        let (verifier, verifiers) = (Arc::new(Verifier::new(&der).expect("a key")), Verifiers::default());
        let keep = |number: u128| {
            verifiers.keep(OrgKeyId::from_bytes(number.to_be_bytes()), Arc::clone(&verifier));
            verifiers.0.read().expect("not poisoned").len()
        };
        assert_eq!((1..=10_000).map(keep).max(), Some(10_000), "all are kept");
        assert_eq!((keep(10_001), keep(10_002)), (1, 2), "they are parsed again when they are needed");
    }
}
