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

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    #[test]
    fn each_common_proxy_is_recognized_by_any_of_its_headers_alone() {
        let proxies = [
            ("nginx and others", "X-Real-IP X-Forwarded-For X-Forwarded-Proto X-Original-URI X-Scheme"),
            ("HTTP proxies in general", "Via Forwarded Max-Forwards"),
            ("Traefik", "X-Forwarded-Server X-Real-Ip"),
            ("Envoy", "X-Envoy-Internal X-Original-Host"),
            ("IIS", "X-ARR-LOG-ID X-ARR-SSL X-Original-URL"),
            ("load balancers", "X-Client-IP X-Cluster-Client-IP Client-IP X-Url-Scheme Forwarded-For"),
            ("content delivery networks", "CF-Ray CF-Connecting-IP CDN-Loop True-Client-IP"),
        ];
        for (proxy, names) in proxies {
            for name in names.split(' ') {
                let name: HeaderName = name.parse().expect("a name");
                let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(""))]);
                assert!(is_proxied(&headers), "{proxy}: {name}");
            }
        }
        for name in ["host", "authorization", "x-request-id", "x-orgkeys-organization", "x-api-key", "connection"] {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(""))]);
            assert!(!is_proxied(&headers), "{name}");
        }
    }
}
