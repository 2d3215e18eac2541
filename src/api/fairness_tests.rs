//! Tests that an organization whose scans wait does not delay the scans of another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use poem::http::Method;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Route};
use poem_openapi::OpenApiService;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::http::scan_limit::ScanLimit;
use super::{audit, delivery, event, statistics};
use crate::actions::admin::{self, Ttl};
use crate::domain::role::Role;
use crate::domain::time::Still;
use crate::engine::environment::Environment;
use crate::engine::limits::Limits;
use crate::engine::system;
use crate::store::{Options, Room, Store};

/// A seed that was not used before, since each token must be another one.
fn seed() -> [u8; 32] {
    static USED: AtomicU8 = AtomicU8::new(0);
    [USED.fetch_add(1, Ordering::Relaxed); 32]
}

/// A request to an owner's organization, whose id replaces `{org}`.
fn request((org, token): &(String, String), path: &str) -> Request {
    let method = if path == "/systemevent" { Method::POST } else { Method::GET };
    let request = Request::builder().method(method).uri_str(path.replace("{org}", org));
    request.header("authorization", format!("Bearer {token}")).content_type("application/json").body("{}")
}

#[tokio::test]
async fn scans_of_one_organization_that_wait_do_not_delay_another_one() {
    let folder = TempDir::new().expect("a folder");
    let options = Options { path: folder.path().join("a.db"), readers: 4, room: Room::new(0, 0) };
    let env = Environment::new(Arc::new(Still), seed);
    let store = Store::open(&options).expect("a store");
    let (app, administrator) = system::start(store, env, Limits::default()).expect("an app");
    // The owner of a new organization: its id and an access token.
    let owner = |name: &str| {
        let org = admin::create_org(&administrator, name).expect("an organization").id.to_string();
        let email = format!("{name}@b.example");
        admin::create_user(&administrator, &org, &email, Role::Owner, "Ada", "").expect("a user");
        let (secret, _) = admin::create_token(&administrator, &email, Ttl::Never).expect("a token");
        (org, secret.expose_secret().to_owned())
    };
    let (many, other) = (owner("many"), owner("other"));
    for (path, status) in [
        ("/systemevent", 200),
        ("/organization/{org}/audit", 200),
        ("/organization/{org}/statistics", 200),
        ("/organization/{org}/webhooks/hook-00000000-0000-7000-8000-000000000000/deliveries", 404),
    ] {
        let streams = ScanLimit::default();
        let more = streams.of_another_kind();
        let apis = (
            event::EventApi::new(Arc::clone(&app), streams.of_another_kind()),
            audit::AuditApi::new(Arc::clone(&app), streams.of_another_kind()),
            statistics::StatisticsApi::new(Arc::clone(&app), streams.of_another_kind()),
            delivery::DeliveryApi::new(Arc::clone(&app), streams.of_another_kind()),
        );
        let service = OpenApiService::new(apis, "orgkeys", "1").into_endpoint();
        let service = Route::new().nest_no_strip("/", service).data(Arc::clone(&app));
        let mut held = [streams.begin(None).await, streams.begin(None).await, more.begin(None).await].into_iter();
        let [mut first, mut second, mut another] =
            [&many, &many, &other].map(|owner| Box::pin(service.get_response(request(owner, path))));
        for call in [&mut first, &mut second, &mut another] {
            assert!(call.as_mut().now_or_never().is_none(), "{path} does not wait");
        }
        // Room for two scans, which are those of the first caller of each organization.
        drop((held.next(), held.next()));
        let answer = tokio::time::timeout(Duration::from_secs(10), another).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} waits behind two calls of another organization"));
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}
