//! The credentials that a transaction changed. The index reads them again after the commit.

use std::cell::RefCell;
use std::net::IpAddr;

use crate::domain::id::{ApiKeyId, ProjectId, TokenId, UserId};
use crate::domain::time::Time;

/// The last use of an API key: when, and from which address.
pub type LastUse = (Time, Option<IpAddr>);

/// What a transaction changed that the index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Token(TokenId),
    /// A user, and therefore all of the user's tokens.
    User(UserId),
    EveryToken,
    ApiKey(ApiKeyId),
    Project(ProjectId),
}

/// What the running transaction has touched. A change that is undone may remain listed, because the index is always
/// refreshed from the database.
#[derive(Default)]
pub(super) struct Touches(RefCell<Vec<Touched>>);

impl Touches {
    pub(super) fn add(&self, touched: Touched) {
        let mut list = self.0.borrow_mut();
        if list.last() != Some(&touched) {
            list.push(touched);
        }
    }

    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn take(&self) -> Vec<Touched> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}
