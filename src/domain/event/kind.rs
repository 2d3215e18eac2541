//! The types of objects and changes that events concern, with the numbers of the published platform.

/// The type of object that an event concerns; clients of the published platform send these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A project.
    Workspace = 0,
    /// A user.
    User = 3,
    /// An organization.
    Org = 4,
    /// A member of a project.
    WorkspaceUser = 5,
    /// An API key.
    ApiKey = 6,
    /// The settings of an organization: its webhooks.
    OrgSettings = 8,
    /// A node.
    Node = 9,
    /// An organization key.
    OrgKey = 10,
}

impl Context {
    /// The name of every context number, including those that only other systems use.
    pub const WORDS: [&'static str; 14] = [
        "workspace",
        "bucket",
        "repo",
        "user",
        "org",
        "workspaceuser",
        "apikey",
        "usersettings",
        "orgsettings",
        "flashbacknode",
        "orgkey",
        "aillm",
        "aillmapikey",
        "conversation",
    ];

    /// The context number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How an event appears to clients. Reads and refusals have no change and do not appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something was created.
    Created = 0,
    /// Something was changed.
    Updated = 1,
    /// Something was deleted.
    Deleted = 2,
}

impl Change {
    /// The name of every change number.
    pub const WORDS: [&'static str; 3] = ["created", "updated", "deleted"];

    /// The change number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}
