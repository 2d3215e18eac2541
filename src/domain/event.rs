//! Everything that the audit log records: one variant per event, with exactly the fields that the log may contain.

mod audit_record;
mod filter;
pub mod kind;
mod shown;

use std::fmt;
use std::net::IpAddr;

pub use audit_record::AuditRecord;
pub use filter::EventFilter;
pub use kind::{Change, Context};
pub use shown::{EventView, Published};

use super::api_key::ApiKeyStatus;
use super::id::{ApiKeyId, DeliveryId, NodeId, OrgId, OrgKeyId, ProjectId, SecretId, TokenId, UserId, WebhookId};
use super::org_key::Retirement;
use super::role::Role;
use super::secret::SecretName;
use super::time::Time;
use super::webhook::{Disabled, Numbers};

/// The last entry of one chain of the audit log: the organization's id or `server`, the sequence number and the hash.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The organization's id, or `server`.
    pub org: String,
    /// The sequence number of the last entry.
    pub seq: i64,
    /// Its hash, in hexadecimal.
    pub hash: String,
}

impl Head {
    /// Parses a line that `orgkeys audit head` printed, with or without `--json`; `None` for anything else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim_start();
        if line.starts_with('{') {
            return serde_json::from_str(line).ok();
        }
        let mut words = line.split_whitespace();
        let (org, seq, hash) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.to_owned());
        words.next().is_none().then_some(Self { org, seq, hash })
    }
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
    /// An organization was created.
    OrgCreated { org: OrgId },
    /// The profile of an organization was changed.
    OrgUpdated { org: OrgId },
    /// An organization was read.
    OrgRead { org: OrgId },
    /// A user was created, with or without an invitation.
    UserCreated { user: UserId, role: Role, invited: bool },
    /// A user got a new invitation, which invalidates the previous one.
    UserInvited { user: UserId },
    /// A user accepted their invitation.
    UserVerified { user: UserId },
    /// A user's name was changed.
    UserUpdated { user: UserId },
    /// A user's role was changed.
    UserRoleChanged { user: UserId, from: Role, to: Role },
    /// A user was deleted, and this many of their tokens and sessions ended. They had created these API keys, or `made` in
    /// total if there are more, which stay valid.
    UserDeleted { user: UserId, tokens_ended: usize, api_keys: Vec<ApiKeyId>, made: i64 },
    /// A deleted user was activated again.
    UserActivated { user: UserId },
    /// A user was read.
    UserRead { user: UserId },
    /// The users were listed.
    UsersListed { org: OrgId, count: usize },
    /// A user read their own profile.
    ProfileRead { user: UserId },
    /// A user's password was changed, and this many of their other sessions ended.
    PasswordChanged { user: UserId, sessions_ended: usize },
    /// An access token was created.
    TokenCreated { token: TokenId, user: UserId, expires: Option<Time> },
    /// An access token was revoked, or a session ended.
    TokenRevoked { token: TokenId, user: UserId },
    /// An access token of an owner or administrator expires within this many days.
    TokenExpiring { token: TokenId, user: UserId, days: u32, ends: Time },
    /// A user signed in, which started a session.
    LoggedIn { session: TokenId, user: UserId },
    /// A session was refreshed.
    SessionRefreshed { session: TokenId, user: UserId },
    /// A user confirmed their password in a web session.
    PasswordConfirmed { session: TokenId, user: UserId },
    /// A refresh token was used twice, so its session ended: one of the two uses was by somebody who stole it.
    RefreshReused { session: TokenId, user: UserId },
    /// A user listed their own sessions.
    SessionsListed { user: UserId, count: usize },
    /// This many sign-in attempts from one network were refused in the minute that began at `minute`.
    LoginsRefused { org: OrgId, code: &'static str, network: String, minute: Time, count: u64 },
    /// A project was created.
    ProjectCreated { project: ProjectId },
    /// A project was renamed.
    ProjectUpdated { project: ProjectId },
    /// A project was deleted, and with it the API keys that were limited to it alone.
    ProjectDeleted { project: ProjectId, api_keys: Vec<ApiKeyId> },
    /// A project was read.
    ProjectRead { project: ProjectId },
    /// The projects were listed.
    ProjectsListed { org: OrgId, count: usize },
    /// A user became a member of a project, or their member role was changed.
    MemberPut { project: ProjectId, user: UserId, role: &'static str, new: bool },
    /// A user was removed from a project.
    MemberRemoved { project: ProjectId, user: UserId },
    /// An API key was created.
    ApiKeyCreated { key: ApiKeyStatus },
    /// An API key was changed.
    ApiKeyUpdated { key: ApiKeyStatus },
    /// An API key was rotated: it has a successor, and ends at `ends`.
    ApiKeyRotated { key: ApiKeyId, successor: ApiKeyId, ends: Time, projects: Vec<ProjectId> },
    /// An API key expires within this many days.
    ApiKeyExpiring { key: ApiKeyId, days: u32, ends: Time, projects: Box<[ProjectId]> },
    /// An API key was deleted.
    ApiKeyDeleted { key: ApiKeyId, projects: Vec<ProjectId> },
    /// The API keys of an organization or of a project were listed.
    ApiKeysListed { org: OrgId, project: Option<ProjectId>, count: usize },
    /// An organization key was created, or imported, with so many bits.
    OrgKeyCreated { key: OrgKeyId, brought: bool, bits: usize },
    /// An organization key was rotated: it has a successor and ends at `retire_at`; this many nodes are to move.
    OrgKeyRotated { key: OrgKeyId, successor: OrgKeyId, retire_at: Time, nodes: i64 },
    /// The end or the name of an organization key was changed.
    OrgKeyUpdated { key: OrgKeyId, retire_at: Option<Time>, retire_unused: bool, renamed: bool },
    /// An organization key ends within this many days, and this many nodes still use it.
    OrgKeyRetiring { key: OrgKeyId, days: u32, nodes: i64, ends: Time },
    /// The last node that used a retiring organization key has left it.
    OrgKeyUnused { key: OrgKeyId },
    /// An organization key has ended, and with it the access of this many nodes.
    OrgKeyRetired { key: OrgKeyId, why: Retirement, nodes: i64 },
    /// The organization keys were listed.
    OrgKeysListed { org: OrgId, count: usize },
    /// An organization key was deleted, and with it its associations with this many nodes. It can be restored until then.
    OrgKeyDeleted { key: OrgKeyId, nodes: i64, until: Option<Time> },
    /// All organization keys were deleted at once. They can be restored until then.
    OrgKeysDeleted { org: OrgId, keys: Vec<OrgKeyId>, nodes: i64, until: Option<Time> },
    /// A deleted organization key was restored.
    OrgKeyRestored { key: OrgKeyId },
    /// Somebody asked what the deletion of an organization key, or of all, would do; this many nodes use them.
    OrgKeyImpactRead { org: OrgId, key: Option<OrgKeyId>, nodes: i64 },
    /// A node registered for the first time, or again.
    NodeRegistered { node: NodeId, key: OrgKeyId, new: bool, message: &'static str },
    /// A node unregistered itself.
    NodeUnregistered { node: NodeId, key: OrgKeyId, message: &'static str },
    /// A node has not been heard from since `last`.
    NodeSilent { node: NodeId, ip: String, last: Time },
    /// The nodes were listed.
    NodesListed { org: OrgId, count: usize },
    /// An administrator deleted a node.
    NodeDeleted { node: NodeId },
    /// An administrator activated a deleted node again.
    NodeActivated { node: NodeId },
    /// The audit log was read.
    EventsListed { org: OrgId, count: usize },
    /// A caller started to stream the audit log, from after this entry or from the present.
    EventsStreamed { org: OrgId, after: Option<i64> },
    /// Events were marked as read or unread.
    EventsMarked { user: UserId, read: bool, count: usize },
    /// A page of the audit log was read; `quiet` earlier pages of the same reader showed nothing but reads and were not
    /// recorded. `from` says where it began: `after` or `before` an entry, or at the newest.
    AuditRead { org: OrgId, from: (&'static str, Option<i64>), count: usize, quiet: u64 },
    /// The end of the audit log was read; `quiet` earlier reads of the same reader showed nothing but reads and were
    /// not recorded.
    AuditHeadRead { org: OrgId, quiet: u64 },
    /// At shutdown: this many reads of a reader that showed nothing but reads had not been recorded.
    AuditPolled { org: OrgId, reader: Option<UserId>, quiet: u64 },
    /// The statistics were read.
    StatisticsRead { org: OrgId },
    /// Retention removes the first `count` remaining entries of a chain; the last of them had this sequence number and
    /// hash.
    AuditTrimmed { org: Option<OrgId>, seq: i64, hash: String, count: i64 },
    /// A caller with a valid credential was denied access by this rule.
    AccessDenied { org: OrgId, rule: &'static str },
    /// This many signed calls from one network were refused in the minute that began at `minute`.
    SignedCallsRefused { org: OrgId, code: &'static str, network: String, minute: Time, count: u64 },
    /// A webhook was created.
    WebhookCreated { webhook: WebhookId, contexts: Numbers, changes: Numbers, disabled: bool },
    /// A webhook was changed; `moved` if its URL was, which is not recorded because it may contain a secret.
    WebhookUpdated { webhook: WebhookId, contexts: Numbers, changes: Numbers, disabled: bool, moved: bool },
    /// A webhook was deleted, and with it its pending deliveries.
    WebhookDeleted { webhook: WebhookId },
    /// A webhook was read.
    WebhookRead { webhook: WebhookId },
    /// The webhooks were listed.
    WebhooksListed { org: OrgId, count: usize },
    /// A webhook's secret was rotated; the previous one signs too until then.
    WebhookRotated { webhook: WebhookId, until: Time },
    /// A webhook was sent a test event, as this delivery.
    WebhookTested { webhook: WebhookId, delivery: DeliveryId },
    /// The deliveries of a webhook were listed.
    DeliveriesListed { webhook: WebhookId, count: usize },
    /// A delivery was replayed.
    DeliveryReplayed { webhook: WebhookId, delivery: DeliveryId },
    /// This many deliveries that had failed since then were replayed.
    DeliveriesReplayed { webhook: WebhookId, since: Time, count: usize },
    /// This many events were abandoned, after their last attempt or because retention removes them; `only` names the
    /// delivery and the event if it was a single delivery after its last attempt; `of_failure` if the events themselves
    /// only reported failed deliveries.
    DeliveryFailed { webhook: WebhookId, count: usize, only: Option<(DeliveryId, i64)>, of_failure: bool },
    /// A webhook was disabled because its receiver is gone or too many deliveries were pending, and its pending
    /// deliveries failed.
    WebhookDisabled { webhook: WebhookId, why: Disabled, failed: usize },
    /// The text of a secret was set for a region, or for every region that has none of its own.
    SecretPut { secret: SecretId, name: SecretName, region: Option<String>, bytes: u32, new: bool },
    /// A secret was deleted.
    SecretDeleted { secret: SecretId, name: SecretName, region: Option<String> },
    /// The secrets were listed.
    SecretsListed { org: OrgId, count: usize },
    /// A node fetched the secrets with these names, encrypted for this key. It is `None` if it is not registered.
    SecretsRead { node: Option<NodeId>, key: OrgKeyId, names: Vec<SecretName>, message: &'static str },
    /// The command line listed this many organizations, users or tokens.
    Listed { what: &'static str, count: usize },
    /// A backup was made at `at`.
    BackedUp { at: Time, heads: Vec<Head> },
    /// The database was replaced by a backup.
    Restored { old_heads: Vec<Head>, new_heads: Vec<Head>, tokens_ended: usize },
    /// The clock stepped back.
    ClockWentBack { from: Time, to: Time },
    /// The clock jumped ahead by more than a day since it was last checked, or the server was down for that long.
    ClockLeapt { from: Time, to: Time, at_start: bool },
    /// The command line confirmed that the clock is correct.
    ClockAccepted { high_water: Time },
    /// The schema was upgraded.
    Upgraded { from: i32, to: i32 },
}

/// Which enabled webhooks of its organization an event is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those whose filter matches it.
    Subscribed,
    /// Those whose filter matches it, except one.
    SubscribedBut(WebhookId),
    /// One only, whatever its filter, as this delivery.
    Only(WebhookId, DeliveryId),
    /// None.
    Nobody,
}

impl Event {
    /// Returns which webhooks the event is sent to.
    #[must_use]
    pub const fn audience(&self) -> Audience {
        match self {
            Self::WebhookTested { webhook, delivery } => Audience::Only(*webhook, *delivery),
            // Otherwise failing webhooks would report each other's failures in an endless and growing loop.
            Self::DeliveryFailed { of_failure: true, .. } => Audience::Nobody,
            Self::DeliveryFailed { webhook, .. } => Audience::SubscribedBut(*webhook),
            _ => Audience::Subscribed,
        }
    }
}

impl Event {
    /// Whether the server itself does this, whoever made the call in which it happens.
    #[must_use]
    pub const fn is_of_server(&self) -> bool {
        match self {
            Self::OrgKeyUnused { .. } => true,
            Self::OrgKeyRetired { why, .. } => !matches!(why, Retirement::Administrator),
            _ => false,
        }
    }
}

/// One event is an iterator over itself, so that a change may record one or several.
impl IntoIterator for Event {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

/// Returns the network of a client for limits and counters: the address itself for IPv4, its /64 for IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_from_a_line_of_three_words_or_an_object() {
        let head = Head { org: "server".to_owned(), seq: 7, hash: "ab".to_owned() };
        for line in ["server 7 ab", "  server\t7  ab ", r#"{"org":"server","seq":7,"hash":"ab"}"#] {
            assert_eq!(Head::parse(line).as_ref(), Some(&head), "{line}");
        }
        for line in ["", "server 7", "server 7 ab more", "server x ab", r#"{"org":"server","seq":7}"#] {
            assert_eq!(Head::parse(line), None, "{line}");
        }
    }
}
