//! What surrounds the operations: authentication, reading requests, observing and answering them, and generating the
//! OpenAPI document.

pub mod asset;
pub mod auth;
pub mod body;
pub mod bridge;
pub mod client_address;
pub mod closing;
pub mod console;
pub mod cors;
pub mod docs;
pub mod document;
pub mod envelope;
pub mod error;
pub mod head;
pub mod json;
pub mod metrics;
pub mod observe;
pub mod paging;
pub mod password_work;
pub mod pipeline;
pub mod proxied;
pub mod receive;
pub mod refusals;
pub mod scan_limit;
pub mod timestamp;
pub mod web_cookie;
