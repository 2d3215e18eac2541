//! Webhooks and their deliveries.

use super::Row;

pub const ROWS: &[Row] = &[
    ("createWebhook", "USER", "HOOKS", HOOK, 403, r#"access.denied 4 ORG - refused {"rule":"manage webhooks"}"#),
    ("createWebhook", "OWNER", "HOOKS", r#"{"url":"ftp://a"}"#, 400, ""),
    (
        "createWebhook",
        "OWNER",
        "HOOKS",
        HOOK,
        201,
        r#"webhook.create 8 HOOK 0 done {"contexts":[10],"events":[0,2],"disabled":false}"#,
    ),
    ("listWebhooks", "OWNER", "HOOKS", "", 200, r#"webhook.list 8 ORG - done {"count":1}"#),
    ("listWebhooks", "USER", "HOOKS", "", 403, r#"access.denied 4 ORG - refused {"rule":"see webhooks"}"#),
    ("getWebhook", "OWNER", "HOOKS/HOOK", "", 200, "webhook.read 8 HOOK - done -"),
    ("getWebhook", "OWNER", "HOOKS/webhook-1", "", 404, ""),
    (
        "updateWebhook",
        "OWNER",
        "HOOKS/HOOK",
        r#"{"url":"https://b.example/?secret","contexts":[]}"#,
        200,
        r#"webhook.update 8 HOOK 1 done {"contexts":[],"events":[0,2],"disabled":false,"urlChanged":true}"#,
    ),
    (
        "rotateWebhookSecret",
        "OWNER",
        "HOOKS/HOOK/rotate-secret",
        r#"{"overlapSeconds":0}"#,
        200,
        r#"webhook.rotate 8 HOOK 1 done {"previousUntil":"NOW"}"#,
    ),
    ("testWebhook", "OWNER", "HOOKS/HOOK/test", "", 200, r#"webhook.test 8 HOOK 1 done {"deliveryId":"SENT"}"#),
    (
        "listWebhookDeliveries",
        "OWNER",
        "HOOKS/HOOK/deliveries",
        "",
        200,
        r#"webhook.deliveries 8 HOOK - done {"count":1}"#,
    ),
    (
        "replayWebhookDelivery",
        "OWNER",
        "HOOKS/HOOK/deliveries/SENT/replay",
        "",
        200,
        r#"webhook.replay 8 HOOK 1 done {"deliveryId":"SENT"}"#,
    ),
    ("replayWebhookDelivery", "OWNER", "HOOKS/HOOK/deliveries/SENT/replay", "", 409, ""),
    (
        "replayWebhookDeliveries",
        "OWNER",
        "HOOKS/HOOK/replay",
        r#"{"since":"2024-01-15T11:30:00+01:00"}"#,
        200,
        r#"webhook.replay 8 HOOK 1 done {"since":"2024-01-15T10:30:00.000Z","count":0}"#,
    ),
    ("deleteWebhook", "OWNER", "HOOKS/HOOK", "", 200, "webhook.delete 8 HOOK 2 done -"),
    ("deleteWebhook", "OWNER", "HOOKS/HOOK", "", 404, ""),
];

const HOOK: &str = r#"{"url":"https://a.example/x?k=v","contexts":[10],"events":[2,0]}"#;
