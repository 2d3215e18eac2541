//! The calls of `key` and `node`.

use super::super::noun::{Given, Input, Reads, Shows, Verb, argument, option, verb};
use super::super::rows::{Column, Show, plain, shown};

/// What can be done with organization keys.
pub const KEY: &[Verb] = &[
    Verb {
        inputs: &[Input {
            reads: Reads::Choice(&["true", "false"]),
            ..option("retired", "Whether to list retired and deleted keys, too", "retired", Given::Optional)
        }],
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("NAME", "name"),
            plain("STATE", "state"),
            plain("RETIRES", "retireAt"),
            plain("LAST USED", "lastUsed"),
            NODES,
        ]),
        ..verb(
            "list",
            "List the keys, with the number of nodes that use each",
            "listOrganizationKeys",
            "orgkeys key list",
        )
    },
    Verb {
        fixed: &[("format", "json")],
        shows: Shows::Secret {
            pointer: "/data/privateKey",
            what: "private key",
            columns: &[plain("ID", "id"), plain("CREATED", "createdAt")],
        },
        ..verb(
            "create",
            "Create a key. Its private key is shown only once, and the server does not keep it",
            "createOrganizationKey",
            "orgkeys key create --out key.pem",
        )
    },
    Verb {
        inputs: &[argument("id", "The key's id", "")],
        shows: Shows::Item {
            input: "id",
            field: "id",
            columns: &[
                plain("ID", "id"),
                plain("NAME", "name"),
                plain("STATE", "state"),
                plain("CREATED", "createdAt"),
                plain("RETIRES", "retireAt"),
                plain("SUCCESSOR", "successorId"),
                plain("THUMBPRINT", "thumbprint"),
                shown("NODES", "nodeKeys", Show::Each("nodeId")),
                plain("PUBLIC KEY", "publicKey"),
            ],
        },
        ..verb("show", "Show a key, its nodes and its public key", "listOrganizationKeys", "orgkeys key show key-...")
    },
    Verb {
        inputs: &[
            argument("id", "The key's id", "idKey"),
            Input {
                reads: Reads::Seconds,
                ..option(
                    "overlap",
                    "How long the old key still verifies signatures, such as 7d; at most 365d",
                    "overlapSeconds",
                    Given::Default("7d"),
                )
            },
            RETIRE_UNUSED,
            option("name", "The successor's name; by default that of the old key", "name", Given::Optional),
            Input {
                reads: Reads::File,
                ..option(
                    "public-key",
                    "Your own public key as the successor, in PEM: @FILE, or @- for standard input. By default the server \
                     generates a key pair",
                    "publicKey",
                    Given::Optional,
                )
            },
        ],
        fixed: &[("format", "json")],
        shows: Shows::Secret {
            pointer: "/data/privateKey",
            what: "private key",
            columns: &[plain("ID", "id"), plain("PREDECESSOR", "predecessorId"), plain("RETIRES", "retireAt")],
        },
        ..verb(
            "rotate",
            "Replace a key by a new one. The old one still verifies signatures, at most until its last node has moved",
            "rotateOrganizationKey",
            "orgkeys key rotate key-... --overlap 7d --out new-key.pem",
        )
    },
    Verb {
        inputs: &[
            Input {
                reads: Reads::File,
                ..option(
                    "public-key",
                    "The public key in PEM: @FILE, or @- for standard input",
                    "publicKey",
                    Given::Default("@-"),
                )
            },
            option("name", "The key's name", "name", Given::Optional),
        ],
        shows: Shows::One(KEY_COLUMNS),
        ..verb(
            "import",
            "Add a public key whose private key never leaves your machine",
            "importOrganizationKey",
            "orgkeys key import --public-key @public.pem --name ours",
        )
    },
    Verb {
        inputs: &[
            argument("id", "The key's id", "idKey"),
            Input {
                reads: Reads::EndOrNull,
                ..option(
                    "retires",
                    "When it ends: a time (RFC 3339), a duration from now such as 7d, or never",
                    "retireAt",
                    Given::Optional,
                )
            },
            Input { given: Given::Optional, ..RETIRE_UNUSED },
            option("name", "The key's name", "name", Given::Optional),
        ],
        shows: Shows::One(KEY_COLUMNS),
        ..verb(
            "update",
            "Change when a key ends, and its name",
            "updateOrganizationKey",
            "orgkeys key update key-... --retires 30d",
        )
    },
    Verb {
        inputs: &[option(
            "key",
            "The key's id; without it, the deletion of all keys is previewed",
            "key",
            Given::Optional,
        )],
        shows: Shows::One(&[
            plain("KEYS", "keys"),
            plain("NODES", "nodes"),
            plain("HEARD TODAY", "heardToday"),
            plain("LAST USED", "lastUsed"),
            plain("UNAFFECTED", "unaffected"),
            plain("SAMPLE", "sample"),
        ]),
        ..verb(
            "impact",
            "Preview which nodes the deletion of a key would concern. Deletes nothing",
            "getOrganizationKeyImpact",
            "orgkeys key impact --key key-...",
        )
    },
    Verb {
        inputs: &[argument("id", "The key's id", "idKey")],
        shows: Shows::One(KEY_COLUMNS),
        ..verb(
            "restore",
            "Undo the deletion of a key, for a while after it",
            "restoreOrganizationKey",
            "orgkeys key restore key-...",
        )
    },
    Verb {
        inputs: &[argument("id", "The key's id", "idKey")],
        ..verb(
            "delete",
            "Delete a key. Signatures that were made with it are refused from then on",
            "deleteOrganizationKey",
            "orgkeys key delete key-...",
        )
    },
];

const NODES: Column = shown("NODES", "nodeKeys", Show::Count);

const KEY_COLUMNS: &[Column] = &[
    plain("ID", "id"),
    plain("NAME", "name"),
    plain("STATE", "state"),
    plain("BITS", "bits"),
    plain("RETIRES", "retireAt"),
    plain("SUCCESSOR", "successorId"),
];

const RETIRE_UNUSED: Input = Input {
    reads: Reads::Choice(&["true", "false"]),
    ..option(
        "retire-when-unused",
        "Whether the old key ends as soon as its last node has registered with another key",
        "retireWhenUnused",
        Given::Default("true"),
    )
};

/// What can be done with nodes.
pub const NODE: &[Verb] = &[
    Verb {
        inputs: &[
            option("key", "Only the nodes that last registered with this key (id)", "keyId", Given::Optional),
            option("state", "Only the nodes in this state: active, silent or deleted", "state", Given::Optional),
            option("region", "Only the nodes of this region", "region", Given::Optional),
            option(
                "search",
                "Only the nodes whose address, region or version contains this text, or the node with this id",
                "search",
                Given::Optional,
            ),
        ],
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("IP", "ip"),
            plain("REGION", "region"),
            plain("STATUS", "status"),
            plain("VERSION", "version"),
            plain("LAST CALL", "lastUpdated"),
            plain("KEY", "keyId"),
        ]),
        ..verb(
            "list",
            "List the nodes, newest first; deleted ones only with their state",
            "listNodes",
            "orgkeys node list",
        )
    },
    Verb {
        inputs: &[argument("id", "The node's id", "nodeId")],
        ..verb(
            "delete",
            "Delete a node. It stays blocked until it is reactivated, even if its signature is valid",
            "deleteNode",
            "orgkeys node delete node-...",
        )
    },
    Verb {
        inputs: &[argument("id", "The node's id", "nodeId")],
        ..verb("activate", "Reactivate a deleted node", "activateNode", "orgkeys node activate node-...")
    },
];
