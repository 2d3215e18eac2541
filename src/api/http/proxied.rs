//! Detects requests that a proxy forwarded, by the headers that proxies add.

use poem::http::{HeaderMap, HeaderName};

/// Headers that only proxies send.
const NAMES: [&str; 10] = [
    "cdn-loop",
    "client-ip",
    "forwarded",
    "max-forwards",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-scheme",
    "x-url-scheme",
];

/// The beginnings of further headers that only proxies send.
const PREFIXES: [&str; 7] = ["cf-", "forwarded-", "x-arr-", "x-envoy-", "x-forwarded", "x-original-", "x-real-"];

/// Returns whether a proxy forwarded a request. `false` if the proxy adds none of these headers.
pub fn is_proxied(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}
