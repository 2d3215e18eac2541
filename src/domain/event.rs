//! What happened? One variant for everything that is recorded, with exactly the fields that the audit log may hold of it.

mod audit_record;
mod filter;
pub mod kind;
mod shown;

use std::fmt;
use std::net::IpAddr;

pub use audit_record::AuditRecord;
pub use filter::EventFilter;
pub use kind::{Change, Context};
pub use shown::{Published, SystemEvent};

use super::api_key::ApiKeyStatus;
use super::id::{ApiKeyId, DeliveryId, NodeId, OrgId, OrgKeyId, ProjectId, TokenId, UserId, WebhookId};
use super::role::Role;
use super::time::Time;
use super::webhook::{Disabled, Numbers};

/// The last entry of one chain of the audit log: the organization's id, or `server`, its length and its last hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The organization, or `server`.
    pub org: String,
    /// The sequence number of the last entry.
    pub seq: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.org, self.seq, self.hash)
    }
}

/// Something that happened, as the audit log records it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are named after the ids, counts and words that they hold")]
pub enum Event {
    /// An organization came to be.
    OrgCreated { org: OrgId },
    /// What an organization says of itself was changed.
    OrgUpdated { org: OrgId },
    /// An organization was looked at.
    OrgRead { org: OrgId },
    /// A person was added, with an invitation or without.
    UserCreated { user: UserId, role: Role, invited: bool },
    /// A person got a new invitation, which ends the one before.
    UserInvited { user: UserId },
    /// A person took their invitation.
    UserVerified { user: UserId },
    /// A person's name was changed.
    UserUpdated { user: UserId },
    /// A person may do more or less than before.
    UserRoleChanged { user: UserId, from: Role, to: Role },
    /// A person was deleted, and so many of their tokens and sessions ended.
    UserDeleted { user: UserId, tokens_ended: usize },
    /// The deletion of a person was undone.
    UserActivated { user: UserId },
    /// A person was looked at.
    UserRead { user: UserId },
    /// The people were listed.
    UsersListed { org: OrgId, count: usize },
    /// Somebody looked at their own profile.
    ProfileRead { user: UserId },
    /// A person has another password, and so many of their other sessions ended.
    PasswordChanged { user: UserId, sessions_ended: usize },
    /// An access token was made.
    TokenCreated { token: TokenId, user: UserId, expires: Option<Time> },
    /// An access token was revoked, or a session ended.
    TokenRevoked { token: TokenId, user: UserId },
    /// A person signed in, which began a session.
    LoggedIn { session: TokenId, user: UserId },
    /// A session got new tokens.
    SessionRefreshed { session: TokenId, user: UserId },
    /// A refresh token was used again, so its session ended: one of the two users of it stole it.
    RefreshReused { session: TokenId, user: UserId },
    /// Somebody looked at their own sessions.
    SessionsListed { user: UserId, count: usize },
    /// So many passwords from one network were wrong, or not looked at any more, in the minute that began at `minute`.
    LoginsRefused { org: OrgId, code: &'static str, network: String, minute: Time, count: u64 },
    /// A project was made.
    ProjectCreated { project: ProjectId },
    /// A project has another name.
    ProjectUpdated { project: ProjectId },
    /// A project was deleted, and with it the API keys that were for it alone.
    ProjectDeleted { project: ProjectId, api_keys: Vec<ApiKeyId> },
    /// A project was looked at.
    ProjectRead { project: ProjectId },
    /// The projects were listed.
    ProjectsListed { org: OrgId, count: usize },
    /// A person became a member of a project, or another kind of member.
    MemberPut { project: ProjectId, user: UserId, role: &'static str, new: bool },
    /// A person is no member of a project any more.
    MemberRemoved { project: ProjectId, user: UserId },
    /// An API key was made.
    ApiKeyCreated { key: ApiKeyStatus },
    /// An API key was changed.
    ApiKeyUpdated { key: ApiKeyStatus },
    /// An API key got a successor, and ends at `ends`.
    ApiKeyRotated { key: ApiKeyId, successor: ApiKeyId, ends: Time, projects: Vec<ProjectId> },
    /// An API key ends within so many days.
    ApiKeyExpiring { key: ApiKeyId, days: u32, ends: Time, projects: Box<[ProjectId]> },
    /// An API key was deleted.
    ApiKeyDeleted { key: ApiKeyId, projects: Vec<ProjectId> },
    /// The API keys of an organization or of a project were listed.
    ApiKeysListed { org: OrgId, project: Option<ProjectId>, count: usize },
    /// An organization key was made.
    OrgKeyCreated { key: OrgKeyId },
    /// The keys were listed.
    OrgKeysListed { org: OrgId, count: usize },
    /// One key was deleted, and with it its association with so many nodes.
    OrgKeyDeleted { key: OrgKeyId, nodes: usize },
    /// All keys were deleted at once.
    OrgKeysDeleted { org: OrgId, keys: Vec<OrgKeyId> },
    /// A node registered for the first time, or again.
    NodeRegistered { node: NodeId, key: OrgKeyId, new: bool, message: &'static str },
    /// A node took itself out of the registry.
    NodeUnregistered { node: NodeId, key: OrgKeyId, message: &'static str },
    /// Nothing was heard of a node since `last`.
    NodeSilent { node: NodeId, ip: String, last: Time },
    /// The nodes were listed.
    NodesListed { org: OrgId, count: usize },
    /// An administrator deleted a node.
    NodeDeleted { node: NodeId },
    /// An administrator undid the deletion of a node.
    NodeActivated { node: NodeId },
    /// The audit log was read.
    EventsListed { org: OrgId, count: usize },
    /// Somebody began to follow the audit log, from after that entry or from then on.
    EventsStreamed { org: OrgId, after: Option<i64> },
    /// Events were marked as read, or as not read.
    EventsMarked { user: UserId, read: bool, count: usize },
    /// A page of the audit log was read, after so many by the same reader that showed nothing but readings.
    AuditRead { org: OrgId, after: i64, count: usize, quiet: u64 },
    /// Somebody asked where the audit log ends, after so many by the same reader that showed nothing but readings.
    AuditHeadRead { org: OrgId, quiet: u64 },
    /// The server stops; so many readings by somebody that showed nothing but readings were only counted.
    AuditPolled { org: OrgId, reader: UserId, quiet: u64 },
    /// The first `count` entries of a chain that were left are removed; the last of them had this place and this hash.
    AuditTrimmed { org: Option<OrgId>, seq: i64, hash: String, count: i64 },
    /// Somebody with a valid credential asked for what they may not do.
    AccessDenied { org: OrgId, rule: &'static str },
    /// So many signed calls from one network were refused in the minute that began at `minute`.
    SignedCallsRefused { org: OrgId, code: &'static str, network: String, minute: Time, count: u64 },
    /// A webhook was made.
    WebhookCreated { webhook: WebhookId, contexts: Numbers, changes: Numbers, disabled: bool },
    /// A webhook was changed; whether it has another URL, which may hold a secret and so is not here.
    WebhookUpdated { webhook: WebhookId, contexts: Numbers, changes: Numbers, disabled: bool, moved: bool },
    /// A webhook was deleted, and with it what was on its way.
    WebhookDeleted { webhook: WebhookId },
    /// A webhook was looked at.
    WebhookRead { webhook: WebhookId },
    /// The webhooks were listed.
    WebhooksListed { org: OrgId, count: usize },
    /// A webhook got a new secret; the one before signs too until then.
    WebhookRotated { webhook: WebhookId, until: Time },
    /// A webhook was sent this event, to see whether it arrives.
    WebhookTested { webhook: WebhookId, delivery: DeliveryId },
    /// What was sent to a webhook was looked at.
    DeliveriesListed { webhook: WebhookId, count: usize },
    /// One delivery is sent once more.
    DeliveryReplayed { webhook: WebhookId, delivery: DeliveryId },
    /// So many deliveries that had failed since then are sent once more.
    DeliveriesReplayed { webhook: WebhookId, since: Time, count: usize },
    /// So many events were given up, after their last try or because retention removes them, with the delivery and its event
    /// where it is one that was tried; `of_failure` where these events said no more than the same of other webhooks.
    DeliveryFailed { webhook: WebhookId, count: usize, only: Option<(DeliveryId, i64)>, of_failure: bool },
    /// A webhook was switched off, since its receiver is gone or too much was on its way, and what was on its way has failed.
    WebhookDisabled { webhook: WebhookId, why: Disabled, failed: usize },
    /// The command line listed so many organizations, users or tokens.
    Listed { what: &'static str, count: usize },
    /// A backup was made at `at`.
    BackedUp { at: Time, heads: Vec<Head> },
    /// This database came from a backup that replaced another one.
    Restored { old_heads: Vec<Head>, new_heads: Vec<Head>, tokens_ended: usize },
    /// The clock stepped back.
    ClockWentBack { from: Time, to: Time },
    /// The clock leapt ahead by more than a day since it was last looked at, or the server was down for so long.
    ClockLeapt { from: Time, to: Time, at_start: bool },
    /// The command line said that the clock is right.
    ClockAccepted { high_water: Time },
    /// The schema was upgraded.
    Upgraded { from: i32, to: i32 },
}

/// Which webhooks of its organization an event goes to, of those that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those whose filter it fits.
    Subscribed,
    /// The same, but for one.
    SubscribedBut(WebhookId),
    /// One alone, whatever its filter, as this delivery.
    Only(WebhookId, DeliveryId),
    /// None.
    Nobody,
}

impl Event {
    /// Which webhooks it goes to.
    #[must_use]
    pub const fn audience(&self) -> Audience {
        match self {
            Self::WebhookTested { webhook, delivery } => Audience::Only(*webhook, *delivery),
            // Webhooks that all fail would else tell each other of it for ever, and of ever more.
            Self::DeliveryFailed { of_failure: true, .. } => Audience::Nobody,
            Self::DeliveryFailed { webhook, .. } => Audience::SubscribedBut(*webhook),
            _ => Audience::Subscribed,
        }
    }
}

/// One event is a list of one, so that a change may record one or several.
impl IntoIterator for Event {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// The network of a client, as limits and counts see it: the address itself for IPv4, its /64 for IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}
