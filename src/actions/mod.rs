//! What may be done, by whom, and what is recorded of it? One file per noun, one public function per thing a caller can do.

pub mod access;
pub mod account;
pub mod api_key;
pub mod app;
pub mod audit;
pub mod backup;
pub mod bootstrap;
pub mod caller;
pub mod error;
pub mod event;
mod guesses;
pub mod invitation;
pub mod limits;
pub mod login;
pub mod node;
pub mod offline;
pub mod org;
pub mod org_key;
pub mod outside;
pub mod password;
pub mod pending;
pub mod project;
pub mod refusals;
pub mod session;
pub mod signed_call;
pub mod user;
pub mod verification;
