//! A client of the server's HTTP API. Requests are composed from the OpenAPI document, so that the client knows every
//! operation and cannot drift from the server.
//!
//! It imports nothing of the server but `domain` and `crypto`: what it knows of the API is in the document that it is
//! given.

pub mod answer;
pub mod base_url;
pub mod compose;
mod connect;
pub mod document;
pub mod events;
pub mod failure;
pub mod follow;
mod http;
pub mod input;
pub mod noun;
pub mod nouns;
pub mod out_file;
pub mod output;
pub mod profiles;
pub mod request;
pub mod rows;
pub mod server;
pub mod session;
pub mod target;
pub mod text;
mod trust;
