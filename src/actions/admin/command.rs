//! The commands of whoever runs the server: what each takes, what it answers, and how it is executed. The running
//! server executes them for the program that connects to its socket; without a server, the program does it itself.

mod answer;

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::answer::{
    Answer, CreatedOrg, CreatedToken, CreatedUser, Invitation, OneTimeSecret, OrgRow, PasswordReset, RevokedToken,
    TokenRow, UserRow,
};
use super::{Ttl, user_named};
use crate::actions::bootstrap::TOKEN_TTL;
use crate::domain::event::Event;
use crate::domain::id::OrgId;
use crate::domain::role::Role;
use crate::domain::time::parse_duration;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::system::System;
use crate::store::backup::Snapshot;
use crate::store::{self, ReadTx};

/// The longest lifetime of a token: ten years.
const LONGEST_TTL: Duration = Duration::from_hours(3_650 * 24);

/// The maximum number of rows of a list, so that it fits into the server's memory several times over.
const MOST_ROWS: u32 = 100_000;

/// A command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// A list, which changes nothing.
    List(List),
    /// A change.
    Change(Change),
}

/// A list, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the options of the command line")]
pub enum List {
    /// All organizations.
    Orgs,
    /// The users of one organization, or of all.
    Users { org: Option<String> },
    /// The access tokens of one user, or of all.
    Tokens { user: Option<String> },
}

/// A change. Users are named by email address or id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the options of the command line")]
pub enum Change {
    /// Creates an organization, with an OWNER who is invited if there is an address.
    CreateOrg { name: String, owner: Option<String> },
    /// Creates a user, who is invited unless they shall act by access tokens alone.
    CreateUser { org: String, email: String, role: String, name: String, last_name: String, invite: bool },
    /// Removes a user's password, and invites the user to set a new one.
    ResetPassword { user: String },
    /// Creates an access token.
    CreateToken { user: String, ttl: Option<String> },
    /// Revokes an access token.
    RevokeToken { id: String },
}

impl Command {
    /// The command's name on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(List::Orgs) => "org list",
            Self::List(List::Users { .. }) => "user list",
            Self::List(List::Tokens { .. }) => "token list",
            Self::Change(Change::CreateOrg { .. }) => "org create",
            Self::Change(Change::CreateUser { .. }) => "user create",
            Self::Change(Change::ResetPassword { .. }) => "user reset-password",
            Self::Change(Change::CreateToken { .. }) => "token create",
            Self::Change(Change::RevokeToken { .. }) => "token revoke",
        }
    }
}

/// Executes a command, and records it.
pub fn run(system: &System, command: Command) -> Result<Answer, Error> {
    match command {
        Command::List(list) => {
            let (answer, event) = system.read(|tx| read(tx, &list))?;
            system.write(move |_, _| Ok(((), event)))?;
            Ok(answer)
        }
        Command::Change(change) => make(system, change),
    }
}

/// Reads a list from the file of a database, whether a server is using it or not. Like everything that reads only the
/// file, this is not recorded.
pub fn look(database: &Path, list: &List) -> Result<Answer, Error> {
    Snapshot::open(database)?.read(|tx| Ok(read(tx, list)?.0))
}

fn read(tx: &ReadTx<'_>, list: &List) -> Result<(Answer, Event), Error> {
    let beyond = MOST_ROWS + 1;
    let (answer, what, count) = match list {
        List::Orgs => {
            let orgs = store::org::list(tx, beyond)?;
            let count = bounded(orgs.len(), "organizations: read them from a copy of the database")?;
            (Answer::Orgs(orgs.into_iter().map(OrgRow::from).collect()), "organizations", count)
        }
        List::Users { org } => {
            let unknown = || invalid("--org must be an organization id: see `orgkeys org list`");
            let org = org.as_deref().map(|org| OrgId::parse(org).ok_or_else(unknown)).transpose()?;
            let users = store::user::list(tx, org, beyond)?;
            let count = bounded(users.len(), "users: name an organization with --org")?;
            (Answer::Users(users.into_iter().map(UserRow::from).collect()), "users", count)
        }
        List::Tokens { user } => {
            let user = user.as_deref().map(|user| user_named(tx, user)).transpose()?.map(|user| user.id);
            let tokens = store::token::list(tx, user, beyond)?;
            let count = bounded(tokens.len(), "tokens: name a user with --user")?;
            (Answer::Tokens(tokens.into_iter().map(TokenRow::from).collect()), "tokens", count)
        }
    };
    Ok((answer, Event::Listed { what, count }))
}

fn make(system: &System, change: Change) -> Result<Answer, Error> {
    Ok(match change {
        Change::CreateOrg { name, owner: None } => Answer::Org(super::create_org(system, &name)?.into()),
        Change::CreateOrg { name, owner: Some(email) } => {
            Answer::Org(super::create_org_with_owner(system, &name, &email)?.into())
        }
        Change::CreateUser { org, email, role, name, last_name, invite } => {
            let role = Role::parse(&role).ok_or_else(|| {
                invalid(
                    "--role must be USER, BILLING, WORKSPACES, ADMINISTRATOR or OWNER, or the number of one of these",
                )
            })?;
            Answer::User(if invite {
                super::invite_user(system, &org, &email, role, &name, &last_name)?.into()
            } else {
                super::create_user(system, &org, &email, role, &name, &last_name)?.into()
            })
        }
        Change::ResetPassword { user } => Answer::PasswordReset(super::reset_password(system, &user)?.into()),
        Change::CreateToken { user, ttl } => {
            Answer::Token(super::create_token(system, &user, parse_ttl(ttl.as_deref())?)?.into())
        }
        Change::RevokeToken { id } => {
            super::revoke_token(system, &id)?;
            Answer::Revoked(RevokedToken { id, success: true })
        }
    })
}

fn parse_ttl(text: Option<&str>) -> Result<Ttl, Error> {
    match text {
        None => Ok(Ttl::For(TOKEN_TTL)),
        Some("never") => Ok(Ttl::Never),
        Some(text) => {
            let span = parse_duration(text).filter(|span| (Duration::from_secs(1)..=LONGEST_TTL).contains(span));
            let unusable = || invalid("--ttl must be a duration such as 12h or 30d, at most 3650d, or never");
            Ok(Ttl::For(span.ok_or_else(unusable)?))
        }
    }
}

/// Returns the number of rows if a list holds so many; `what` says of what, and what to do instead.
fn bounded(count: usize, what: &str) -> Result<usize, Error> {
    if count <= MOST_ROWS as usize {
        Ok(count)
    } else {
        Err(invalid(&format!("There are more than {MOST_ROWS} {what}")))
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, "INVALID_FIELD", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_limit_and_says_what_to_do_beyond_it() {
        let most = MOST_ROWS as usize;
        assert_eq!(bounded(most, "tokens: name a user with --user").expect("a list"), most);
        let refused = bounded(most + 1, "tokens: name a user with --user").expect_err("too many");
        assert_eq!(refused.message, "There are more than 100000 tokens: name a user with --user");
    }

    #[test]
    fn the_lifetime_of_a_token_has_two_sides() {
        for (text, secs) in [("1s", 1), ("3650d", 3_650 * 86_400)] {
            assert_eq!(parse_ttl(Some(text)).expect(text), Ttl::For(Duration::from_secs(secs)));
        }
        assert_eq!(parse_ttl(Some("never")).expect("never"), Ttl::Never);
        assert_eq!(parse_ttl(None).expect("the default"), Ttl::For(TOKEN_TTL));
        for text in ["999ms", "3651d", "0s", "soon", ""] {
            assert!(parse_ttl(Some(text)).is_err(), "{text}");
        }
    }
}
