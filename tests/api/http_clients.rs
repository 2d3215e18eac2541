//! Proxies and the addresses that they forward, browsers of other origins, metrics collectors, and rate limits.

use std::time::Instant;

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Answer, Identity, Server, entries, registration, with_body};
use crate::missing::missing;

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

async fn last_address(server: &Server) -> Option<String> {
    entries(&server.database).await.pop().expect("an entry").address
}

async fn profile_with(server: &Server, who: &Identity, headers: Headers<'_>) -> Answer {
    let request = server.request(Method::GET, "/user/profile").header("authorization", format!("Bearer {}", who.token));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    server.send(with_body(request, None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_addresses_are_accepted_only_from_trusted_proxies() {
    let stranger = Server::with(|flags| flags.with("trusted_proxy", "10.0.0.0/8")).await;
    let owner = stranger.owner_of("acme").await;
    profile_with(&stranger, &owner, &[("x-forwarded-for", "192.0.2.7")]).await;
    assert_eq!(last_address(&stranger).await.as_deref(), Some("127.0.0.1"));
    let server = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.0/8, 10.0.0.0/8,2001:db8:ffff::/48")).await;
    let owner = server.owner_of("acme").await;
    // The header's lines, and the client: the last hop that is not a trusted proxy.
    let cases: [(&[&str], &str); 30] = [
        (&[], "127.0.0.1"),
        (&["192.0.2.7"], "192.0.2.7"),
        (&["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
        (&["192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        (&["198.51.100.9,192.0.2.7 , 10.1.2.3,10.9.9.9"], "192.0.2.7"),
        (&["198.51.100.9", "192.0.2.7", "10.1.2.3"], "192.0.2.7"),
        (&["10.1.2.3"], "10.1.2.3"),
        (&["2001:db8::1, 10.1.2.3"], "2001:db8::1"),
        (&["::ffff:192.0.2.7"], "192.0.2.7"),
        // Proxies with IPv6 addresses, in the network on both of its sides.
        (&["192.0.2.7, 2001:db8:ffff::1, 10.1.2.3"], "192.0.2.7"),
        (&["2001:db8::1, [2001:db8:ffff:ffff::9]:80"], "2001:db8::1"),
        (&["192.0.2.7, 2001:db8:fffe::1"], "2001:db8:fffe::1"),
        (&["192.0.2.7, 11.0.0.1"], "11.0.0.1"),
        (&["nonsense"], "127.0.0.1"),
        (&["192.0.2.7, nonsense"], "127.0.0.1"),
        (&["192.0.2.7, nonsense, 10.1.2.3"], "10.1.2.3"),
        // As some proxies write a hop: with a port, and an IPv6 address in brackets.
        (&["192.0.2.7:4711"], "192.0.2.7"),
        (&["[2001:db8::1]"], "2001:db8::1"),
        (&["[2001:db8::1]:4711"], "2001:db8::1"),
        (&["[::ffff:192.0.2.7]:4711"], "192.0.2.7"),
        (&["192.0.2.7:4711, 10.1.2.3:80"], "192.0.2.7"),
        (&["[2001:db8::1]:4711", "[2001:db8::2]:4711, 10.1.2.3:80 ,::ffff:10.1.2.4"], "2001:db8::2"),
        // What is no address ends the list: what stands before it may be anybody's.
        (&["192.0.2.7, 192.0.2.8:"], "127.0.0.1"),
        (&["192.0.2.7, 192.0.2.8:65536"], "127.0.0.1"),
        (&["192.0.2.7, [192.0.2.8]"], "127.0.0.1"),
        (&["192.0.2.7, [2001:db8::1"], "127.0.0.1"),
        (&["192.0.2.7, 2001:db8::1]"], "127.0.0.1"),
        (&["192.0.2.7, []"], "127.0.0.1"),
        (&["192.0.2.7, , 10.1.2.3"], "10.1.2.3"),
        (&["192.0.2.7,"], "127.0.0.1"),
    ];
    for (lines, client) in cases {
        let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(profile_with(&server, &owner, &headers).await.status, StatusCode::OK);
        assert_eq!(last_address(&server).await.as_deref(), Some(client), "{lines:?}");
    }
    profile_with(&server, &owner, &[("x-real-ip", "192.0.2.7"), ("forwarded", "for=192.0.2.7")]).await;
    assert_eq!(last_address(&server).await.as_deref(), Some("127.0.0.1"), "other headers are ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_its_ipv4_address_on_a_listener_for_both_versions() {
    if std::net::TcpListener::bind("[::]:0").is_err() {
        return missing("IPv6");
    }
    for (proxy, client) in [("10.0.0.0/8", "127.0.0.1"), ("127.0.0.1", "192.0.2.7")] {
        let mut server = Server::with(|flags| flags.with("listen", "[::]:0").with("trusted_proxy", proxy)).await;
        let owner = server.owner_of("acme").await;
        // The system shows this client as ::ffff:127.0.0.1.
        server.address = ([127, 0, 0, 1], server.address.port()).into();
        let answer = profile_with(&server, &owner, &[("x-forwarded-for", "192.0.2.7")]).await;
        assert_eq!((answer.status, last_address(&server).await.as_deref()), (StatusCode::OK, Some(client)));
        assert_eq!(server.call(Method::GET, "/metrics", None).await.status, StatusCode::OK, "it is on this machine");
        server.address = (std::net::Ipv6Addr::LOCALHOST, server.address.port()).into();
        profile_with(&server, &owner, &[("x-forwarded-for", "192.0.2.7")]).await;
        assert_eq!(last_address(&server).await.as_deref(), Some("::1"), "no proxy that is trusted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_origins_get_cors_headers() {
    let (ours, theirs) = ("https://admin.example", "https://evil.example");
    let closed = Server::start().await;
    let open = Server::with(|flags| flags.with("cors_origins", "https://admin.example,http://localhost:5173")).await;
    let preflight = async |server: &Server, origin: &str| {
        let request = server.request(Method::OPTIONS, "/user/profile").header("origin", origin);
        let request = request.header("access-control-request-method", "GET");
        server.send(with_body(request.header("access-control-request-headers", "authorization"), None)).await
    };
    let has_cors = |answer: &Answer| answer.headers.keys().any(|name| name.as_str().starts_with("access-control-"));
    for (server, origin) in [(&closed, ours), (&closed, theirs), (&open, theirs), (&open, "https://admin.example.evil")]
    {
        let owner = server.owner_of("acme").await;
        let answer = preflight(server, origin).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(!has_cors(&answer));
        let answer = profile_with(server, &owner, &[("origin", origin)]).await;
        assert_eq!(answer.status, StatusCode::OK, "it is the browser that hides the response from the page");
        assert!(!has_cors(&answer), "{origin}");
    }
    let owner = open.owner_of("b").await;
    for origin in [ours, "http://localhost:5173"] {
        let answer = preflight(&open, origin).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        let allowed = answer.headers["access-control-allow-headers"].to_str().expect("text").to_lowercase();
        assert_eq!(allowed, "authorization, content-type, last-event-id, x-api-key, x-request-id");
        assert_eq!(answer.headers["access-control-max-age"], "600");
        let methods = answer.headers["access-control-allow-methods"].to_str().expect("text");
        assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)));
        let answer = profile_with(&open, &owner, &[("origin", origin)]).await;
        assert_eq!(
            (answer.status, &answer.headers["access-control-allow-origin"]),
            (StatusCode::OK, &origin.parse().expect("a value"))
        );
        assert_eq!(answer.headers["vary"], "Origin");
        let exposed = answer.headers["access-control-expose-headers"].to_str().expect("text");
        assert_eq!(
            exposed,
            "Content-Disposition, Retry-After, WWW-Authenticate, X-Key-Id, X-Request-Id, X-Total-Count"
        );
        assert!(!answer.headers.contains_key("access-control-allow-methods"), "it is no preflight");
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    }
    let request = open.request(Method::GET, "/nowhere").header("origin", ours);
    let refused = open.send(with_body(request, None)).await;
    assert_eq!(
        (refused.status, &refused.headers["access-control-allow-origin"]),
        (StatusCode::NOT_FOUND, &ours.parse().expect("a value"))
    );
    assert_eq!(open.call(Method::GET, "/health", None).await.headers["vary"], "Origin");
    let document = open.call(Method::GET, "/openapi.json", None).await;
    let vary: Vec<_> = document.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept-Encoding", "Origin"], "a cache must not send it to clients that do not take gzip");
    let request = open.request(Method::OPTIONS, "/user/profile").header("origin", ours);
    let answer = open.send(with_body(request, None)).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "it asks for no permission, so it is no preflight");
    assert!(!closed.call(Method::GET, "/health", None).await.headers.contains_key("vary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_require_a_direct_loopback_connection_or_the_metrics_token() {
    let token = "a-secret-of-the-collector";
    let server = Server::with(|flags| flags.with("metrics_token", token).with("trusted_proxy", "127.0.0.1")).await;
    let without = Server::start().await;
    let owner = server.owner_of("acme").await;
    profile_with(&server, &owner, &[]).await;
    let get = async |server: &Server, headers: Headers<'_>| {
        let request = headers
            .iter()
            .fold(server.request(Method::GET, "/metrics"), |request, (name, value)| request.header(*name, *value));
        server.send(with_body(request, None)).await
    };
    let (good, bad) = (format!("Bearer {token}"), format!("Bearer {token}x"));
    let access = format!("Bearer {}", owner.token);
    let cases: [(Headers<'_>, u16, u16); 18] = [
        (&[], 200, 200),
        (&[("x-request-id", "a"), ("user-agent", "Prometheus/3.0"), ("accept-encoding", "gzip")], 200, 200),
        (&[("x-forwarded-proto", "https")], 401, 401),
        (&[("x-forwarded-host", "keys.example.org")], 401, 401),
        (&[("x-forwarded-uri", "/metrics")], 401, 401),
        (&[("via", "1.1 proxy")], 401, 401),
        (&[("x-original-url", "/metrics")], 401, 401),
        (&[("x-envoy-external-address", "192.0.2.7")], 401, 401),
        (&[("cf-connecting-ip", "192.0.2.7")], 401, 401),
        (&[("true-client-ip", "")], 401, 401),
        (&[("x-forwarded-for", "127.0.0.1")], 401, 401),
        (&[("x-forwarded-for", "192.0.2.7")], 401, 401),
        (&[("forwarded", "for=127.0.0.1")], 401, 401),
        (&[("x-real-ip", "127.0.0.1")], 401, 401),
        (&[("x-forwarded-for", "192.0.2.7"), ("authorization", &good)], 200, 401),
        (&[("x-forwarded-for", "192.0.2.7"), ("authorization", &bad)], 401, 401),
        (&[("x-forwarded-for", "192.0.2.7"), ("authorization", "Bearer ")], 401, 401),
        (&[("x-forwarded-for", "192.0.2.7"), ("authorization", &access)], 401, 401),
    ];
    for (headers, with_token, without_token) in cases {
        for (server, status) in [(&server, with_token), (&without, without_token)] {
            let answer = get(server, headers).await;
            assert_eq!(answer.status.as_u16(), status, "{headers:?}");
            if status == 401 {
                assert_eq!(answer.refusal(), (401, "NO_CREDENTIAL".to_owned()));
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
            }
        }
    }
    let answer = get(&server, &[]).await;
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(text.contains(r#"orgkeys_requests_total{operation="getProfile",status="200"} 1"#), "{text}");
    assert!(text.contains(r#"orgkeys_requests_total{operation="getMetrics",status="401"} 15"#), "{text}");
    assert!(!text.contains(&owner.org) && !text.contains(&owner.user) && !text.contains(token), "{text}");
}

/// Sends refused calls from one network until it must wait, at most `most`, in turn from these addresses. Returns how many
/// were refused before that.
pub async fn exhaust(server: &Server, org: &str, from: &[&str], most: usize) -> (usize, Answer) {
    let body = json!({
        "ip": "203.0.113.7", "region": "eu", "timestamp": 1, "id_org": org, "status": "active", "version": "1",
        "signature": format!("{}==", "A".repeat(342)),
    });
    for refused in 0..most {
        let request = server.request(Method::POST, "/register").header("x-forwarded-for", from[refused % from.len()]);
        let answer = server.send(with_body(request, Some(&body))).await;
        if answer.status != StatusCode::BAD_REQUEST {
            return (refused, answer);
        }
    }
    panic!("{most} refused calls were not too many");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_refused_signed_calls_use_up_a_networks_rate_limit() {
    let set = |rate: &'static str| {
        Server::with(move |flags| {
            flags.with("refused_rate", rate).with("refused_burst", "5").with("trusted_proxy", "127.0.0.1")
        })
    };
    let server = set("1").await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let good = async |from: &str| {
        server.pass(1_000);
        let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
        let request = server.request(Method::POST, "/register").header("x-forwarded-for", from);
        (server.send(with_body(request, Some(&body))).await, body)
    };
    for _ in 0..20 {
        assert_eq!(good("192.0.2.1").await.0.status, StatusCode::OK, "accepted calls take nothing from the bucket");
    }
    let (before, answer) = exhaust(&server, &owner.org, &["192.0.2.1"], 1_000).await;
    assert!(before >= 5, "only {before} were refused before");
    assert_eq!(answer.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(answer.headers["retry-after"], "1");
    // The bucket refills over time, so a slow machine may need several attempts to find it empty.
    let mut met = None;
    for _ in 0..100 {
        exhaust(&server, &owner.org, &["192.0.2.1"], 1_000).await;
        let (answer, body) = good("192.0.2.1").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            met = Some(body);
            break;
        }
    }
    let unused = met.expect("an empty bucket");
    let request = server.request(Method::POST, "/register").header("x-forwarded-for", "192.0.2.2");
    let answer = server.send(with_body(request, Some(&unused))).await;
    assert_eq!(answer.status, StatusCode::OK, "another network is not limited, and the signature was not used up");
    // The addresses of an IPv6 network share its bucket, and so do the two forms of an IPv4 address.
    let networks: [&[&str]; 3] = [
        &["2001:db8::1", "2001:db8::2", "2001:db8::8000:0:0:1", "2001:db8::ffff:ffff:ffff:ffff"],
        &["2001:db8:0:1::1", "2001:db8:0:1::2"],
        &["192.0.2.3", "::ffff:192.0.2.3"],
    ];
    for network in networks {
        let began = Instant::now();
        let (before, answer) = exhaust(&server, &owner.org, network, 1_000).await;
        assert_eq!(answer.refusal().1, "TOO_MANY_REQUESTS");
        let most = 5 + usize::try_from(began.elapsed().as_secs()).expect("a number") + 1;
        assert!((5..=most).contains(&before), "{before} were refused before: {network:?}");
    }
    let off = set("0").await;
    let owner = off.owner_of("acme").await;
    for _ in 0..20 {
        let body = json!({ "ip": "1", "region": "eu", "timestamp": 1, "signature": "", "id_org": owner.org });
        assert_eq!(off.call(Method::POST, "/register", Some(&body)).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_a_credentials_rate_limit_get_429_and_are_not_recorded() {
    let server = Server::with(|flags| flags.with("caller_rate", "1")).await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let before = entries(&server.database).await.len();
    let mut taken = 0;
    let held = loop {
        assert!(taken < 1_000, "{taken} calls were not too many");
        let answer = profile_with(&server, &owner, &[]).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        taken += 1;
    };
    assert!(taken >= 4, "only {taken} calls were taken at once");
    assert_eq!(held.refusal(), (429, "TOO_MANY_REQUESTS".to_owned()));
    assert_eq!(held.headers["retry-after"], "1");
    assert_eq!(entries(&server.database).await.len(), before + taken, "the limited call was not recorded");
    assert_eq!(profile_with(&server, &other, &[]).await.status, StatusCode::OK, "another credential is not limited");
    for _ in 0..20 {
        assert_eq!(server.call(Method::GET, "/health", None).await.status, StatusCode::OK);
    }
}
