//! `orgkeys org`, `user` and `token`: administration without a credential, for whoever runs the server.

mod execute;
mod print;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{CommandContext, CommandError, Database};
use crate::actions::admin::command::{Change, Command, List};
use crate::crypto::secret;
use crate::server::clock;

#[derive(Subcommand)]
pub enum OrgCommand {
    /// Create an organization
    Create {
        #[command(flatten)]
        database: Database,
        /// The organization's name
        #[arg(long)]
        name: String,
        /// Email address of the first OWNER, for whom an invitation is printed
        #[arg(long, value_name = "EMAIL")]
        owner: Option<String>,
    },
    /// List all organizations
    List {
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Create a user, and print a one-time invitation to set a password
    Create {
        #[command(flatten)]
        database: Database,
        /// The organization's id
        #[arg(long)]
        org: String,
        /// Email address, unique on the server
        #[arg(long)]
        email: String,
        /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255
        #[arg(long)]
        role: String,
        /// First name
        #[arg(long, default_value = "")]
        name: String,
        /// Last name
        #[arg(long, default_value = "")]
        last_name: String,
        /// Create no invitation: the user acts by access tokens alone
        #[arg(long)]
        without_invitation: bool,
    },
    /// Remove a user's password and print a one-time invitation to set a new one
    ResetPassword {
        #[command(flatten)]
        database: Database,
        /// The user's email address or id
        #[arg(long)]
        user: String,
    },
    /// List users
    List {
        #[command(flatten)]
        database: Database,
        /// List only the users of this organization (id)
        #[arg(long)]
        org: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Create an access token, which is shown only once
    Create {
        #[command(flatten)]
        database: Database,
        /// The user's email address or id
        #[arg(long)]
        user: String,
        /// Lifetime, such as 12h or 30d, at most 3650d, or never [default: 90d]
        #[arg(long)]
        ttl: Option<String>,
    },
    /// List access tokens, without their secrets
    List {
        #[command(flatten)]
        database: Database,
        /// List only the tokens of this user (email address or id)
        #[arg(long)]
        user: Option<String>,
    },
    /// Revoke an access token
    Revoke {
        #[command(flatten)]
        database: Database,
        /// The token's id
        id: String,
    },
    /// Print a new token for `ORGKEYS_BOOTSTRAP_TOKEN`, without using a database
    Generate,
}

impl OrgCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let (database, command) = match self {
            Self::Create { database, name, owner } => (database, Command::Change(Change::CreateOrg { name, owner })),
            Self::List { database } => (database, Command::List(List::Orgs)),
        };
        execute::print(context, &database, command)
    }
}

impl UserCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let (database, command) = match self {
            Self::Create { database, org, email, role, name, last_name, without_invitation } => {
                let invite = !without_invitation;
                (database, Command::Change(Change::CreateUser { org, email, role, name, last_name, invite }))
            }
            Self::ResetPassword { database, user } => (database, Command::Change(Change::ResetPassword { user })),
            Self::List { database, org } => (database, Command::List(List::Users { org })),
        };
        execute::print(context, &database, command)
    }
}

impl TokenCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let (database, command) = match self {
            Self::Create { database, user, ttl } => (database, Command::Change(Change::CreateToken { user, ttl })),
            Self::List { database, user } => (database, Command::List(List::Tokens { user })),
            Self::Revoke { database, id } => (database, Command::Change(Change::RevokeToken { id })),
            Self::Generate => {
                let token = secret::SecretKind::AccessToken.fresh(&mut clock::system().rng());
                context.print(&json!({ "token": token.expose_secret() }), || token.expose_secret().to_owned());
                return Ok(());
            }
        };
        execute::print(context, &database, command)
    }
}
