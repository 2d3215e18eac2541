//! What did a transaction change of what stands? The index reads it again after the commit.

use std::cell::RefCell;
use std::net::IpAddr;

use crate::domain::id::{ApiKeyId, ProjectId, TokenId, UserId};
use crate::domain::time::Time;

/// The last use of an API key: when, and from where.
pub type Used = (Time, Option<IpAddr>);

/// What a transaction changed of what stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Token(TokenId),
    /// A person, and so every token of theirs.
    User(UserId),
    EveryToken,
    ApiKey(ApiKeyId),
    Project(ProjectId),
}

/// What the running transaction has touched. A change that is undone may stay listed: what is renewed is read anew.
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
