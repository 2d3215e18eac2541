//! The domain's types. Values are parsed once on entry and trusted afterwards; no I/O of any kind.

pub mod address;
pub mod api_key;
pub mod audit;
pub mod delivery;
pub mod event;
pub mod expiry;
pub mod id;
pub mod node;
pub mod org;
pub mod org_key;
pub mod panic;
pub mod password;
pub mod project;
pub mod role;
pub mod secret;
pub mod session;
pub mod shell;
pub mod statistics;
pub mod text;
pub mod time;
pub mod user;
pub mod webhook;
