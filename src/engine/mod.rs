//! The engine: decides, executes and records every action. There is one way in for callers and one for the server
//! itself.
//!
//! From the bottom up: rights, callers and errors (`rule`, `caller`, `error`); state in memory (`high_water`,
//! `login_attempts`, `polls`); decisions (`access`, `limits`); counts and webhook deliveries (`refusals`,
//! `refused_verifications`, `hourly_counts`, `outbox`); recording (`record`, `pending`); and the two ways in: [`app::App`] for callers,
//! [`system::System`] for the server itself.

pub mod access;
pub mod app;
pub mod authenticate;
pub mod caller;
pub mod environment;
pub mod error;
pub mod high_water;
mod hourly_counts;
pub mod limits;
pub mod login_attempts;
mod outbox;
pub mod pending;
pub mod polls;
mod record;
pub mod refusals;
mod refused_verifications;
pub(crate) mod retired_key;
pub mod rule;
pub(crate) mod setup;
pub mod system;
pub mod verifiers;
