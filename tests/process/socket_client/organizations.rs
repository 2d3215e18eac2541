//! In which organization the server's administrator acts.

use serde_json::json;

use super::{ask, entries, first};
use crate::harness::{Home, Owner, Server, objects};

/// A server with two organizations. Returns the owner of the first, and the id of the second.
fn two(home: &Home) -> (Server, Owner, String) {
    let (server, owner) = home.first_start();
    let made = home.done(&["org", "create", "--name", "acme"]);
    let other = made.split("  ").next().expect("an id").to_owned();
    (server, owner, other)
}

#[test]
fn with_several_organizations_one_must_be_named() {
    let home = Home::new();
    let (_server, owner, other) = two(&home);
    for words in [
        &["key", "list"][..],
        &["key", "create", "--out", "key.pem"],
        &["audit", "tail"],
        &["audit", "list"],
        &["project", "list"],
    ] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("--org") && ran.stderr.contains("orgkeys org list"), "{ran:?}");
    }
    assert!(!home.path("key.pem").exists());
    // What has no organization in its path is refused by the server.
    home.write("key", "oka_x\n");
    for words in [&["api", "listUsers"][..], &["api", "listSystemEvents"], &["api", "verifyApiKey", "--apiKey", "@key"]]
    {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stderr.contains("ORGANIZATION_REQUIRED")), (Some(1), true), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("orgkeys org list"), "{ran:?}");
    }
    let me = home.done(&["whoami", "-o", "json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&me).expect("JSON")["orgId"], json!(null));
    // In each of the two.
    for org in [&owner.org, &other] {
        let done = |words: &[&str]| home.done(&[words, &["--org", org]].concat());
        assert!(done(&["whoami"]).contains(org.as_str()));
        done(&["key", "create", "--out", &format!("{org}.pem")]);
        assert_eq!(done(&["key", "list"]).lines().count(), 1);
        let project = first(&done(&["project", "create", "Shop"]));
        assert_eq!(done(&["project", "list"]).lines().count(), 1);
        assert!(home.done(&["project", "show", &project]).contains("Shop"), "a project is in one organization");
        done(&[
            "user",
            "invite",
            &format!("{org}@example.org"),
            "--name",
            "A",
            "--role",
            "USER",
            "--out",
            &format!("{org}.i"),
        ]);
        assert!(done(&["api", "listUsers"]).contains(&format!("{org}@example.org")));
        assert!(done(&["audit", "tail", "-n", "1"]).contains("user"));
        let own = entries(&home).into_iter().filter(|entry| entry["org"] == org.as_str());
        let (own, created) = (own.clone(), own.filter(|entry| entry["action"] == "org_key.create").count());
        assert_eq!((created, own.filter(|entry| entry["actorKind"] == "system").count() > 3), (1, true));
    }
    assert_eq!(home.done(&["key", "list", "--org", &owner.org]).lines().count(), 1);
    assert_eq!(home.done(&["api", "listOrganizationKeys", "--idOrg", &other]).matches("key-").count(), 1);
    assert_eq!(home.done(&["org", "list"]).lines().count(), 2);
}

#[test]
fn an_organization_that_does_not_exist_or_is_not_the_one_in_the_path_is_refused() {
    let home = Home::new();
    let (_server, owner, other) = two(&home);
    for org in ["org-00000000-0000-7000-8000-000000000000", "acme"] {
        let ran = home.run(&["key", "list", "--org", org]);
        assert_eq!((ran.code, ran.stderr.contains("ORGANIZATION_NOT_FOUND")), (Some(5), true), "{org}: {ran:?}");
        let ran = home.run(&["api", "getOrganization", "--orgId", "org-00000000-0000-7000-8000-000000000000"]);
        assert_eq!((ran.code, ran.stderr.contains("ORGANIZATION_NOT_FOUND")), (Some(5), true), "{ran:?}");
    }
    let two = home.run(&["api", "getOrganization", "--org", &owner.org, "--orgId", &other]);
    assert_eq!((two.code, two.stderr.contains("TWO_ORGANIZATIONS")), (Some(1), true), "{two:?}");
    let project = first(&home.done(&["project", "create", "Shop", "--org", &owner.org]));
    let elsewhere = home.run(&["project", "show", &project, "--org", &other]);
    assert_eq!((elsewhere.code, elsewhere.stderr.contains("TWO_ORGANIZATIONS")), (Some(1), true), "{elsewhere:?}");
    let user = objects(&home.done(&["user", "list", "--json"]))[0]["id"].as_str().expect("an id").to_owned();
    let ran = home.run(&["user", "role", &user, "USER", "--org", &other]);
    assert_eq!((ran.code, ran.stderr.contains("USER_NOT_FOUND")), (Some(5), true), "{ran:?}");
    let twice = [format!("X-Orgkeys-Organization: {other}"), format!("X-Orgkeys-Organization: {}", owner.org)];
    let twice = ask(&home, "GET /organization/users", &[&twice[0], &twice[1]], "");
    assert_eq!(twice.refusal(), (400, "TWO_ORGANIZATIONS".to_owned()));
}
