//! An embedded server that holds an organization's keys, the nodes that prove themselves with them, and an audit log of everything that was done.
//!
//! The layers, from the top: `cli`, `server`, `api`, `actions`, `engine`, `store`, and at the bottom `domain` and `crypto`.
//! Imports run down only; `ARCHITECTURE.md` says what each layer may use.

pub mod actions;
pub mod api;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod engine;
pub mod server;
pub mod store;
