//! `orgkeys org`, `user` and `token`: administration while the server is stopped, for an administrator who is locked
//! out.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{CommandContext, CommandError};
use crate::actions::admin::{self, Ttl};
use crate::actions::bootstrap::TOKEN_TTL;
use crate::config::Choices;
use crate::crypto::secret;
use crate::domain::id::OrgId;
use crate::domain::org::Org;
use crate::domain::role::Role;
use crate::domain::time::{Time, parse_duration};
use crate::domain::user::{Token, User};
use crate::server::clock;

/// Ten years, in seconds.
const LONGEST_TTL: u64 = 3_650 * 86_400;

#[derive(Subcommand)]
pub enum OrgCommand {
    /// Create an organization
    #[command(after_help = "Example:\n  orgkeys org create --name \"Example Ltd\"")]
    Create {
        /// The organization's name
        #[arg(long)]
        name: String,
    },
    /// List all organizations
    #[command(after_help = "Example:\n  orgkeys org list")]
    List,
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Create a user
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
    },
    /// Remove a user's password and print a one-time invitation to set a new one
    #[command(after_help = "Example:\n  orgkeys user reset-password --user ada@example.org")]
    ResetPassword {
        /// The user's email address or id
        #[arg(long)]
        user: String,
    },
    /// List users
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
        match self {
            Self::Create { name } => {
                let org = admin::create_org(&context.open()?, &name)?;
                print_org(context, &org)
                    .map_err(|error| error.and("The organization was created: see `orgkeys org list`"))?;
            }
            Self::List => {
                for org in admin::list_orgs(&context.open()?)? {
                    print_org(context, &org)?;
                }
            }
        }
        Ok(())
    }
}

impl UserCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        match self {
            Self::Create { org, email, role, name, last_name } => {
                let role = Role::parse(&role).ok_or(
                    "--role must be USER, BILLING, WORKSPACES, ADMINISTRATOR or OWNER, or the number of one of these",
                )?;
                let user = admin::create_user(&context.open()?, &org, &email, role, &name, &last_name)?;
                print_user(context, &user)
                    .map_err(|error| error.and("The user was created: see `orgkeys user list`"))?;
            }
            Self::ResetPassword { user } => {
                let (user, secret, ends) = admin::reset_password(&context.open()?, &user)?;
                let secret = secret.expose_secret();
                let json = json!({ "userId": user.id.to_string(), "token": secret, "expiresAt": ends.to_string() });
                let line = || {
                    format!(
                        "{secret}\nThis invitation is shown only once. {} can use it until {ends} to set a new password (POST \
                        /user/verify-email). The user's sessions have ended, but the user's access tokens are still valid.",
                        user.email
                    )
                };
                let undo = "The password was removed, and nobody has seen the invitation: run the command again to get another one";
                context.output.print_done(&json, line, undo)?;
            }
            Self::List { org } => {
                let unknown = "--org must be an organization id: see `orgkeys org list`";
                let org = org.map(|org| OrgId::parse(&org).ok_or(unknown)).transpose()?;
                for user in admin::list_users(&context.open()?, org)? {
                    print_user(context, &user)?;
                }
            }
        }
        Ok(())
    }
}

impl TokenCommand {
    pub fn run(self, context: &CommandContext) -> Result<(), CommandError> {
        match self {
            Self::Create { user, ttl } => {
                let (secret, token) = admin::create_token(&context.open()?, &user, parse_ttl(ttl.as_deref())?)?;
                let secret = secret.expose_secret();
                let json = json!({
                    "id": token.id.to_string(), "userId": token.user.to_string(), "token": secret,
                    "expiresAt": token.expires_at.map(|time| time.to_string()),
                });
                let ends =
                    token.expires_at.map_or_else(|| "does not expire".to_owned(), |time| format!("expires at {time}"));
                let line = || format!("{secret}\n{} {ends}. The token is shown only once.", token.id);
                let undo = format!(
                    "Nobody has seen the token that was created: revoke it with `orgkeys token revoke {}`",
                    token.id
                );
                context.output.print_done(&json, line, &undo)?;
            }
            Self::List { user } => {
                let tokens = admin::list_tokens(&context.open()?, user.as_deref())?;
                for token in tokens {
                    print_token(context, &token)?;
                }
            }
            Self::Revoke { id } => {
                admin::revoke_token(&context.open()?, &id)?;
                let json = json!({ "id": id, "success": true });
                context.output.print_done(
                    &json,
                    || format!("{id} was revoked"),
                    "The token was revoked all the same",
                )?;
            }
            Self::Generate => {
                let token = secret::SecretKind::AccessToken.fresh(&mut clock::system().rng());
                context
                    .output
                    .print(&json!({ "token": token.expose_secret() }), || token.expose_secret().to_owned())?;
            }
        }
        Ok(())
    }
}

fn parse_ttl(text: Option<&str>) -> Result<Ttl, CommandError> {
    match text {
        None => Ok(Ttl::For(TOKEN_TTL)),
        Some("never") => Ok(Ttl::Never),
        Some(text) => {
            let span = parse_duration(text).filter(|span| (1..=LONGEST_TTL).contains(&span.as_secs()));
            Ok(Ttl::For(span.ok_or("--ttl must be a duration such as 12h or 30d, at most 3650d, or never")?))
        }
    }
}

fn print_org(context: &CommandContext, org: &Org) -> Result<(), CommandError> {
    let json = json!({ "id": org.id.to_string(), "name": org.name, "createdAt": org.created_at.to_string() });
    context.output.print(&json, || format!("{}  {}", org.id, org.name))
}

fn print_user(context: &CommandContext, user: &User) -> Result<(), CommandError> {
    let json = json!({
        "id": user.id.to_string(), "email": user.email, "name": user.name, "lastName": user.last_name,
        "orgId": user.org.to_string(), "orgRole": user.role.number(), "orgRoleDescription": user.role.name(),
    });
    context.output.print(&json, || format!("{}  {}  {:<13}  {}", user.id, user.org, user.role.name(), user.email))
}

fn print_token(context: &CommandContext, token: &Token) -> Result<(), CommandError> {
    let text = |time: Option<Time>| time.map(|time| time.to_string());
    let json = json!({
        "id": token.id.to_string(), "userId": token.user.to_string(), "createdAt": token.created_at.to_string(),
        "expiresAt": text(token.expires_at), "revokedAt": text(token.revoked_at), "lastUsed": text(token.last_used),
    });
    let state = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked at {at}"),
        (None, Some(at)) => format!("expires at {at}"),
        (None, None) => "does not expire".to_owned(),
    };
    let used = text(token.last_used).unwrap_or_else(|| "never".to_owned());
    context.output.print(&json, || format!("{}  {}  {state}  last used {used}", token.id, token.user))
}
