//! The calls of `key` and `node`.

use super::super::noun::{Shows, Verb, argument, verb};
use super::super::rows::{Column, Show, plain, shown};

/// What can be done with organization keys.
pub const KEY: &[Verb] = &[
    Verb {
        shows: Shows::List(&[plain("ID", "id"), plain("CREATED", "createdAt"), NODES]),
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
                plain("CREATED", "createdAt"),
                shown("NODES", "nodeKeys", Show::Each("nodeId")),
                plain("PUBLIC KEY", "publicKey"),
            ],
        },
        ..verb("show", "Show a key, its nodes and its public key", "listOrganizationKeys", "orgkeys key show key-...")
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

/// What can be done with nodes.
pub const NODE: &[Verb] = &[
    Verb {
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("IP", "ip"),
            plain("REGION", "region"),
            plain("STATUS", "status"),
            plain("VERSION", "version"),
            plain("LAST CALL", "lastUpdated"),
            plain("KEY", "keyId"),
        ]),
        ..verb("list", "List the nodes that are not deleted, newest first", "listNodes", "orgkeys node list")
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
