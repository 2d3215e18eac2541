//! A cache of parsed public keys.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::error::Error;
use crate::crypto::rsa::Verifier;
use crate::domain::id::{OrgId, OrgKeyId};
use crate::store::{self, ReadTx};

/// The maximum number of keys in the cache; beyond it the cache is cleared.
const READY: usize = 10_000;

/// Parsed public keys. The bytes of a key id never change, so no entry can be stale; whether a key still exists is
/// checked in the transaction.
#[derive(Default)]
pub struct Verifiers(RwLock<HashMap<OrgKeyId, Arc<Verifier>>>);

impl Verifiers {
    /// Returns the keys of an organization, newest first.
    pub(crate) fn of(&self, tx: &ReadTx<'_>, org: OrgId) -> Result<Vec<ReadyKey>, Error> {
        store::org_key::ids(tx, org)?.into_iter().map(|id| self.get(tx, id)).collect()
    }

    fn get(&self, tx: &ReadTx<'_>, id: OrgKeyId) -> Result<ReadyKey, Error> {
        if let Some(ready) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(ReadyKey { id, verifier: Arc::clone(ready) });
        }
        let verifier = Arc::new(Verifier::new(&store::org_key::public_key(tx, id)?)?);
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= READY {
            keys.clear();
        }
        keys.insert(id, Arc::clone(&verifier));
        Ok(ReadyKey { id, verifier })
    }
}

/// A key of an organization, parsed.
pub(crate) struct ReadyKey {
    pub(crate) id: OrgKeyId,
    verifier: Arc<Verifier>,
}

impl AsRef<Verifier> for ReadyKey {
    fn as_ref(&self) -> &Verifier {
        &self.verifier
    }
}
