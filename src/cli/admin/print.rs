//! Prints what a command answered: JSON objects, or one line for each object, and what is shown only once.

use serde_json::json;

use crate::actions::admin::command::{
    Answer, CreatedOrg, CreatedToken, CreatedUser, OrgRow, PasswordReset, RevokedToken, TokenRow, UserRow,
};
use crate::cli::CommandContext;

/// Prints an answer.
pub fn answered(context: &CommandContext, answer: Answer) {
    match answer {
        Answer::Org(created) => context.print(&json!(created), || created_org(&created)),
        Answer::Orgs(rows) => rows.iter().for_each(|row| context.print(&json!(row), || org(row))),
        Answer::User(created) => context.print(&json!(created), || created_user(&created)),
        Answer::Users(rows) => rows.iter().for_each(|row| context.print(&json!(row), || user(row))),
        Answer::PasswordReset(reset) => context.print(&json!(reset), || password_reset(&reset)),
        Answer::Token(created) => context.print(&json!(created), || created_token(&created)),
        Answer::Tokens(rows) => rows.iter().for_each(|row| context.print(&json!(row), || token(row))),
        Answer::Revoked(revoked) => context.print(&json!(revoked), || revoked_token(&revoked)),
    }
}

fn org(OrgRow { id, name, .. }: &OrgRow) -> String {
    format!("{id}  {name}")
}

fn user(UserRow { id, org_id, org_role_description, email, .. }: &UserRow) -> String {
    format!("{id}  {org_id}  {org_role_description:<13}  {email}")
}

fn token(row: &TokenRow) -> String {
    let state = match (&row.revoked_at, &row.expires_at) {
        (Some(at), _) => format!("revoked at {at}"),
        (None, Some(at)) => format!("expires at {at}"),
        (None, None) => "does not expire".to_owned(),
    };
    let used = row.last_used.as_deref().unwrap_or("never");
    format!("{}  {}  {state}  last used {used}", row.id, row.user_id)
}

fn created_org(CreatedOrg { org: created, owner }: &CreatedOrg) -> String {
    let owner = owner.as_ref().map_or_else(String::new, |owner| format!("\n{}", created_user(owner)));
    format!("{}{owner}", org(created))
}

fn created_user(CreatedUser { user: created, invitation }: &CreatedUser) -> String {
    let invitation = invitation.as_ref().map_or_else(String::new, |invitation| {
        format!(
            "\n{}\nThis invitation is shown only once. {} can use it until {} to set a password (POST /user/verify-email).",
            invitation.invitation_token.text(),
            created.email,
            invitation.invitation_expires_at
        )
    });
    format!("{}{invitation}", user(created))
}

fn password_reset(reset: &PasswordReset) -> String {
    format!(
        "{}\nThis invitation is shown only once. {} can use it until {} to set a new password (POST /user/verify-email). The \
         user's sessions have ended, but the user's access tokens are still valid.",
        reset.token.text(),
        reset.email,
        reset.expires_at
    )
}

fn created_token(created: &CreatedToken) -> String {
    let ends =
        created.expires_at.as_ref().map_or_else(|| "does not expire".to_owned(), |at| format!("expires at {at}"));
    format!("{}\n{} {ends}. The token is shown only once.", created.token.text(), created.id)
}

fn revoked_token(RevokedToken { id, .. }: &RevokedToken) -> String {
    format!("{id} was revoked")
}
