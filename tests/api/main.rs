//! What users, nodes and attackers see: one server per test, in this process, on a port of the system's choice.

mod access;
mod api_key_limits;
mod api_key_rights;
mod api_key_rotation;
mod api_key_windows;
mod api_keys;
mod audit;
mod audit_chain;
mod audit_refusals;
mod credentials;
mod crowd;
mod events;
mod full;
mod harness;
mod http;
mod http_clients;
mod keys_and_nodes;
mod nodes;
mod openapi;
mod org_keys;
mod projects;
mod races;
mod seeds;
mod slow;
