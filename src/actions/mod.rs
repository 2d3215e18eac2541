//! The actions that a caller can perform: one file per noun, one public function per action. Each says which right it
//! needs and what it records in the audit log.

pub mod account;
pub mod admin;
pub mod api_key;
pub mod audit;
pub mod backup;
pub mod bootstrap;
pub mod clock;
pub mod delivery;
pub mod doctor;
pub mod event;
mod expiry;
#[cfg(test)]
mod flush_tests;
pub mod invitation;
pub mod jobs;
pub mod key_file;
mod login_throttle;
pub mod node;
pub mod open;
pub mod org;
pub mod org_key;
pub mod password;
pub mod periodic_backup;
pub mod project;
pub mod refusals;
pub mod retention;
#[cfg(test)]
mod search_tests;
pub mod secret;
pub mod session;
pub mod setup;
pub mod signed_call;
pub mod statistics;
pub mod stats;
pub mod stream;
pub mod token;
pub mod user;
pub mod verification;
pub mod web_session;
pub mod webhook;
