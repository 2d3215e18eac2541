//! Tests of event streams without a connection: quotas, the end of a stream whose client is too slow, and turns to search.

use std::pin::pin;

use futures_util::{FutureExt, StreamExt};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::actions::admin::{self, Ttl};
use crate::actions::stream::Follower;
use crate::domain::audit::{Actor, Draft};
use crate::domain::event::EventFilter;
use crate::domain::id::{TokenId, UserId};
use crate::domain::role::Role;
use crate::domain::time::Still;
use crate::engine::authenticate::{self, Credential};
use crate::engine::caller::{Caller, Identity, Origin};
use crate::engine::environment::Environment;
use crate::engine::limits::Limits;
use crate::engine::system;
use crate::store::{Options, Room, Store, audit};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(Still::TIME))
}

fn caller(number: u16) -> Caller {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    let token = TokenId::from_bytes(bytes);
    let identity = Identity::User { token, user: UserId::from_bytes(bytes), org: OrgId::from_bytes(bytes) };
    Caller { identity, origin: Origin::default() }
}

#[test]
fn at_most_1000_streams_are_open_and_20_per_credential() {
    let stream_quota = Arc::new(StreamQuota::new(metrics()));
    let mut held: Vec<_> = (0..980).map(|number| stream_quota.take(&caller(number)).expect("a place")).collect();
    held.extend((0..19).map(|_| stream_quota.take(&caller(0)).expect("a place")));
    assert!(stream_quota.take(&caller(0)).is_err(), "the twenty-first");
    held.push(stream_quota.take(&caller(2_000)).expect("the thousandth"));
    let refused = stream_quota.take(&caller(3_000)).err().expect("one too many");
    assert_eq!((refused.kind, refused.retry_after), (ErrorKind::TooMany, Some(Duration::from_secs(10))));
    held.pop();
    held.push(stream_quota.take(&caller(3_000)).expect("the thousandth again"));
    held.clear();
    let _all: Vec<_> = (0..20).map(|_| stream_quota.take(&caller(0)).expect("a place")).collect();
}

#[test]
fn an_organization_has_at_most_200_streams() {
    let stream_quota = Arc::new(StreamQuota::new(metrics()));
    let of_one = |number: u16| {
        let Identity::User { token, user, .. } = caller(number).identity else { unreachable!("a user") };
        let identity = Identity::User { token, user, org: OrgId::from_bytes([7; 16]) };
        Caller { identity, origin: Origin::default() }
    };
    let mut held: Vec<_> = (0..200).map(|number| stream_quota.take(&of_one(number)).expect("a place")).collect();
    assert!(stream_quota.take(&of_one(200)).is_err(), "the two hundred and first");
    held.push(stream_quota.take(&caller(1)).expect("another organization's"));
    held.remove(0);
    stream_quota.take(&of_one(200)).map(drop).expect("there is a place again");
}

/// An organization, its owner, and streams of its log, which begins with a number of entries that no stream shows.
struct Site {
    app: Arc<App>,
    api: StreamApi,
    caller: Caller,
    org: Option<OrgId>,
    _folder: TempDir,
}

impl Site {
    fn new(unseen: u32, comment: Duration, patience: Duration) -> Self {
        let folder = TempDir::new().expect("a folder");
        let options = Options { path: folder.path().join("a.db"), readers: 1, room: Room::new(0, 0) };
        let store = Store::open(&options).expect("a store");
        let entry = Draft {
            org: None,
            at: Still::TIME.millis(),
            actor: Actor { kind: "system", id: "system".to_owned(), name: None },
            action: "server.backup",
            context: None,
            context_id: None,
            project: None,
            change: None,
            outcome: "done",
            address: None,
            request_id: None,
            detail: None,
        };
        let written = store.write(move |tx| (0..unseen).try_for_each(|_| audit::append(tx, &entry).map(drop)));
        written.wait().expect("written");
        let env = Environment::new(Arc::new(Still), || [7; 32]);
        let (app, administrator) = system::start(store, env, Limits::default()).expect("an app");
        let org = admin::create_org(&administrator, "acme").expect("an organization").id;
        admin::create_user(&administrator, &org.to_string(), "a@example.org", Role::Owner, "Ada", "").expect("a user");
        let (secret, _) = admin::create_token(&administrator, "a@example.org", Ttl::Never).expect("a token");
        let caller = authenticate::authenticate(&app, Credential::Token(secret.expose_secret()), Origin::default());
        let (settings, stop) = (StreamSettings { comment, patience }, CancellationToken::new());
        let api = StreamApi::new(Arc::clone(&app), metrics(), ScanLimit::default(), settings, stop);
        Self { app, api, caller: caller.expect("a caller"), org: Some(org), _folder: folder }
    }

    /// Begins to follow the log from its beginning. Returns the number of the entry that records this.
    async fn open(&self) -> (Follower, i64) {
        stream::open(&self.app, &self.caller, self.org, EventFilter::default(), Some(0)).await.expect("a follower")
    }

    /// Opens a stream without filters.
    async fn stream(&self) -> EventStream {
        let slot = self.api.shared.stream_quota.take(&self.caller).expect("a place");
        let (app, shared) = (Arc::clone(&self.app), Arc::clone(&self.api.shared));
        EventStream::new(app, shared, slot, self.open().await.0, 0)
    }

    async fn pieces(&self) -> impl futures_util::Stream<Item = std::io::Result<String>> + use<> {
        self.stream().await.pieces()
    }
}

#[tokio::test]
async fn a_slow_client_gets_the_resume_position_and_nothing_more() {
    let site = Site::new(0, Duration::from_secs(15), Duration::ZERO);
    let mut pieces = pin!(site.pieces().await);
    let first = pieces.next().await.expect("the beginning").expect("in order");
    assert_eq!(first, "retry: 2000\nid: 0\n\n");
    let last = pieces.next().await.expect("the end").expect("in order");
    let message = "The client read too slowly while events were waiting: reconnect and resume from resumeFrom";
    assert_eq!(
        last,
        format!("id: 0\nevent: end\ndata: {{\"reason\":\"slow\",\"message\":\"{message}\",\"resumeFrom\":0}}\n\n")
    );
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn a_stream_waiting_for_its_search_turn_sends_comments() {
    let site = Site::new(25_000, Duration::ZERO, Duration::from_hours(1));
    let mut pieces = pin!(site.pieces().await);
    let turn = site.api.shared.searches.turn().await;
    let mut next = async || pieces.next().await.expect("more").expect("in order");
    assert_eq!(next().await, "retry: 2000\nid: 0\n\n");
    for _ in 0..10 {
        assert_eq!(next().await, ": still here\nid: 0\n\n");
    }
    drop(turn);
    let mut piece = next().await;
    while piece.starts_with(':') {
        piece = next().await;
    }
    assert!(piece.starts_with("id: 25001\nevent: created\n"), "{piece}");
}

#[tokio::test]
async fn one_search_runs_at_a_time_with_a_pause_after_it() {
    let searches = Searches::new();
    let turn = searches.turn().await;
    assert!(searches.turn().now_or_never().is_none(), "two at once");
    turn.over(Duration::ZERO);
    let turn = searches.turn().await;
    turn.over(Duration::from_hours(1));
    assert!(searches.turn().now_or_never().is_none(), "without a pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_added_while_a_stream_reads_wakes_the_stream() {
    let site = Arc::new(Site::new(0, Duration::from_secs(15), Duration::from_hours(1)));
    let mut live = site.stream().await;
    for _ in 0..100 {
        let adds = Arc::clone(&site);
        let adding = tokio::spawn(async move { adds.open().await.1 });
        // During the last of these reads, or before it, the entry is added.
        while !adding.is_finished() {
            live.look(None).await.map(drop).expect("a page");
        }
        let added = adding.await.expect("it is added");
        let is_woken = live.last_id.has_changed().expect("the log is there");
        assert!(live.position >= added || is_woken, "the stream would wait, although entry {added} is there");
    }
}
