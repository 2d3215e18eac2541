//! Password hashing: two at once on the whole server, even if clients disconnect, and a bounded queue.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Waker};

use orgkeys::api::http::password_work::PasswordWork;
use orgkeys::api::session::SessionApi;
use orgkeys::domain::role::Role;
use orgkeys::engine::error::ErrorKind;
use poem::http::{Method, Uri};
use poem::{Endpoint, IntoEndpoint, Request};
use poem_openapi::OpenApiService;
use serde_json::json;

use crate::harness::{Server, received, within};
use crate::password_guessing::tried;
use crate::sessions::{PASSWORD, person};

#[tokio::test(flavor = "multi_thread")]
async fn exactly_two_password_checks_run_at_once() {
    let server = Server::start().await;
    let (gate, now, most) = (PasswordWork::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Each waits for a partner, so the test would never end with fewer than two at once.
    let pair = Arc::new(Barrier::new(2));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (gate, app, pair) = (gate.clone(), Arc::clone(&server.app), Arc::clone(&pair));
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let work = move |_: &_| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            tokio::spawn(async move { gate.run(&app, work).await })
        })
        .collect();
    for call in calls {
        within("a check ends, and two run at once", call).await.expect("an end").expect("its turn");
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_client_frees_its_slot_only_when_its_work_ends() {
    let server = Server::start().await;
    let (gate, story) = (PasswordWork::default(), Arc::new(Mutex::new(Vec::new())));
    let (started, starts) = mpsc::channel();
    let mut holds = Vec::new();
    let mut begin = |name: &'static str| {
        let (gate, app, story, started) = (gate.clone(), Arc::clone(&server.app), Arc::clone(&story), started.clone());
        let (release, held) = mpsc::channel::<()>();
        holds.push(release);
        let work = move |_: &_| {
            story.lock().expect("the story").push(name);
            started.send(()).expect("a listener");
            let _ = held.recv();
            Ok(())
        };
        tokio::spawn(async move { gate.run(&app, work).await })
    };
    let aborted = begin("first");
    received("a check starts", &starts);
    aborted.abort();
    assert!(aborted.await.expect_err("it left").is_cancelled());
    let second = begin("second");
    received("a check starts", &starts);
    let third = begin("third");
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    story.lock().expect("the story").push("the first is done");
    let releases: Vec<_> = holds.into_iter().collect();
    releases[0].send(()).expect("it waits");
    received("a check starts", &starts);
    assert_eq!(*story.lock().expect("the story"), ["first", "second", "the first is done", "third"]);
    drop(releases);
    for call in [second, third] {
        within("a check ends", call).await.expect("an end").expect("done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_257th_waiting_password_check_gets_503() {
    let server = Server::start().await;
    let gate = PasswordWork::default();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let call = || {
        let held = Arc::clone(&held);
        Box::pin(gate.run(&server.app, move |_| {
            let _ = held.lock().expect("alone").recv();
            Ok(())
        }))
    };
    let mut context = Context::from_waker(Waker::noop());
    let mut calls: Vec<_> = (0..258).map(|_| call()).collect();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    let refused = pin!(call()).await.expect_err("no place");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Unavailable, "SERVER_BUSY"));
    assert!(refused.retry_after.is_some());
    calls.pop();
    assert!(call().as_mut().poll(&mut context).is_pending(), "a waiting call was cancelled");
    drop((calls, release));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_beyond_the_limits_is_refused_before_it_waits_for_its_turn() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (guessed, other) =
        (person(&server, &owner.org, Role::User).await, person(&server, &owner.org, Role::User).await);
    tried(&server, &guessed.email, 0..100);
    let gate = PasswordWork::default();
    let api =
        OpenApiService::new(SessionApi::new(Arc::clone(&server.app), gate.clone()), "sessions", "1").into_endpoint();
    let log_in = async |email: &str| {
        let body = json!({ "email": email, "password": PASSWORD }).to_string();
        let request = Request::builder().method(Method::POST).uri(Uri::from_static("/user/login"));
        api.get_response(request.content_type("application/json").body(body)).await.status().as_u16()
    };
    assert_eq!((log_in(&guessed.email).await, log_in(&other.email).await), (429, 200));
    // Every place is taken by others.
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let mut context = Context::from_waker(Waker::noop());
    let mut calls: Vec<_> = (0..258)
        .map(|_| {
            let held = Arc::clone(&held);
            Box::pin(gate.run(&server.app, move |_| {
                let _ = held.lock().expect("alone").recv();
                Ok(())
            }))
        })
        .collect();
    assert!(calls.iter_mut().all(|call| call.as_mut().poll(&mut context).is_pending()));
    assert_eq!((log_in(&guessed.email).await, log_in(&other.email).await), (429, 503));
    drop((calls, release));
}
