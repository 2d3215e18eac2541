//! The server as users, nodes and attackers see it: one server per test, in this process, on a free port.

#[path = "../shared/closed_port.rs"]
mod closed_port;
#[path = "../shared/key_pairs.rs"]
mod key_pairs;
#[path = "../shared/missing.rs"]
mod missing;
#[path = "../shared/signing.rs"]
mod signing;

/// The program's own allocator, without the wiping: with that of the system the tests take longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod access;
mod access_tokens;
mod accounts;
mod announcements;
mod api_key_creators;
mod api_key_limits;
mod api_key_rights;
mod api_key_rotation;
mod api_key_uses;
mod api_key_windows;
mod api_keys;
mod audit;
mod audit_chain;
mod audit_newest;
mod audit_pages;
mod audit_refusals;
mod body_forms;
mod breaking;
mod clock;
mod clock_ahead;
mod clock_doctor;
mod clock_ids;
mod clock_keys;
mod clock_outage;
mod connections;
mod console;
mod contract;
mod courier;
mod credentials;
mod deploy_metrics;
mod docs;
mod doctor_times;
mod email_addresses;
mod events;
mod examples;
mod fresh_server;
mod full_disk;
mod harness;
mod http;
mod http_clients;
mod invariants;
mod keys_and_nodes;
mod limits;
mod logins;
mod metrics;
mod node_addresses;
mod node_limit;
mod node_lists;
mod nodes;
mod nosniff;
mod openapi;
mod org_key_responses;
mod org_keys;
mod orgs;
mod outbox;
mod outbox_down;
mod outbox_fairness;
mod outbox_full_disk;
mod outbox_keys;
mod outbox_limit;
mod outbox_races;
mod outbox_retention;
mod password_guessing;
mod password_work;
mod periodic_backups;
mod projects;
mod races;
mod rates;
mod refused_verifications;
mod retention;
mod rotation;
mod secrets;
mod session_ends;
mod sessions;
mod setup_link;
mod slow_clients;
mod statistics;
mod statuses;
mod step_up;
mod stream;
mod stream_ends;
mod stream_idle;
mod strict_http;
mod texts;
mod token_expiry;
mod user_limit;
mod user_roles;
mod users;
mod verification;
mod web_sessions;
mod webhook_addresses;
mod webhooks;
