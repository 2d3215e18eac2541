//! How far may somebody go? Five roles in one order, each a number that clients know.

use std::fmt;

/// What a member of an organization may do; a greater role may do all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees the organization and its nodes.
    User = 0,
    /// As `User`; billing belongs to other systems that share these numbers.
    Billing = 1,
    /// Also manages people and projects up to its own role.
    Workspaces = 2,
    /// Also manages keys and nodes, and sees the whole audit log.
    Administrator = 254,
    /// Also makes owners; every organization keeps at least one.
    Owner = 255,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 5] = [Self::User, Self::Billing, Self::Workspaces, Self::Administrator, Self::Owner];

    /// The role with this number; no other number is a role.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| i64::from(role.number()) == number)
    }

    /// The role that `text` names, by its number or its name in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(text));
        named.or_else(|| Self::from_number(text.parse().ok()?))
    }

    /// The number that stands for it on the wire and in the store.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Billing => "BILLING",
            Self::Workspaces => "WORKSPACES",
            Self::Administrator => "ADMINISTRATOR",
            Self::Owner => "OWNER",
        }
    }

    /// The number of every role up to and including this one.
    #[must_use]
    pub fn numbers_up_to(self) -> Vec<u8> {
        Self::ALL.into_iter().filter(|role| *role <= self).map(Self::number).collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
