//! What the commands answer. Each type is also the JSON that the command line prints.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::actions::admin::Invitee;
use crate::domain::org::Org;
use crate::domain::time::Time;
use crate::domain::user::{Token, User};

/// What a command answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// A new organization.
    Org(CreatedOrg),
    /// Organizations.
    Orgs(Vec<OrgRow>),
    /// A new user.
    User(CreatedUser),
    /// Users.
    Users(Vec<UserRow>),
    /// An invitation in place of a password.
    PasswordReset(PasswordReset),
    /// A new access token.
    Token(CreatedToken),
    /// Access tokens.
    Tokens(Vec<TokenRow>),
    /// A revoked access token.
    Revoked(RevokedToken),
}

/// A secret that is shown once, in an answer, and nowhere else.
#[derive(Clone, Debug)]
pub struct OneTimeSecret(SecretString);

impl OneTimeSecret {
    /// Returns the secret, to show it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for OneTimeSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for OneTimeSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(SecretString::from(String::deserialize(deserializer)?)))
    }
}

/// An organization.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of an organization")]
pub struct OrgRow {
    pub id: String,
    pub name: String,
    pub created_at: String,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of a user")]
pub struct UserRow {
    pub id: String,
    pub email: String,
    pub name: String,
    pub last_name: String,
    pub org_id: String,
    pub org_role: u8,
    pub org_role_description: String,
}

/// An access token, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of an access token")]
pub struct TokenRow {
    pub id: String,
    pub user_id: String,
    pub name: Option<String>,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub last_used: Option<String>,
}

/// A new organization, and its owner if one was invited.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct CreatedOrg {
    #[serde(flatten)]
    pub org: OrgRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<CreatedUser>,
}

/// A new user, and the invitation if there is one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct CreatedUser {
    #[serde(flatten)]
    pub user: UserRow,
    #[serde(flatten)]
    pub invitation: Option<Invitation>,
}

/// A one-time invitation to set a password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct Invitation {
    pub invitation_token: OneTimeSecret,
    pub invitation_expires_at: String,
}

/// A user without a password, and the invitation to set a new one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct PasswordReset {
    pub user_id: String,
    pub email: String,
    pub token: OneTimeSecret,
    pub expires_at: String,
}

/// A new access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of an access token")]
pub struct CreatedToken {
    pub id: String,
    pub user_id: String,
    pub token: OneTimeSecret,
    pub expires_at: Option<String>,
}

/// A revoked access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub struct RevokedToken {
    pub id: String,
    pub success: bool,
}

fn text(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

impl From<Org> for OrgRow {
    fn from(org: Org) -> Self {
        Self { id: org.id.to_string(), name: org.name, created_at: org.created_at.to_string() }
    }
}

impl From<User> for UserRow {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email,
            name: user.name,
            last_name: user.last_name,
            org_id: user.org.to_string(),
            org_role: user.role.number(),
            org_role_description: user.role.name().to_owned(),
        }
    }
}

impl From<Token> for TokenRow {
    fn from(token: Token) -> Self {
        Self {
            id: token.id.to_string(),
            user_id: token.user.to_string(),
            name: token.name,
            created_at: token.created_at.to_string(),
            expires_at: text(token.expires_at),
            revoked_at: text(token.revoked_at),
            last_used: text(token.last_used),
        }
    }
}

impl From<Org> for CreatedOrg {
    fn from(org: Org) -> Self {
        Self { org: org.into(), owner: None }
    }
}

impl From<(Org, Invitee)> for CreatedOrg {
    fn from((org, owner): (Org, Invitee)) -> Self {
        Self { org: org.into(), owner: Some(owner.into()) }
    }
}

impl From<User> for CreatedUser {
    fn from(user: User) -> Self {
        Self { user: user.into(), invitation: None }
    }
}

impl From<Invitee> for CreatedUser {
    fn from(Invitee { user, secret, ends }: Invitee) -> Self {
        let invitation =
            Invitation { invitation_token: OneTimeSecret(secret), invitation_expires_at: ends.to_string() };
        Self { user: user.into(), invitation: Some(invitation) }
    }
}

impl From<Invitee> for PasswordReset {
    fn from(Invitee { user, secret, ends }: Invitee) -> Self {
        let (user_id, token) = (user.id.to_string(), OneTimeSecret(secret));
        Self { user_id, email: user.email, token, expires_at: ends.to_string() }
    }
}

impl From<(SecretString, Token)> for CreatedToken {
    fn from((secret, token): (SecretString, Token)) -> Self {
        Self {
            id: token.id.to_string(),
            user_id: token.user.to_string(),
            token: OneTimeSecret(secret),
            expires_at: text(token.expires_at),
        }
    }
}
