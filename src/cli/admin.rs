//! `orgkeys org`, `user` and `token`: administration without a credential, for whoever runs the server.

mod execute;
mod print;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{CommandContext, CommandError};
use crate::actions::admin::command::{Answer, Change, Command, List};
use crate::config::Choices;
use crate::crypto::secret;
use crate::server::clock;

#[derive(Subcommand)]
pub enum OrgCommand {
    /// Create an organization
    #[command(after_help = "Example:\n  orgkeys org create --name \"Example Ltd\"")]
    Create {
        /// The organization's name
        #[arg(long)]
        name: String,
        /// Email address of the first OWNER, for whom an invitation is printed
        #[arg(long, value_name = "EMAIL")]
        owner: Option<String>,
    },
    /// List all organizations
    #[command(after_help = "Example:\n  orgkeys org list")]
    List,
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Create a user of the server on this machine, and print a one-time invitation to set a password
    #[command(
        after_help = "Example:\n  orgkeys user create --org org-... --email ada@example.org --role ADMINISTRATOR"
    )]
    Create {
        /// The organization's id
        #[arg(long)]
        org: String,
        /// Email address, unique on the server
        #[arg(long)]
        email: String,
        /// USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255
        #[arg(long, value_parser = Choices(&["USER", "BILLING", "WORKSPACES", "ADMINISTRATOR", "OWNER"]))]
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
    /// Remove the password of a user of the server on this machine, and print a one-time invitation to set a new one
    #[command(after_help = "Example:\n  orgkeys user reset-password --user ada@example.org")]
    ResetPassword {
        /// The user's email address or id
        #[arg(long)]
        user: String,
    },
    /// List users of the server that is named, otherwise of the one on this machine
    #[command(after_help = "Example:\n  orgkeys user list")]
    List {
        /// List only the users of this organization (id)
        #[arg(long)]
        org: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Create an access token, which is shown only once
    #[command(after_help = "Example:\n  orgkeys token create --user ada@example.org --ttl 30d")]
    Create {
        /// The user's email address or id
        #[arg(long)]
        user: String,
        /// Lifetime, such as 12h or 30d, at most 3650d, or never [default: 90d]
        #[arg(long)]
        ttl: Option<String>,
    },
    /// List access tokens, without their secrets
    #[command(after_help = "Example:\n  orgkeys token list --user ada@example.org")]
    List {
        /// List only the tokens of this user (email address or id)
        #[arg(long)]
        user: Option<String>,
    },
    /// Revoke an access token
    #[command(after_help = "Example:\n  orgkeys token revoke token-...")]
    Revoke {
        /// The token's id
        id: String,
    },
    /// Print a new token for `ORGKEYS_BOOTSTRAP_TOKEN`, without using a database
    #[command(after_help = "Example:\n  (umask 077; orgkeys token generate > bootstrap-token)")]
    Generate,
}

impl OrgCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let command = match self {
            Self::Create { name, owner } => Command::Change(Change::CreateOrg { name, owner }),
            Self::List => Command::List(List::Orgs),
        };
        execute::print(context, command)
    }
}

/// Returns the users of the server on this machine, with the API's field names.
pub fn users(context: &CommandContext, org: Option<String>) -> Result<Vec<Value>, CommandError> {
    match execute::execute(&super::local::settings(context)?, Command::List(List::Users { org }))? {
        Answer::Users(rows) => Ok(rows.iter().map(|row| json!(row)).collect()),
        _ => Err(CommandError::new("the server answered another command: is it of this version?")),
    }
}

impl UserCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let command = match self {
            Self::Create { org, email, role, name, last_name, without_invitation } => {
                let invite = !without_invitation;
                Command::Change(Change::CreateUser { org, email, role, name, last_name, invite })
            }
            Self::ResetPassword { user } => Command::Change(Change::ResetPassword { user }),
            Self::List { org } => Command::List(List::Users { org }),
        };
        execute::print(context, command)
    }
}

impl TokenCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        let command = match self {
            Self::Create { user, ttl } => Command::Change(Change::CreateToken { user, ttl }),
            Self::List { user } => Command::List(List::Tokens { user }),
            Self::Revoke { id } => Command::Change(Change::RevokeToken { id }),
            Self::Generate => {
                let token = secret::SecretKind::AccessToken.fresh(&mut clock::system().rng());
                let json = json!({ "token": token.expose_secret() });
                return context.output.print(&json, || token.expose_secret().to_owned());
            }
        };
        execute::print(context, command)
    }
}
