//! An embedded server that holds an organization's keys, the nodes that authenticate with them, and a tamper-evident
//! audit log.
//!
//! The layers, from the top: `cli`, `server`, `api`, `actions`, `engine`, `store`, and at the bottom `domain` and
//! `crypto`. `client`, which calls a server over HTTP, is beside `api` and imports only the two at the bottom. A layer
//! imports only from the layers below it; `ARCHITECTURE.md` says what each layer may know.

pub mod actions;
pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod engine;
pub mod server;
pub mod store;
