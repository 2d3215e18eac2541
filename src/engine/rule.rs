//! What can somebody ask to be allowed? One row of a table for each right: who may, and what the others are told.

use crate::domain::id::{OrgId, ProjectId};
use crate::domain::role::Role;

/// What somebody asks to be allowed. An id that cannot be read is `None`: it names what does not exist.
#[derive(Clone, Debug)]
pub enum Rule {
    /// To see their own profile.
    SeesOwnProfile,
    /// To change their own account.
    ManagesOwnAccount,
    /// To see and end their own sessions.
    ManagesOwnSessions,
    /// To begin or renew a session, by a proof in the request itself.
    SignsIn,
    /// To see an organization.
    SeesOrg(Option<OrgId>),
    /// To change what an organization says of itself.
    ManagesOrg(Option<OrgId>),
    /// To see the people of their own organization.
    SeesPeople,
    /// To create, invite and activate people of their own organization, up to their own role.
    AddsPeople,
    /// To change and delete people of their own organization, up to their own role.
    ManagesPeople,
    /// To see the projects of an organization.
    SeesProjects(Option<OrgId>),
    /// To make projects in an organization.
    AddsProjects(Option<OrgId>),
    /// To see one project: its members, and ADMINISTRATOR.
    SeesProject(Option<ProjectId>),
    /// To change one project: its owners, and ADMINISTRATOR.
    ManagesProject(Option<ProjectId>),
    /// To see the API keys of an organization: all of them, or those of their own projects.
    SeesApiKeys(Option<OrgId>),
    /// To see the API keys of one project, as far as they see them at all.
    SeesApiKeysOf(Option<ProjectId>),
    /// To make, change and delete API keys of an organization.
    ManagesApiKeys(Option<OrgId>),
    /// To see the keys of an organization.
    SeesKeys(Option<OrgId>),
    /// To make and delete the keys of an organization.
    ManagesKeys(Option<OrgId>),
    /// To see the nodes of an organization.
    SeesNodes(Option<OrgId>),
    /// To delete and activate the nodes of an organization.
    ManagesNodes(Option<OrgId>),
    /// To find the nodes of their own organization.
    FindsNodes,
    /// To see the webhooks of an organization, and what was sent to them.
    SeesWebhooks(Option<OrgId>),
    /// To make, change and delete the webhooks of an organization.
    ManagesWebhooks(Option<OrgId>),
    /// To see the audit log of their own organization, as far as their role goes.
    SeesEvents,
    /// To follow the audit log of an organization, as far as their role goes.
    StreamsEvents(Option<OrgId>),
    /// To read the audit log of an organization as it is recorded, reads and refusals included.
    SeesAudit(Option<OrgId>),
    /// To mark events as read for themselves.
    MarksEvents,
    /// To speak as a node of the organization whose key verified the signature.
    SpeaksAsNode,
    /// To administer an organization from the command line.
    Administers(OrgId),
}

/// Which API keys may, as far as their role goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiKeys {
    /// None.
    Never,
    /// Those that are for the whole organization.
    Whole,
    /// Those that are for that project.
    OfTheProject,
}

/// What a rule asks for; one row each in [`Rule::spec`].
pub(super) struct RuleSpec {
    /// What the audit log calls the rule.
    pub(super) name: &'static str,
    /// The least role that a user needs; `None` where no user may at all.
    pub(super) least: Option<Role>,
    /// Which API keys may.
    pub(super) api_keys: ApiKeys,
    /// What a caller who may not is told: the same for another organization, a missing one and a role too low.
    pub(super) refusal: &'static str,
}

pub(super) const DENIED: &str = "Access denied";

impl Rule {
    /// The table of who may what.
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
                "Access denied: you can only follow events of your own organization",
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

    /// What the audit log calls it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.spec().name
    }

    /// Whether the rule is about `own`, the caller's organization, and no other.
    pub(super) fn is_about(&self, own: OrgId) -> bool {
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
            | Self::SeesWebhooks(org)
            | Self::ManagesWebhooks(org) => *org == Some(own),
            Self::SeesOwnProfile
            | Self::ManagesOwnAccount
            | Self::ManagesOwnSessions
            | Self::SignsIn
            | Self::SeesPeople
            | Self::AddsPeople
            | Self::ManagesPeople
            | Self::SeesProject(_)
            | Self::ManagesProject(_)
            | Self::SeesApiKeysOf(_)
            | Self::FindsNodes
            | Self::SeesEvents
            | Self::MarksEvents => true,
            Self::SpeaksAsNode | Self::Administers(_) => false,
        }
    }
}
