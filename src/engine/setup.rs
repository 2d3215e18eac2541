//! The link with which the first owner of a new server sets their password in a browser. Its one-time token is in memory
//! only: it ends with the process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::crypto::secret::{self, TokenDigest};
use crate::domain::id::UserId;
use crate::domain::role::Role;
use crate::domain::time::Time;
use crate::store::{self, ReadTx, StoreError};

/// Whether the server was set up, and the link to do it.
#[derive(Default)]
pub(crate) struct Setup {
    link: OnceLock<SetupLink>,
    /// Whether an owner was once seen to have a password.
    over: AtomicBool,
}

/// The token of a link, by its digest.
pub(crate) struct SetupLink {
    /// The digest of the token.
    pub(crate) digest: TokenDigest,
    /// The owner whose password it sets.
    pub(crate) owner: UserId,
    /// From when on it is refused.
    pub(crate) ends: Time,
}

impl Setup {
    /// Stores the link of this process.
    pub(crate) fn begin(&self, link: SetupLink) {
        let _ = self.link.set(link);
    }

    /// Returns whether no owner on this server has a password.
    pub(crate) fn is_pending(&self, tx: &ReadTx<'_>) -> Result<bool, StoreError> {
        if self.over.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let over = store::user::an_owner_has_a_password(tx)?;
        self.over.store(over, Ordering::Relaxed);
        Ok(!over)
    }

    /// Returns the owner whose password the token with this digest sets now.
    pub(crate) fn owner(&self, tx: &ReadTx<'_>, digest: &TokenDigest, now: Time) -> Result<Option<UserId>, StoreError> {
        let link = self.link.get().filter(|link| secret::equal(&link.digest, digest) && now < link.ends);
        let Some(SetupLink { owner, .. }) = link else { return Ok(None) };
        // The file decides, in case the password was removed and the server is to be set up again.
        if store::user::an_owner_has_a_password(tx)? {
            return Ok(None);
        }
        let owner = store::user::find(tx, *owner)?.filter(|user| user.role == Role::Owner && user.deleted_at.is_none());
        Ok(owner.map(|user| user.id))
    }
}
