//! The calls of `api-key`.

use super::super::noun::{Given, Input, Reads, Shows, Verb, argument, option, verb};
use super::super::rows::{Column, Show, plain, role, shown};

const COLUMNS: &[Column] = &[
    plain("ID", "id"),
    plain("NAME", "name"),
    role("ROLE", "roleId"),
    plain("STARTS", "startDate"),
    plain("EXPIRES", "expireDate"),
];

/// What can be done with API keys.
pub const VERBS: &[Verb] = &[
    Verb {
        shows: Shows::List(&[
            plain("ID", "apiKeyId"),
            plain("NAME", "apiKeyName"),
            role("ROLE", "roleId"),
            plain("EXPIRES", "expireDate"),
            plain("LAST USED", "lastUsed"),
            plain("DISABLED", "disabled"),
            shown("PROJECTS", "projectsNameList", Show::Each("name")),
        ]),
        ..verb("list", "List the API keys", "listApiKeys", "orgkeys api-key list")
    },
    Verb {
        inputs: &[
            option("name", "The key's name", "userApiKey.apiName", Given::Required),
            Input {
                reads: Reads::Role,
                ..option("role", "USER 0, BILLING 1, WORKSPACES 2 or ADMINISTRATOR 254", "roleId", Given::Required)
            },
            Input {
                reads: Reads::End,
                ..option(
                    "expires",
                    "When it expires: a time (RFC 3339), a duration such as 90d, or never",
                    "userApiKey.expireDateTime",
                    Given::Required,
                )
            },
            Input {
                reads: Reads::Texts,
                ..option(
                    "project",
                    "A project that the key is restricted to (id); may be repeated. Without one, the key is valid for the whole organization",
                    "listProjectsId",
                    Given::Optional,
                )
            },
            option("note", "A free-text note", "note", Given::Optional),
        ],
        fixed: &[("listProjectsId", "[]"), ("userApiKey.hasExpireTime", "true")],
        shows: Shows::Secret { pointer: "/result/apiKey", what: "API key", columns: COLUMNS },
        ..verb(
            "create",
            "Create an API key, which is shown only once",
            "createApiKey",
            "orgkeys api-key create --name Deploys --role WORKSPACES --expires 90d --out api-key",
        )
    },
    Verb {
        inputs: &[
            argument("id", "The key's id", "id"),
            Input {
                reads: Reads::Seconds,
                ..option(
                    "overlap",
                    "How long both keys are valid, such as 24h; at most 30d",
                    "overlapSeconds",
                    Given::Default("24h"),
                )
            },
        ],
        shows: Shows::Secret { pointer: "/result/apiKey", what: "API key", columns: COLUMNS },
        ..verb(
            "rotate",
            "Replace an API key by a new one, which is shown only once. The old one stays valid for a while",
            "rotateApiKey",
            "orgkeys api-key rotate 7 --overlap 24h --out api-key",
        )
    },
    Verb {
        inputs: &[
            option("key", "The API key: @FILE, or @- for standard input", "apiKey", Given::Default("@-")),
            option("project", "A project that the key must be valid for (id)", "projectId", Given::Optional),
            Input {
                reads: Reads::Role,
                ..option("role", "The least role that the key must have", "role", Given::Optional)
            },
        ],
        shows: Shows::Check {
            field: "valid",
            columns: &[
                plain("VALID", "valid"),
                plain("CODE", "code"),
                plain("ID", "apiKeyId"),
                plain("ORGANIZATION", "organizationId"),
                role("ROLE", "roleId"),
                plain("PROJECTS", "projects"),
                plain("EXPIRES", "expireDate"),
            ],
        },
        ..verb(
            "verify",
            "Ask whether an API key is valid. Exits with 1 if it is not",
            "verifyApiKey",
            "orgkeys api-key verify --key @api-key",
        )
    },
    Verb {
        inputs: &[argument("id", "The key's id", "id")],
        ..verb("delete", "Delete an API key, which is refused from then on", "deleteApiKey", "orgkeys api-key delete 7")
    },
];
