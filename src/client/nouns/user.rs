//! The calls of `user`.

use super::super::noun::{Given, Input, Reads, Shows, Verb, argument, option, verb};
use super::super::rows::{plain, role};

/// What can be done with users. The other commands of `user` work on the local database.
pub const VERBS: &[Verb] = &[
    Verb {
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("ORGANIZATION", "orgId"),
            role("ROLE", "orgRole"),
            plain("EMAIL", "email"),
        ]),
        ..verb("list", "List the users of your organization", "listUsers", "orgkeys user list --profile work")
    },
    Verb {
        inputs: &[
            argument("email", "Email address, unique on the server", "email"),
            option("name", "First name", "firstName", Given::Required),
            option("last-name", "Last name", "lastName", Given::Default("")),
            Input { reads: Reads::Role, ..option("role", ROLES, "orgRole", Given::Required) },
        ],
        fixed: &[("sendInvite", "true")],
        shows: Shows::Secret {
            pointer: "/invitationToken",
            what: "invitation",
            columns: &[plain("ID", "id"), role("ROLE", "orgRole"), plain("EMAIL", "email")],
        },
        ..verb(
            "invite",
            "Create a user and print a one-time invitation to set a password, valid for 72 hours",
            "createUser",
            "orgkeys user invite bob@example.org --name Bob --role WORKSPACES --out invitation",
        )
    },
    Verb {
        inputs: &[
            Input { reads: Reads::User, ..argument("user", "The user's id or email address", "id") },
            Input { reads: Reads::Role, ..argument("role", ROLES, "orgRole") },
        ],
        ..verb("role", "Change a user's role", "updateUserRole", "orgkeys user role bob@example.org ADMINISTRATOR")
    },
];

const ROLES: &str = "USER 0, BILLING 1, WORKSPACES 2, ADMINISTRATOR 254 or OWNER 255";
