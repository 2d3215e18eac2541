//! Roles: five ordered levels of permission, each with a number that clients use.

use std::fmt;

/// What a member of an organization may do. A greater role includes every lesser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May read the organization and its nodes.
    User = 0,
    /// The same as `User`; billing belongs to other systems that share these numbers.
    Billing = 1,
    /// May also manage users and projects, up to its own role.
    Workspaces = 2,
    /// May also manage keys and nodes, and read the whole audit log.
    Administrator = 254,
    /// May also create owners; every organization keeps at least one.
    Owner = 255,
}

impl Role {
    /// Every role in ascending order.
    pub const ALL: [Self; 5] = [Self::User, Self::Billing, Self::Workspaces, Self::Administrator, Self::Owner];

    /// Returns the role with this number; no other number is a role.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| i64::from(role.number()) == number)
    }

    /// Parses a role by its number, or by its name in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(text));
        named.or_else(|| Self::from_number(text.parse().ok()?))
    }

    /// The role's number on the wire and in the store.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The role's name, in capitals.
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

    /// Returns the number of every role up to and including this one.
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
