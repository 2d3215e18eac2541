//! Prints what a command answered: JSON objects, or one line for each object, and what is shown only once.

use serde_json::json;

use crate::actions::admin::command::{
    Answer, CreatedOrg, CreatedToken, CreatedUser, OrgRow, PasswordReset, RevokedToken, TokenRow, UserRow,
};
use crate::cli::CommandError;
use crate::cli::output::Output;
use crate::domain::shell::quoted;

/// Prints an answer. A change was made already: if its result cannot be printed, the error says how to go on.
pub fn answered(output: Output, answer: Answer) -> Result<(), CommandError> {
    match answer {
        Answer::Org(created) => {
            output.print_done(&json!(created), || created_org(&created), &created_org_unseen(&created))
        }
        Answer::Orgs(rows) => rows.iter().try_for_each(|row| output.print(&json!(row), || org(row))),
        Answer::User(created) => {
            output.print_done(&json!(created), || created_user(&created), &created_user_unseen(&created))
        }
        Answer::Users(rows) => rows.iter().try_for_each(|row| output.print(&json!(row), || user(row))),
        Answer::PasswordReset(reset) => output.print_done(
            &json!(reset),
            || password_reset(&reset),
            "The password was removed, and nobody has seen the invitation: run the command again to get another one",
        ),
        Answer::Token(created) => output.print_done(
            &json!(created),
            || created_token(&created),
            &format!(
                "Nobody has seen the token that was created: revoke it with `orgkeys token revoke {}`",
                created.id
            ),
        ),
        Answer::Tokens(rows) => rows.iter().try_for_each(|row| output.print(&json!(row), || token(row))),
        Answer::Revoked(revoked) => {
            output.print_done(&json!(revoked), || revoked_token(&revoked), "The token was revoked all the same")
        }
    }
}

fn created_org_unseen(CreatedOrg { owner, .. }: &CreatedOrg) -> String {
    owner.as_ref().map_or_else(
        || "The organization was created: see `orgkeys org list`".to_owned(),
        |owner| format!("The organization was created: see `orgkeys org list`. {}", created_user_unseen(owner)),
    )
}

fn created_user_unseen(CreatedUser { user, invitation }: &CreatedUser) -> String {
    match invitation {
        None => "The user was created: see `orgkeys user list`".to_owned(),
        Some(_) => format!(
            "The user was created, and nobody has seen the invitation: run `orgkeys user reset-password --user {}` to get \
             another one",
            quoted(&user.email)
        ),
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
    let name = row.name.as_ref().map_or_else(String::new, |name| format!("  {name}"));
    format!("{}  {}  {state}  last used {used}{name}", row.id, row.user_id)
}

fn created_org(CreatedOrg { org: created, owner }: &CreatedOrg) -> String {
    let owner = owner.as_ref().map_or_else(String::new, |owner| format!("\n{}", created_user(owner)));
    format!("{}{owner}", org(created))
}

fn created_user(CreatedUser { user: created, invitation }: &CreatedUser) -> String {
    let invitation = invitation.as_ref().map_or_else(String::new, |invitation| {
        format!(
            "\n{}\nThis invitation is shown only once. {} can use it until {} to set a password (`orgkeys api verifyEmail`, or POST /user/verify-email).",
            invitation.invitation_token.text(),
            created.email,
            invitation.invitation_expires_at
        )
    });
    format!("{}{invitation}", user(created))
}

fn password_reset(reset: &PasswordReset) -> String {
    format!(
        "{}\nThis invitation is shown only once. {} can use it until {} to set a new password (`orgkeys api verifyEmail`, or POST /user/verify-email). The \
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
