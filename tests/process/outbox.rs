//! The outbox and power cuts: every acknowledged event has its delivery, and every delivery its event.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Home, call, integrity, sqlite};

#[test]
fn after_a_kill_every_event_has_its_delivery_and_vice_versa() {
    let home = Home::new();
    let (mut server, owner) = home.first_start();
    let body = json!({ "url": "https://a.example", "contexts": [0] });
    let hooks = format!("/organization/{}/webhooks", owner.org);
    assert_eq!(server.call("POST", &hooks, Some(&owner.token), Some(&body)).status, 201);
    let (projects, mut acknowledged) = (format!("/api/organizations/{}/projects", owner.org), 0);
    let mut known: Vec<Vec<u8>> = Vec::new();
    for round in 0..5 {
        let address = server.address;
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (projects, token) = (projects.clone(), owner.token.clone());
                thread::spawn(move || {
                    let mut made = 0;
                    while let Ok(answer) = call(address, "POST", &projects, Some(&token), Some(&json!({ "name": "a" })))
                    {
                        made += i64::from(answer.status == 201);
                    }
                    made
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(100 + round * 30));
        server.kill();
        acknowledged += clients.into_iter().map(|client| client.join().expect("a client")).sum::<i64>();
        assert_eq!(integrity(&home.database), "ok");
        let conn = sqlite(&home.database);
        let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
        let events = number("SELECT count(*) FROM audit WHERE context = 0 AND change IS NOT NULL");
        let deliveries = number("SELECT count(DISTINCT event) FROM delivery WHERE state = 'pending'");
        assert_eq!(
            (events, deliveries),
            (number("SELECT count(*) FROM project"), number("SELECT count(*) FROM delivery"))
        );
        assert!(events == deliveries && events >= acknowledged, "{events} events, {acknowledged} acknowledged");
        let ids = |conn: &rusqlite::Connection| {
            let mut statement = conn.prepare("SELECT id FROM delivery ORDER BY id").expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.map(|row| row.expect("an id")).collect::<Vec<Vec<u8>>>()
        };
        let now = ids(&conn);
        assert!(now.starts_with(&known), "pending deliveries keep their ids, and new ids come after");
        known = now;
        drop(conn);
        server = home.start();
    }
    assert!(acknowledged > 20, "only {acknowledged} were acknowledged");
}
