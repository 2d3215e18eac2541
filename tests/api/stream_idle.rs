//! A stream without events to send: its client still learns where to resume.

use hyper::Method;
use orgkeys::domain::role::Role;

use crate::harness::{Identity, Server, within};
use crate::retention::{chain_of, days, remove_old};
use crate::stream::{Reader, happen};

/// Reads until the resume position is `id`. Returns all positions received.
async fn told(reader: &mut Reader, id: i64) -> Vec<i64> {
    let mut told = Vec::new();
    let telling = async {
        while told.last() != Some(&id) {
            let message = reader.message().await.expect("the stream goes on");
            told.extend(
                message
                    .lines()
                    .find_map(|line| line.strip_prefix("id: "))
                    .map(|id| id.parse::<i64>().expect("a number")),
            );
        }
    };
    within(format!("the position {id} is sent"), telling).await;
    told
}

async fn ids(server: &Server, who: &Identity) -> Vec<i64> {
    chain_of(server, &who.org).await.into_iter().map(|entry| entry.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_can_resume_after_retention_removed_older_events() {
    let server = Server::with(|flags| flags.with("stream_comment", "20ms")).await;
    let owner = server.owner_of("acme").await;
    let mut reader = Reader::of(&server, &owner, "?context=10&event=2").await;
    for _ in 0..10 {
        happen(&server, &owner, "elsewhere").await;
        days(&server, 1).await;
    }
    assert!(remove_old(&server, 7).await > 0);
    let last = *ids(&server, &owner).await.last().expect("an entry");
    told(&mut reader, last).await;
    drop(reader);
    let (key, _) = server.key(&owner).await;
    server.call_as(&owner, Method::DELETE, &format!("/organization/{}/key/{key}", owner.org), None).await;
    let mut again = Reader::again(&server, &owner, last).await;
    let events = again.events(2).await;
    assert!(events.iter().all(|(_, event)| event["contextId"] == key), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_positions_are_only_entries_of_the_clients_organization() {
    let server = Server::with(|flags| flags.with("stream_comment", "20ms")).await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let filters = [(&owner, "?after=0&context=13".to_owned()), (&user, format!("?after=0&userId={}", owner.user))];
    let mut readers = Vec::new();
    for (who, filter) in &filters {
        readers.push(Reader::of(&server, who, filter).await);
    }
    for _ in 0..3 {
        happen(&server, &owner, "here").await;
        happen(&server, &other, "elsewhere").await;
    }
    let own = ids(&server, &owner).await;
    let last = *own.last().expect("an entry");
    assert!(ids(&server, &other).await.last() > Some(&last));
    for reader in &mut readers {
        let told = told(reader, last).await;
        assert!(told.iter().all(|id| *id == 0 || own.contains(id)), "{told:?} of {own:?}");
    }
    server.stop().await;
    for reader in &mut readers {
        assert_eq!(reader.end().await["resumeFrom"], last);
    }
}
