//! What users, nodes and attackers see: one server per test, in this process, on a port of the system's choice.

mod harness;
mod nodes;
mod openapi;
mod org_keys;
mod seeds;
