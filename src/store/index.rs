//! Which credentials stand now? Kept in memory, so that a call is let in without touching the disk, and renewed after each commit before anybody is told of it.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::touched::{Touched, Touches, Used};
use super::{ReadTx, StoreError, api_key, project, token};
use crate::crypto::secret::{self, TokenDigest};
use crate::domain::api_key::ApiKeyStatus;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, TokenId};
use crate::domain::time::Time;

/// The access tokens, API keys and projects that stand.
#[derive(Default)]
pub struct Index {
    tokens: RwLock<Table<TokenId, token::TokenStatus>>,
    api_keys: RwLock<Table<ApiKeyId, LiveKey>>,
    projects: RwLock<HashMap<ProjectId, OrgId>>,
}

/// An API key in use.
pub struct LiveKey {
    /// What decides what it opens.
    pub standing: ApiKeyStatus,
    /// Its last use that is not on disk yet.
    used: Mutex<Option<Used>>,
}

/// A digest that is compared in a time that does not depend on where two differ.
struct Digest(TokenDigest);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        secret::equal(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // SHA-256 has spread it evenly: a part tells as much as the whole.
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
    /// Reads everything that stands.
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

    /// The access token with this digest, if it and its user stand. Whether it has ended is for the caller to see.
    pub fn token(&self, digest: &TokenDigest) -> Option<Arc<token::TokenStatus>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).by_digest.get(&Digest(*digest)).cloned()
    }

    /// The API key with this digest. Whether it is valid is for the caller to see.
    pub fn api_key(&self, digest: &TokenDigest) -> Option<Arc<LiveKey>> {
        self.api_keys.read().unwrap_or_else(PoisonError::into_inner).by_digest.get(&Digest(*digest)).cloned()
    }

    /// The organization of a project.
    pub fn org_of_project(&self, project: ProjectId) -> Option<OrgId> {
        self.projects.read().unwrap_or_else(PoisonError::into_inner).get(&project).copied()
    }

    /// The uses of API keys since this was last asked.
    pub fn take_used(&self) -> Vec<(ApiKeyId, Used)> {
        let keys = self.api_keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.by_digest.values().filter_map(|key| Some((key.standing.id, key.lock().take()?))).collect()
    }

    /// Takes back uses that could not be written, unless there are newer ones.
    pub fn put_back(&self, uses: &[(ApiKeyId, Used)]) {
        let keys = self.api_keys.read().unwrap_or_else(PoisonError::into_inner);
        for (id, used) in uses {
            let key = keys.digests.get(id).and_then(|digest| keys.by_digest.get(&Digest(*digest)));
            if let Some(key) = key {
                key.lock().get_or_insert(*used);
            }
        }
    }

    /// Renews what the transaction that was just committed has touched. What cannot be read is let go of: nobody is let in by it.
    pub(super) fn renew(&self, tx: &ReadTx<'_>, touches: &Touches) {
        for touched in touches.take() {
            if let Err(error) = self.renew_one(tx, touched) {
                tracing::error!(%error, "a credential could not be read again");
                // Tokens that are not here are looked up on disk; an API key that is not here is refused.
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Table::default();
            }
        }
    }

    fn renew_one(&self, tx: &ReadTx<'_>, touched: Touched) -> Result<(), StoreError> {
        match touched {
            Touched::Token(id) => self.renew_token(tx, id),
            Touched::User(user) => {
                token::list(tx, Some(user))?.into_iter().try_for_each(|token| self.renew_token(tx, token.id))
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
        // Read before the lock is taken: callers are let in meanwhile.
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
    /// Remembers that it was used.
    pub fn touch(&self, now: Time, address: Option<IpAddr>) {
        *self.lock() = Some((now, address));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
