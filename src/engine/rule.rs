//! The table of rights: for each one, who has it, and the message for callers who do not.

use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;

/// A right that an action requires. An id that cannot be parsed is `None`, which means that it names nothing that
/// exists.
#[derive(Clone, Debug)]
pub enum Rule {
    /// To see the caller's own profile.
    SeesOwnProfile,
    /// To change the caller's own account.
    ManagesOwnAccount,
    /// To see and end the caller's own sessions and access tokens, and to create access tokens.
    ManagesOwnSessions,
    /// To begin or renew a session with a credential in the request itself.
    SignsIn,
    /// To see an organization.
    SeesOrg(Option<OrgId>),
    /// To change an organization's profile.
    ManagesOrg(Option<OrgId>),
    /// To see the users of the caller's organization.
    SeesPeople,
    /// To create, invite and activate users of the caller's organization, up to the caller's role.
    AddsPeople,
    /// To change and delete users of the caller's organization, up to the caller's role.
    ManagesPeople,
    /// To see the projects of an organization.
    SeesProjects(Option<OrgId>),
    /// To create projects in an organization.
    AddsProjects(Option<OrgId>),
    /// To see one project: its members and administrators.
    SeesProject(Option<ProjectId>),
    /// To change one project: its owners and administrators.
    ManagesProject(Option<ProjectId>),
    /// To see the API keys of an organization: all of them, or those of the caller's own projects.
    SeesApiKeys(Option<OrgId>),
    /// To see the API keys of one project that the caller may see.
    SeesApiKeysOf(Option<ProjectId>),
    /// To create, change and delete API keys of an organization.
    ManagesApiKeys(Option<OrgId>),
    /// To see the keys of an organization.
    SeesKeys(Option<OrgId>),
    /// To create and delete the keys of an organization.
    ManagesKeys(Option<OrgId>),
    /// To see the nodes of an organization.
    SeesNodes(Option<OrgId>),
    /// To delete and activate the nodes of an organization.
    ManagesNodes(Option<OrgId>),
    /// To find the nodes of the caller's organization.
    FindsNodes,
    /// To see which secrets an organization has for its nodes, but not their texts.
    SeesSecrets(Option<OrgId>),
    /// To set and delete the secrets that an organization has for its nodes.
    ManagesSecrets(Option<OrgId>),
    /// To see the webhooks of an organization and their deliveries.
    SeesWebhooks(Option<OrgId>),
    /// To create, change and delete the webhooks of an organization.
    ManagesWebhooks(Option<OrgId>),
    /// To list events of the caller's organization, as far as the caller's role permits.
    SeesEvents,
    /// To follow the events of an organization, as far as the caller's role permits.
    StreamsEvents(Option<OrgId>),
    /// To read the complete audit log of an organization, including reads and refusals.
    SeesAudit(Option<OrgId>),
    /// To mark events as read for the caller.
    MarksEvents,
    /// To act as a node of the organization whose key verified the signature.
    SpeaksAsNode,
    /// To administer an organization from the command line.
    Administers(OrgId),
}

/// Which API keys have a right, as far as their role permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiKeys {
    /// None.
    Never,
    /// API keys for the whole organization.
    Whole,
    /// API keys for the project in question.
    OfTheProject,
}

/// Whose data a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// An organization that the request names.
    Org(Option<OrgId>),
    /// A project that the request names.
    Project(Option<ProjectId>),
    /// The caller's organization, which the request does not name.
    OwnOrg,
    /// The caller's own account, which only a user has.
    Account,
    /// Nothing that a credential gives a right to.
    Internal,
}

/// What a rule requires: one row of [`Rule::spec`].
pub(super) struct RuleSpec {
    /// The name of the rule in the audit log.
    pub(super) name: &'static str,
    /// The minimum role of a user; `None` if no user has the right.
    pub(super) least: Option<Role>,
    /// Which API keys have the right.
    pub(super) api_keys: ApiKeys,
    /// The message for a caller without the right: the same for another organization, a missing one and a role that is
    /// too low.
    pub(super) refusal: &'static str,
}

pub(super) const DENIED: &str = "Access denied";

impl Rule {
    /// The table of rights.
    pub(super) const fn spec(&self) -> RuleSpec {
        use ApiKeys::{Never, OfTheProject, Whole};
        use Role::{Administrator, User, Workspaces};
        let (name, least, api_keys, refusal) = match self {
            Self::SeesOwnProfile => ("see own profile", Some(User), Never, DENIED),
            Self::ManagesOwnAccount => ("manage own account", Some(User), Never, DENIED),
            Self::ManagesOwnSessions => ("manage own sessions", Some(User), Never, DENIED),
            Self::SignsIn => ("sign in", Some(User), Never, DENIED),
            Self::SeesOrg(_) => {
                ("see organization", Some(User), Whole, "Access denied: you can only view your own organization")
            }
            Self::ManagesOrg(_) => {
                let refusal = "Access denied: only OWNER and ADMINISTRATOR roles can change their own organization";
                ("manage organization", Some(Administrator), Never, refusal)
            }
            Self::SeesPeople => ("see people", Some(Workspaces), Never, "Insufficient permissions to view users"),
            Self::AddsPeople => {
                ("add people", Some(Workspaces), Never, "Insufficient permissions to create, invite or activate users")
            }
            Self::ManagesPeople => {
                ("manage people", Some(Administrator), Never, "Insufficient permissions to manage users")
            }
            Self::SeesProjects(_) => (
                "see projects",
                Some(User),
                Never,
                "Access denied: you can only view projects of your own organization",
            ),
            Self::AddsProjects(_) => {
                ("add projects", Some(Workspaces), Never, "Insufficient permissions to create projects")
            }
            Self::SeesProject(_) => {
                ("see project", Some(User), OfTheProject, "Access denied: not a member of the project")
            }
            Self::ManagesProject(_) => {
                ("manage project", Some(User), Never, "Insufficient permissions to manage the project")
            }
            Self::SeesApiKeys(_) => (
                "see API keys",
                Some(User),
                Never,
                "Access denied: you can only view API keys of your own organization",
            ),
            Self::SeesApiKeysOf(_) => ("see API keys", Some(User), Never, "Access denied: not a member of the project"),
            Self::ManagesApiKeys(_) => {
                ("manage API keys", Some(User), Never, "Insufficient permissions to manage API keys")
            }
            Self::SeesKeys(_) => {
                let refusal = "Access denied: you can only view keys for your own organization";
                ("see keys", Some(Administrator), Never, refusal)
            }
            Self::ManagesKeys(_) => {
                let refusal = "Access denied: you can only manage keys for your own organization";
                ("manage keys", Some(Administrator), Never, refusal)
            }
            Self::SeesNodes(_) => {
                ("see nodes", Some(User), Whole, "Access denied: you can only view nodes of your own organization")
            }
            Self::ManagesNodes(_) => {
                let refusal = "Insufficient permissions: only OWNER and ADMINISTRATOR roles can manage nodes";
                ("manage nodes", Some(Administrator), Whole, refusal)
            }
            Self::SeesSecrets(_) => {
                let refusal =
                    "Access denied: only OWNER and ADMINISTRATOR roles can view secrets of their own organization";
                ("see secrets", Some(Administrator), Never, refusal)
            }
            Self::ManagesSecrets(_) => {
                let refusal =
                    "Access denied: only OWNER and ADMINISTRATOR roles can manage secrets of their own organization";
                ("manage secrets", Some(Administrator), Never, refusal)
            }
            Self::SeesWebhooks(_) => {
                let refusal =
                    "Access denied: only OWNER and ADMINISTRATOR roles can view webhooks of their own organization";
                ("see webhooks", Some(Administrator), Never, refusal)
            }
            Self::ManagesWebhooks(_) => {
                let refusal =
                    "Access denied: only OWNER and ADMINISTRATOR roles can manage webhooks of their own organization";
                ("manage webhooks", Some(Administrator), Never, refusal)
            }
            Self::FindsNodes => ("find nodes", Some(User), Whole, DENIED),
            Self::SeesEvents => ("see events", Some(User), Whole, DENIED),
            Self::StreamsEvents(_) => (
                "stream events",
                Some(User),
                Whole,
                "Access denied: you can only stream events of your own organization",
            ),
            Self::SeesAudit(_) => {
                let refusal = "Access denied: only OWNER and ADMINISTRATOR roles can read the audit log of their own organization";
                ("see audit log", Some(Administrator), Never, refusal)
            }
            Self::MarksEvents => ("mark events", Some(User), Never, DENIED),
            Self::SpeaksAsNode => ("speak as a node", None, Never, DENIED),
            Self::Administers(_) => ("administer", None, Never, DENIED),
        };
        RuleSpec { name, least, api_keys, refusal }
    }

    /// Returns the name of the rule in the audit log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec().name
    }

    /// Returns whose data the rule is about.
    pub(super) const fn scope(&self) -> Scope {
        match self {
            Self::SeesOrg(org)
            | Self::ManagesOrg(org)
            | Self::SeesProjects(org)
            | Self::AddsProjects(org)
            | Self::SeesApiKeys(org)
            | Self::ManagesApiKeys(org)
            | Self::SeesKeys(org)
            | Self::ManagesKeys(org)
            | Self::SeesNodes(org)
            | Self::ManagesNodes(org)
            | Self::StreamsEvents(org)
            | Self::SeesAudit(org)
            | Self::SeesSecrets(org)
            | Self::ManagesSecrets(org)
            | Self::SeesWebhooks(org)
            | Self::ManagesWebhooks(org) => Scope::Org(*org),
            Self::SeesProject(project) | Self::ManagesProject(project) | Self::SeesApiKeysOf(project) => {
                Scope::Project(*project)
            }
            Self::SeesPeople | Self::AddsPeople | Self::ManagesPeople | Self::FindsNodes | Self::SeesEvents => {
                Scope::OwnOrg
            }
            Self::SeesOwnProfile
            | Self::ManagesOwnAccount
            | Self::ManagesOwnSessions
            | Self::SignsIn
            | Self::MarksEvents => Scope::Account,
            Self::SpeaksAsNode | Self::Administers(_) => Scope::Internal,
        }
    }

    /// Whether the rule concerns `own`, the caller's organization, and no other.
    pub(super) fn is_about(&self, own: OrgId) -> bool {
        match self.scope() {
            Scope::Org(org) => org == Some(own),
            Scope::Project(_) | Scope::OwnOrg | Scope::Account => true,
            Scope::Internal => false,
        }
    }
}
