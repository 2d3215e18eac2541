//! What is an event about, and what does it do to it? In the numbers of the published platform.

/// What an event is about; the numbers are those of the published platform, whose clients send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A project.
    Workspace = 0,
    /// A person.
    User = 3,
    /// An organization.
    Org = 4,
    /// A member of a project.
    WorkspaceUser = 5,
    /// An API key.
    ApiKey = 6,
    /// How an organization is set: its webhooks.
    OrgSettings = 8,
    /// A node.
    Node = 9,
    /// An organization key.
    OrgKey = 10,
}

impl Context {
    /// The word of every context number, also of those that only other systems use.
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

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How an event shows to clients; reads and refusals are none of these and do not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something is there that was not.
    Created = 0,
    /// Something is different.
    Updated = 1,
    /// Something is gone.
    Deleted = 2,
}

impl Change {
    /// The word of every change number.
    pub const WORDS: [&'static str; 3] = ["created", "updated", "deleted"];

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}
