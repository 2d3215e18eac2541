//! An in-memory index of valid credentials. Calls are authenticated without disk access; the index is updated after
//! each commit, before it is acknowledged.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::touched::{LastUse, Touched, Touches};
use super::{ReadTx, StoreError, api_key, project, token};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::api_key::ApiKeyStatus;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, TokenId};
use crate::domain::time::Time;

/// The valid access tokens, the API keys and the projects.
#[derive(Default)]
pub struct Index {
    tokens: RwLock<Table<TokenId, token::TokenStatus>>,
    api_keys: RwLock<Table<ApiKeyId, LiveKey>>,
    projects: RwLock<HashMap<ProjectId, OrgId>>,
}

/// An API key in the index.
pub struct LiveKey {
    /// What determines which requests it authorizes.
    pub standing: ApiKeyStatus,
    /// Its last use, if that is not on disk yet.
    used: Mutex<Option<LastUse>>,
}

/// A digest that is compared in constant time.
struct Digest(TokenDigest);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        secret::equal(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // SHA-256 output is evenly distributed, so a part of it is as good as the whole.
        let (part, _) = self.0.split_at(8);
        state.write(part);
    }
}

struct Table<I, V> {
    by_digest: HashMap<Digest, Arc<V>>,
    digests: HashMap<I, TokenDigest>,
}

impl<I, V> Default for Table<I, V> {
    fn default() -> Self {
        Self { by_digest: HashMap::new(), digests: HashMap::new() }
    }
}

impl<I: Eq + Hash, V> Table<I, V> {
    /// Growing step by step would leave the smaller tables behind in memory.
    fn with_room_for(count: usize) -> Self {
        Self { by_digest: HashMap::with_capacity(count), digests: HashMap::with_capacity(count) }
    }

    fn remove(&mut self, id: &I) -> Option<Arc<V>> {
        let digest = self.digests.remove(id)?;
        self.by_digest.remove(&Digest(digest))
    }

    fn put(&mut self, id: I, digest: TokenDigest, value: V) {
        self.digests.insert(id, digest);
        self.by_digest.insert(Digest(digest), Arc::new(value));
    }
}

impl Index {
    /// Loads all credentials.
    pub(super) fn load(tx: &ReadTx<'_>) -> Result<Self, StoreError> {
        let index = Self::default();
        index.reload_tokens(tx)?;
        let mut keys = Table::with_room_for(api_key::count(tx)?);
        api_key::for_each(tx, |digest, standing| {
            keys.put(standing.id, digest, LiveKey { standing, used: Mutex::new(None) });
        })?;
        let projects = project::orgs(tx)?.into_iter().collect();
        Ok(Self { api_keys: RwLock::new(keys), projects: RwLock::new(projects), ..index })
    }

    /// Returns the access token with this digest, if neither it nor its user is revoked or deleted. The caller checks
    /// whether it has expired.
    pub fn token(&self, digest: &TokenDigest) -> Option<Arc<token::TokenStatus>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).by_digest.get(&Digest(*digest)).cloned()
    }

    /// Returns the API key with this digest. The caller checks whether it is valid.
    pub fn api_key(&self, digest: &TokenDigest) -> Option<Arc<LiveKey>> {
        self.api_keys.read().unwrap_or_else(PoisonError::into_inner).by_digest.get(&Digest(*digest)).cloned()
    }

    /// Returns the organization of a project.
    pub fn org_of_project(&self, project: ProjectId) -> Option<OrgId> {
        self.projects.read().unwrap_or_else(PoisonError::into_inner).get(&project).copied()
    }

    /// Returns the uses of API keys since the last call.
    pub fn take_used(&self) -> Vec<(ApiKeyId, LastUse)> {
        let keys = self.api_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_digest.values().filter_map(|key| Some((key.standing.id, key.lock().take()?))).collect()
    }

    /// Puts back uses that could not be written, unless there are newer ones.
    pub fn put_back(&self, uses: &[(ApiKeyId, LastUse)]) {
        let keys = self.api_keys.read().unwrap_or_else(PoisonError::into_inner);
        for (id, used) in uses {
            let key = keys.digests.get(id).and_then(|digest| keys.by_digest.get(&Digest(*digest)));
            if let Some(key) = key {
                key.lock().get_or_insert(*used);
            }
        }
    }

    /// Updates what the committed transaction has touched. A credential that cannot be read is removed, so that it
    /// authenticates nobody.
    pub(super) fn renew(&self, tx: &ReadTx<'_>, touches: &Touches) {
        for touched in touches.take() {
            if let Err(error) = self.renew_one(tx, touched) {
                tracing::error!(%error, "a credential could not be reloaded after a commit");
                // Tokens that are not in the index are looked up on disk; an API key that is not in it is refused.
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Table::default();
            }
        }
    }

    fn renew_one(&self, tx: &ReadTx<'_>, touched: Touched) -> Result<(), StoreError> {
        match touched {
            Touched::Token(id) => self.renew_token(tx, id),
            Touched::User(user) => {
                token::list(tx, Some(user), u32::MAX)?.into_iter().try_for_each(|token| self.renew_token(tx, token.id))
            }
            Touched::EveryToken => self.reload_tokens(tx),
            Touched::ApiKey(id) => self.renew_api_key(tx, id),
            Touched::Project(id) => {
                let mut projects = self.projects.write().unwrap_or_else(PoisonError::into_inner);
                projects.remove(&id);
                if let Some(project) = project::find(tx, id)? {
                    projects.insert(id, project.org);
                }
                Ok(())
            }
        }
    }

    fn renew_token(&self, tx: &ReadTx<'_>, id: TokenId) -> Result<(), StoreError> {
        // Read before the lock is taken, so that callers can be authenticated meanwhile.
        let live = token::live(tx, Some(id));
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        tokens.remove(&id);
        if let Some((digest, standing)) = live?.pop() {
            tokens.put(id, digest, standing);
        }
        Ok(())
    }

    fn reload_tokens(&self, tx: &ReadTx<'_>) -> Result<(), StoreError> {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        *tokens = Table::default();
        for (digest, standing) in token::live(tx, None)? {
            tokens.put(standing.token.id, digest, standing);
        }
        Ok(())
    }

    fn renew_api_key(&self, tx: &ReadTx<'_>, id: ApiKeyId) -> Result<(), StoreError> {
        let known = api_key::standing_and_digest(tx, id);
        let mut keys = self.api_keys.write().unwrap_or_else(PoisonError::into_inner);
        let used = keys.remove(&id).and_then(|key| key.lock().take());
        if let Some((digest, standing)) = known? {
            keys.put(id, digest, LiveKey { standing, used: Mutex::new(used) });
        }
        Ok(())
    }
}

impl LiveKey {
    /// Records a use of the key.
    pub fn touch(&self, now: Time, address: Option<IpAddr>) {
        *self.lock() = Some((now, address));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<LastUse>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;

    #[test]
    fn a_use_that_could_not_be_written_does_not_replace_a_later_one() {
        let (id, digest) = (ApiKeyId::from_number(7).expect("an id"), [7; 32]);
        let standing = ApiKeyStatus {
            id,
            org: OrgId::from_bytes([1; 16]),
            role: Role::User,
            start: Time::from_millis(0),
            expire: None,
            disabled: false,
            projects: Box::default(),
        };
        let mut keys = Table::default();
        keys.put(id, digest, LiveKey { standing, used: Mutex::new(None) });
        let index = Index { api_keys: RwLock::new(keys), ..Index::default() };
        let key = index.api_key(&digest).expect("the key");
        key.touch(Time::from_millis(1), None);
        let unwritten = index.take_used();
        index.put_back(&unwritten);
        assert_eq!(index.take_used(), unwritten);
        let later = Time::from_millis(2);
        key.touch(later, None);
        index.put_back(&unwritten);
        assert_eq!(index.take_used(), [(id, (later, None))]);
    }
}
