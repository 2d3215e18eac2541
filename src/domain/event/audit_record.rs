//! What the audit log stores of each event: its name, its object, how it appears to clients, and a few allowed fields.

use std::fmt::Display;

use serde_json::{Value, json};

use super::{Change, Context, Event};
use crate::domain::api_key::ApiKeyStatus;
use crate::domain::id::{ProjectId, TokenId};
use crate::domain::time::Time;
use crate::domain::webhook::Numbers;

/// The recorded part of an event. Everything but the name may be absent.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// The stable name of the action: a noun and a verb.
    pub action: &'static str,
    /// The type of the object; `None`: the server itself.
    pub context: Option<Context>,
    /// The id of the object.
    pub context_id: Option<String>,
    /// The project in which it happened.
    pub project: Option<ProjectId>,
    /// How it appears to clients; `None` for reads and refusals, which do not appear.
    pub change: Option<Change>,
    /// Whether it was refused.
    pub refused: bool,
    /// The remaining fields, a JSON object.
    pub detail: Option<Value>,
}

impl AuditRecord {
    /// `done` or `refused`, as stored in the log.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        if self.refused { "refused" } else { "done" }
    }

    /// An event of the server itself.
    const fn server(action: &'static str) -> Self {
        Self { action, context: None, context_id: None, project: None, change: None, refused: false, detail: None }
    }

    /// Something was read.
    fn read(action: &'static str, context: Context, id: impl Display) -> Self {
        Self { context: Some(context), context_id: Some(id.to_string()), ..Self::server(action) }
    }

    /// Something was refused.
    fn refused(action: &'static str, context: Context, id: impl Display) -> Self {
        Self { refused: true, ..Self::read(action, context, id) }
    }

    fn created(action: &'static str, context: Context, id: impl Display) -> Self {
        Self { change: Some(Change::Created), ..Self::read(action, context, id) }
    }

    fn updated(action: &'static str, context: Context, id: impl Display) -> Self {
        Self { change: Some(Change::Updated), ..Self::read(action, context, id) }
    }

    fn deleted(action: &'static str, context: Context, id: impl Display) -> Self {
        Self { change: Some(Change::Deleted), ..Self::read(action, context, id) }
    }

    fn with(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    fn within(self, project: ProjectId) -> Self {
        Self { project: Some(project), ..self }
    }

    /// Sets the project if an API key is limited to exactly one.
    fn within_one(self, projects: &[ProjectId]) -> Self {
        if let [project] = projects { self.within(*project) } else { self }
    }
}

impl Event {
    /// Returns what the audit log stores of the event.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table: what is stored of each event")]
    pub fn audit_record(&self) -> AuditRecord {
        use Context::{ApiKey, Node, Org, OrgKey, OrgSettings, User, Workspace, WorkspaceUser};
        let id = |session: &TokenId| json!({ "tokenId": session.to_string() });
        match self {
            Self::OrgCreated { org } => AuditRecord::created("org.create", Org, org),
            Self::OrgUpdated { org } => AuditRecord::updated("org.update", Org, org),
            Self::OrgRead { org } => AuditRecord::read("org.read", Org, org),
            Self::UserCreated { user, role, invited } => AuditRecord::created("user.create", User, user)
                .with(json!({ "role": role.number(), "invited": invited })),
            Self::UserInvited { user } => AuditRecord::updated("user.invite", User, user),
            Self::UserVerified { user } => AuditRecord::updated("user.verify", User, user),
            Self::UserUpdated { user } => AuditRecord::updated("user.update", User, user),
            Self::UserRoleChanged { user, from, to } => AuditRecord::updated("user.role", User, user)
                .with(json!({ "previousRole": from.number(), "newRole": to.number() })),
            Self::UserDeleted { user, tokens_ended, api_keys, made } => AuditRecord::deleted("user.delete", User, user)
                .with(json!({ "tokensEnded": tokens_ended, "apiKeys": strings(api_keys), "apiKeysTotal": made })),
            Self::UserActivated { user } => AuditRecord::updated("user.activate", User, user),
            Self::UserRead { user } => AuditRecord::read("user.read", User, user),
            Self::UsersListed { org, count } => {
                AuditRecord::read("user.list", Org, org).with(json!({ "count": count }))
            }
            Self::ProfileRead { user } => AuditRecord::read("user.profile", User, user),
            Self::PasswordChanged { user, sessions_ended } => {
                AuditRecord::updated("user.password", User, user).with(json!({ "sessionsEnded": sessions_ended }))
            }
            Self::TokenCreated { token, user, expires } => {
                AuditRecord::updated("token.create", User, user).with(json!({
                    "tokenId": token.to_string(), "expiresAt": expires.map(|time| time.to_string()),
                }))
            }
            Self::TokenRevoked { token, user } => {
                AuditRecord::updated("token.revoke", User, user).with(json!({ "revokedTokenId": token.to_string() }))
            }
            Self::TokenExpiring { token, user, days, ends } => AuditRecord::updated("token.expiring", User, user)
                .with(json!({ "tokenId": token.to_string(), "days": days, "ends": ends.to_string() })),
            Self::LoggedIn { session, user } => AuditRecord::updated("session.begin", User, user).with(id(session)),
            Self::SessionRefreshed { session, user } => {
                AuditRecord::read("session.refresh", User, user).with(id(session))
            }
            Self::PasswordConfirmed { session, user } => {
                AuditRecord::read("session.confirm", User, user).with(id(session))
            }
            Self::RefreshReused { session, user } => {
                AuditRecord::updated("session.reuse", User, user).with(id(session))
            }
            Self::SessionsListed { user, count } => {
                AuditRecord::read("session.list", User, user).with(json!({ "count": count }))
            }
            Self::LoginsRefused { org, code, network, minute, count } => {
                AuditRecord::refused("session.refused", User, org).with(counted(code, network, *minute, *count))
            }
            Self::ProjectCreated { project } => {
                AuditRecord::created("project.create", Workspace, project).within(*project)
            }
            Self::ProjectUpdated { project } => {
                AuditRecord::updated("project.update", Workspace, project).within(*project)
            }
            Self::ProjectDeleted { project, api_keys } => AuditRecord::deleted("project.delete", Workspace, project)
                .with(json!({ "apiKeys": strings(api_keys) }))
                .within(*project),
            Self::ProjectRead { project } => AuditRecord::read("project.read", Workspace, project).within(*project),
            Self::ProjectsListed { org, count } => {
                AuditRecord::read("project.list", Org, org).with(json!({ "count": count }))
            }
            Self::MemberPut { project, user, role, new } => {
                let change = if *new { AuditRecord::created } else { AuditRecord::updated };
                change("member.put", WorkspaceUser, user).with(json!({ "role": role })).within(*project)
            }
            Self::MemberRemoved { project, user } => {
                AuditRecord::deleted("member.remove", WorkspaceUser, user).within(*project)
            }
            Self::ApiKeyCreated { key } => {
                AuditRecord::created("api_key.create", ApiKey, key.id).with(reach(key)).within_one(&key.projects)
            }
            Self::ApiKeyUpdated { key } => {
                AuditRecord::updated("api_key.update", ApiKey, key.id).with(reach(key)).within_one(&key.projects)
            }
            Self::ApiKeyRotated { key, successor, ends, projects } => {
                AuditRecord::updated("api_key.rotate", ApiKey, key)
                    .with(json!({ "successor": successor.to_string(), "ends": ends.to_string() }))
                    .within_one(projects)
            }
            Self::ApiKeyExpiring { key, days, ends, projects } => AuditRecord::updated("apikey.expiring", ApiKey, key)
                .with(json!({ "days": days, "ends": ends.to_string() }))
                .within_one(projects),
            Self::ApiKeyDeleted { key, projects } => {
                AuditRecord::deleted("api_key.delete", ApiKey, key).within_one(projects)
            }
            Self::ApiKeysListed { org, project, count } => {
                let audit_record = AuditRecord::read("api_key.list", ApiKey, org).with(json!({ "count": count }));
                AuditRecord { project: *project, ..audit_record }
            }
            Self::OrgKeyCreated { key, brought, bits } => {
                AuditRecord::created("org_key.create", OrgKey, key).with(json!({ "brought": brought, "bits": bits }))
            }
            Self::OrgKeyRotated { key, successor, retire_at, nodes } => {
                AuditRecord::updated("org_key.rotate", OrgKey, key).with(json!({
                    "successor": successor.to_string(), "retireAt": retire_at.to_string(), "nodes": nodes,
                }))
            }
            Self::OrgKeyUpdated { key, retire_at, retire_unused, renamed } => {
                AuditRecord::updated("org_key.update", OrgKey, key).with(json!({
                    "retireAt": retire_at.map(|at| at.to_string()), "retireWhenUnused": retire_unused, "renamed": renamed,
                }))
            }
            Self::OrgKeyRetiring { key, days, nodes, ends } => AuditRecord::updated("org_key.retiring", OrgKey, key)
                .with(json!({ "days": days, "nodes": nodes, "ends": ends.to_string() })),
            Self::OrgKeyUnused { key } => AuditRecord::updated("org_key.unused", OrgKey, key),
            Self::OrgKeyRetired { key, why, nodes } => {
                AuditRecord::updated("org_key.retired", OrgKey, key).with(json!({ "why": why.name(), "nodes": nodes }))
            }
            Self::OrgKeysListed { org, count } => {
                AuditRecord::read("org_key.list", OrgKey, org).with(json!({ "count": count }))
            }
            Self::OrgKeyDeleted { key, nodes, until } => AuditRecord::deleted("org_key.delete", OrgKey, key)
                .with(json!({ "nodes": nodes, "until": until.map(|at| at.to_string()) })),
            Self::OrgKeysDeleted { org, keys, nodes, until } => AuditRecord::deleted("org_key.delete_all", OrgKey, org)
                .with(json!({ "keys": strings(keys), "nodes": nodes, "until": until.map(|at| at.to_string()) })),
            Self::OrgKeyRestored { key } => AuditRecord::created("org_key.restore", OrgKey, key),
            Self::OrgKeyImpactRead { org, key, nodes } => {
                let about = key.map_or_else(|| org.to_string(), |key| key.to_string());
                AuditRecord::read("org_key.impact", OrgKey, about).with(json!({ "nodes": nodes }))
            }
            Self::NodeRegistered { node, key, new, message } => {
                let change = if *new { AuditRecord::created } else { AuditRecord::updated };
                change("node.register", Node, node).with(json!({ "keyId": key.to_string(), "message": message }))
            }
            Self::NodeUnregistered { node, key, message } => AuditRecord::deleted("node.unregister", Node, node)
                .with(json!({ "keyId": key.to_string(), "message": message })),
            Self::NodeSilent { node, ip, last } => AuditRecord::updated("node.silent", Node, node)
                .with(json!({ "ip": ip, "lastContact": last.to_string() })),
            Self::NodesListed { org, count } => {
                AuditRecord::read("node.list", Node, org).with(json!({ "count": count }))
            }
            Self::NodeDeleted { node } => AuditRecord::deleted("node.delete", Node, node),
            Self::NodeActivated { node } => AuditRecord::updated("node.activate", Node, node),
            Self::EventsListed { org, count } => {
                AuditRecord::read("event.list", Org, org).with(json!({ "count": count }))
            }
            Self::EventsStreamed { org, after } => {
                AuditRecord::read("event.stream", Org, org).with(json!({ "after": after }))
            }
            Self::EventsMarked { user, read, count } => {
                AuditRecord::read("event.mark", User, user).with(json!({ "read": read, "count": count }))
            }
            Self::AuditRead { org, from: (word, seq), count, quiet } => AuditRecord::read("audit.read", Org, org)
                .with(json!({ (*word): seq, "count": count, "quietReads": quiet })),
            Self::AuditHeadRead { org, quiet } => {
                AuditRecord::read("audit.head", Org, org).with(json!({ "quietReads": quiet }))
            }
            Self::AuditPolled { org, reader, quiet } => AuditRecord::read("audit.polled", Org, org)
                .with(json!({ "quietReads": quiet, "userId": reader.map_or_else(|| "system".to_owned(), |user| user.to_string()) })),
            Self::StatisticsRead { org } => AuditRecord::read("statistics.read", Org, org),
            Self::AuditTrimmed { org, seq, hash, count } => {
                let audit_record = org
                    .map_or_else(|| AuditRecord::server("audit.trim"), |org| AuditRecord::read("audit.trim", Org, org));
                audit_record.with(json!({ "seq": seq, "hash": hash, "count": count }))
            }
            Self::AccessDenied { org, rule } => {
                AuditRecord::refused("access.denied", Org, org).with(json!({ "rule": rule }))
            }
            Self::SignedCallsRefused { org, code, network, minute, count } => {
                AuditRecord::refused("node.refused", Node, org).with(counted(code, network, *minute, *count))
            }
            Self::WebhookCreated { webhook, contexts, changes, disabled } => {
                AuditRecord::created("webhook.create", OrgSettings, webhook)
                    .with(subscribed(*contexts, *changes, *disabled))
            }
            Self::WebhookUpdated { webhook, contexts, changes, disabled, moved } => {
                let mut detail = subscribed(*contexts, *changes, *disabled);
                detail["urlChanged"] = json!(moved);
                AuditRecord::updated("webhook.update", OrgSettings, webhook).with(detail)
            }
            Self::WebhookDeleted { webhook } => AuditRecord::deleted("webhook.delete", OrgSettings, webhook),
            Self::WebhookRead { webhook } => AuditRecord::read("webhook.read", OrgSettings, webhook),
            Self::WebhooksListed { org, count } => {
                AuditRecord::read("webhook.list", OrgSettings, org).with(json!({ "count": count }))
            }
            Self::WebhookRotated { webhook, until } => AuditRecord::updated("webhook.rotate", OrgSettings, webhook)
                .with(json!({ "previousUntil": until.to_string() })),
            Self::WebhookTested { webhook, delivery } => AuditRecord::updated("webhook.test", OrgSettings, webhook)
                .with(json!({ "deliveryId": delivery.to_string() })),
            Self::DeliveriesListed { webhook, count } => {
                AuditRecord::read("webhook.deliveries", OrgSettings, webhook).with(json!({ "count": count }))
            }
            Self::DeliveryReplayed { webhook, delivery } => {
                AuditRecord::updated("webhook.replay", OrgSettings, webhook)
                    .with(json!({ "deliveryId": delivery.to_string() }))
            }
            Self::DeliveriesReplayed { webhook, since, count } => {
                AuditRecord::updated("webhook.replay", OrgSettings, webhook)
                    .with(json!({ "since": since.to_string(), "count": count }))
            }
            Self::DeliveryFailed { webhook, count, only, .. } => {
                let mut detail = json!({ "count": count });
                if let Some((delivery, event)) = only {
                    (detail["deliveryId"], detail["eventId"]) = (json!(delivery.to_string()), json!(event));
                }
                AuditRecord::updated("webhook.failed", OrgSettings, webhook).with(detail)
            }
            Self::WebhookDisabled { webhook, why, failed } => {
                AuditRecord::updated("webhook.disabled", OrgSettings, webhook)
                    .with(json!({ "failed": failed, "why": why.name() }))
            }
            Self::SecretPut { secret, name, region, bytes, new } => {
                let change = if *new { AuditRecord::created } else { AuditRecord::updated };
                change("secret.put", OrgSettings, secret)
                    .with(json!({ "name": name.as_str(), "region": region, "bytes": bytes }))
            }
            Self::SecretDeleted { secret, name, region } => AuditRecord::deleted("secret.delete", OrgSettings, secret)
                .with(json!({ "name": name.as_str(), "region": region })),
            Self::SecretsListed { org, count } => {
                AuditRecord::read("secret.list", OrgSettings, org).with(json!({ "count": count }))
            }
            Self::SecretsRead { node, key, names, message } => {
                let detail = json!({ "keyId": key.to_string(), "names": strings(names), "message": message });
                AuditRecord {
                    context: Some(Node),
                    context_id: node.map(|node| node.to_string()),
                    ..AuditRecord::server("secret.read")
                }
                .with(detail)
            }
            Self::Listed { what, count } => {
                AuditRecord::server("server.list").with(json!({ "what": what, "count": count }))
            }
            Self::BackedUp { at, heads } => {
                AuditRecord::server("server.backup").with(json!({ "at": at.to_string(), "heads": heads }))
            }
            Self::Restored { old_heads, new_heads, tokens_ended } => AuditRecord::server("server.restore")
                .with(json!({ "oldHeads": old_heads, "newHeads": new_heads, "tokensEnded": tokens_ended })),
            Self::ClockWentBack { from, to } => {
                AuditRecord::server("clock.backwards").with(json!({ "from": from.to_string(), "to": to.to_string() }))
            }
            Self::ClockLeapt { from, to, at_start } => AuditRecord::server("clock.forwards")
                .with(json!({ "from": from.to_string(), "to": to.to_string(), "atStart": at_start })),
            Self::ClockAccepted { high_water } => {
                AuditRecord::server("clock.accept").with(json!({ "highWater": high_water.to_string() }))
            }
            Self::Upgraded { from, to } => {
                AuditRecord::server("server.upgrade").with(json!({ "from": from, "to": to }))
            }
        }
    }
}

fn counted(code: &str, network: &str, minute: Time, count: u64) -> Value {
    json!({ "errorCode": code, "network": network, "minute": minute.to_string(), "count": count })
}

fn subscribed(contexts: Numbers, changes: Numbers, disabled: bool) -> Value {
    json!({ "contexts": contexts.list(), "events": changes.list(), "disabled": disabled })
}

fn reach(key: &ApiKeyStatus) -> Value {
    json!({
        "role": key.role.number(), "projects": strings(&key.projects), "startDate": key.start.to_string(),
        "expireDate": key.expire.map(|end| end.to_string()), "disabled": key.disabled,
    })
}

fn strings(ids: &[impl Display]) -> Value {
    ids.iter().map(ToString::to_string).collect()
}
