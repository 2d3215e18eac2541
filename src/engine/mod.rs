//! How is a thing decided, done and recorded? One way for everything that somebody asks for, and one for what the server does by itself.
//!
//! From the ground up: what is asked for and by whom (`rule`, `caller`, `error`), what the engine remembers (`high_water`,
//! `login_attempts`, `polls`), who decides (`access`, `limits`), what is counted and sent (`refusals`, `outbox`), how it is
//! recorded (`record`, `pending`), and the two ways in: [`app::App`] for callers, [`system::System`] for the server itself.

pub mod access;
pub mod app;
pub mod authenticate;
pub mod caller;
pub mod environment;
pub mod error;
pub mod high_water;
pub mod limits;
pub mod login_attempts;
mod outbox;
pub mod pending;
pub mod polls;
mod record;
pub mod refusals;
pub mod rule;
pub mod system;
pub mod verifiers;
