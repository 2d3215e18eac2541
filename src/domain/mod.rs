//! What do the words mean? Values that are parsed once at the door and trusted inside; no I/O of any kind.

pub mod address;
pub mod api_key;
pub mod audit;
pub mod delivery;
pub mod event;
pub mod id;
pub mod node;
pub mod org;
pub mod org_key;
pub mod panic;
pub mod password;
pub mod project;
pub mod role;
pub mod session;
pub mod text;
pub mod time;
pub mod user;
pub mod webhook;
