//! The calls of `webhook`.

use super::super::noun::{Given, Input, Reads, Shows, Verb, argument, option, verb};
use super::super::rows::plain;

/// What can be done with webhooks.
pub const VERBS: &[Verb] = &[
    Verb {
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("NAME", "name"),
            plain("URL", "url"),
            plain("DISABLED", "disabled"),
            plain("LAST ATTEMPT", "lastAt"),
            plain("STATUS", "lastStatus"),
            plain("ERROR", "lastWhy"),
        ]),
        ..verb("list", "List the webhooks", "listWebhooks", "orgkeys webhook list")
    },
    Verb {
        inputs: &[
            argument("target", "The URL to send events to", "body-url"),
            option("name", "The webhook's name", "name", Given::Optional),
            Input {
                reads: Reads::Texts,
                ..option(
                    "context",
                    "A kind of object to send events about, as a number; may be repeated [default: all]",
                    "contexts",
                    Given::Optional,
                )
            },
            Input {
                reads: Reads::Texts,
                ..option(
                    "event",
                    "0 created, 1 updated or 2 deleted; may be repeated [default: all]",
                    "events",
                    Given::Optional,
                )
            },
        ],
        shows: Shows::Secret {
            pointer: "/data/secret",
            what: "secret for verifying signatures",
            columns: &[plain("ID", "id"), plain("URL", "url")],
        },
        ..verb(
            "create",
            "Create a webhook. Its secret is shown only once",
            "createWebhook",
            "orgkeys webhook create https://hooks.example.org/orgkeys --out webhook-secret",
        )
    },
    Verb {
        inputs: &[ID],
        shows: Shows::One(&[plain("DELIVERY", "deliveryId")]),
        ..verb("test", "Send a test event", "testWebhook", "orgkeys webhook test webhook-...")
    },
    Verb {
        inputs: &[
            ID,
            Input {
                reads: Reads::Choice(&["pending", "delivered", "failed"]),
                ..option("state", "Only deliveries in this state", "state", Given::Optional)
            },
        ],
        shows: Shows::List(&[
            plain("ID", "id"),
            plain("EVENT", "eventId"),
            plain("STATE", "state"),
            plain("ATTEMPTS", "attempts"),
            plain("NEXT ATTEMPT", "nextAttemptAt"),
            plain("STATUS", "lastStatus"),
            plain("ERROR", "lastWhy"),
        ]),
        ..verb(
            "deliveries",
            "List the deliveries of a webhook, newest first",
            "listWebhookDeliveries",
            "orgkeys webhook deliveries webhook-... --state failed",
        )
    },
    Verb {
        inputs: &[ID, argument("delivery", "The delivery's id", "deliveryId")],
        ..verb(
            "redeliver",
            "Send a delivery again. To send all that failed since a time, use `orgkeys api replayWebhookDeliveries`",
            "replayWebhookDelivery",
            "orgkeys webhook redeliver webhook-... delivery-...",
        )
    },
    Verb {
        inputs: &[ID],
        ..verb(
            "delete",
            "Delete a webhook and its pending deliveries",
            "deleteWebhook",
            "orgkeys webhook delete webhook-...",
        )
    },
];

const ID: Input = argument("id", "The webhook's id", "webhookId");
