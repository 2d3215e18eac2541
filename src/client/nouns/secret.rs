//! The calls of `secret`.

use super::super::noun::{Given, Input, Shows, Verb, argument, option, verb};
use super::super::rows::{Column, plain};

const COLUMNS: &[Column] =
    &[plain("NAME", "name"), plain("REGION", "region"), plain("BYTES", "bytes"), plain("UPDATED", "updatedAt")];

/// What can be done with secrets.
pub const VERBS: &[Verb] = &[
    Verb {
        shows: Shows::List(COLUMNS),
        ..verb("list", "List the secrets, but not their texts", "listSecrets", "orgkeys secret list")
    },
    Verb {
        inputs: &[
            NAME,
            option("region", "The region whose nodes get it [default: every region]", "region", Given::Optional),
            option("text", "The text: @FILE, or @- for standard input", "text", Given::Default("@-")),
        ],
        shows: Shows::One(COLUMNS),
        ..verb(
            "put",
            "Set the text of a secret. It is never shown again",
            "putSecret",
            "orgkeys secret put s3 --text @s3.env",
        )
    },
    Verb {
        inputs: &[
            NAME,
            option("region", "The region that it was set for [default: every region]", "region", Given::Optional),
        ],
        ..verb("delete", "Delete a secret, which nodes no longer get", "deleteSecret", "orgkeys secret delete s3")
    },
];

const NAME: Input = argument("name", "The secret's name: 1 to 16 lower-case letters and digits", "name");
