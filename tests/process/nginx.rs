//! An application behind a real nginx that asks orgkeys about every request, configured by deploy/nginx-auth.conf.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Answer, Home, Owner, Server, answer_of, ended, eventually};
use crate::missing::has;

/// A proxy with a static file behind it.
struct Nginx {
    child: Child,
    socket: PathBuf,
}

/// The configuration that users copy, for this organization and these addresses.
fn lines(home: &Home, server: &Server, org: &str) -> String {
    let lines = include_str!("../../deploy/nginx-auth.conf");
    let (front, back) = (home.path("front.sock"), home.path("back.sock"));
    let lines = lines.replace("127.0.0.1:3000", &server.address.to_string()).replace("org-...", org);
    let lines = lines.replace("127.0.0.1:8080", &format!("unix:{}", front.display()));
    lines.replace("http://127.0.0.1:9000", &format!("http://unix:{}", back.display()))
}

impl Nginx {
    /// Starts nginx; `None` if it is not installed.
    fn start(home: &Home, server: &Server, org: &str) -> Option<Self> {
        if !has("nginx") {
            return None;
        }
        let folder = home.path("");
        let folder = folder.display().to_string();
        fs::create_dir(home.path("files")).expect("a folder");
        home.write("files/secret.txt", "the application");
        let (lines, back) = (lines(home, server, org), home.path("back.sock"));
        let headers = ["organization", "key", "role", "projects"]
            .map(|name| format!("add_header X-Seen-{name} \"[$http_x_orgkeys_{name}]\";"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n\
             events {{ }}\n\
             http {{ access_log off;\n\
             client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
             uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
             {lines}\n\
             server {{ listen unix:{back}; {headers} add_header X-Seen-Secret \"[$http_x_api_key]\";\n\
             root {folder}/files; }} }}\n",
            back = back.display()
        );
        let config = home.write("nginx.conf", config);
        let mut command = Command::new("nginx");
        command.arg("-e").arg(home.path("nginx.log")).arg("-c").arg(config).stdin(Stdio::null());
        let child = command.spawn().expect("nginx starts");
        let nginx = Self { child, socket: home.path("front.sock") };
        nginx.wait(&home.path("nginx.log"));
        Some(nginx)
    }

    fn wait(&self, log: &Path) {
        let what = format!("nginx listens; see {}", log.display());
        eventually(&what, || UnixStream::connect(&self.socket).ok());
    }

    /// Requests the application's file with these headers.
    fn get(&self, headers: &[(&str, &str)]) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).expect("a connection");
        let mut request = "GET /secret.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_owned();
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        answer_of(stream).expect("an answer")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it ends by itself.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !std::thread::panicking() {
            ended("nginx", &mut self.child);
        }
    }
}

fn made(server: &Server, owner: &Owner, path: &str, body: &Value) -> Value {
    let answer = server.call("POST", path, Some(&owner.token), Some(body));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["result"].clone()
}

/// Creates an API key. Returns its id and its secret.
fn key(server: &Server, owner: &Owner, projects: &[&str], role: u8) -> (i64, String) {
    let path = format!("/api/organizations/{}/api-keys", owner.org);
    let key = json!({ "apiName": "a service", "hasExpireTime": false });
    let body = json!({ "listProjectsId": projects, "roleId": role, "userApiKey": key });
    let made = made(server, owner, &path, &body);
    (made["id"].as_i64().expect("an id"), made["apiKey"].as_str().expect("a key").to_owned())
}

/// What the application received about the caller.
fn forwarded(answer: &Answer) -> [String; 5] {
    ["organization", "key", "role", "projects", "secret"]
        .map(|name| answer.header(&format!("x-seen-{name}")).unwrap_or_else(|| panic!("no {name}: {answer:?}")))
}

#[test]
fn only_a_valid_key_of_the_organization_gets_past_nginx() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let Some(nginx) = Nginx::start(&home, &server, &owner.org) else { return };
    let projects = format!("/api/organizations/{}/projects", owner.org);
    let project = made(&server, &owner, &projects, &json!({ "name": "web" }));
    let project = project["publicId"].as_str().expect("an id");
    let (limited, secret) = key(&server, &owner, &[project], 1);
    let (expiring_with, deleted) = key(&server, &owner, &[], 0);
    let bearer = format!("Bearer {secret}");
    let own = [format!("[{}]", owner.org), format!("[{limited}]"), "[1]".to_owned(), format!("[{project}]")];
    let forged = ("X-Orgkeys-Projects", "project-forged");
    let basic = ("Authorization", "Basic dXNlcjpwYXNz");
    for headers in [
        &[("X-Api-Key", secret.as_str())][..],
        &[("Authorization", bearer.as_str())],
        &[("X-Api-Key", secret.as_str()), basic],
        &[("X-Api-Key", secret.as_str()), forged, ("X-Orgkeys-Role", "255"), ("X-Orgkeys-Key", "1")],
    ] {
        let answer = nginx.get(headers);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"the application"[..]), "{headers:?}");
        assert_eq!(forwarded(&answer)[..4], own, "{headers:?}");
        assert_eq!(forwarded(&answer)[4], "[]", "the application does not receive the key");
    }
    let whole = nginx.get(&[("X-Api-Key", deleted.as_str()), forged]);
    assert_eq!(
        (whole.status, forwarded(&whole)[3].as_str()),
        (200, "[]"),
        "a key for the whole organization has no projects"
    );
    let path = format!("/api/organizations/{}/api-keys/{expiring_with}", owner.org);
    assert_eq!(server.call_as(&owner, "DELETE", &path).status, 200);
    let never = "oka_0123456789abcdefghijABCDEFGHIJ000000";
    for headers in [
        &[][..],
        &[("X-Api-Key", deleted.as_str())],
        &[("X-Api-Key", never)],
        &[basic],
        &[("Authorization", bearer.as_str()), basic],
        // Of two headers, nginx before 1.23 passes the first on, and later versions both as one.
        &[("X-Api-Key", never), ("X-Api-Key", secret.as_str())],
    ] {
        let answer = nginx.get(headers);
        // nginx itself refuses two Authorization headers.
        let two = headers.iter().filter(|(name, _)| *name == "Authorization").count() > 1;
        assert!(answer.status == 401 || (two && answer.status == 400), "{headers:?}: {answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("the application"));
    }
}

/// orgkeys accepts heads of 16 KiB with 100 headers, and nginx turns its refusal of larger ones into 500.
#[test]
fn a_key_is_verified_whatever_other_headers_the_client_sends() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let Some(nginx) = Nginx::start(&home, &server, &owner.org) else { return };
    let (_, secret) = key(&server, &owner, &[], 0);
    let (cookie, bearer) = (format!("session={}", "c".repeat(6_500)), format!("Bearer {secret}"));
    let names: Vec<String> = (0..110).map(|number| format!("X-Trace-{number}")).collect();
    let cookies = [("Cookie", cookie.as_str()); 4];
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let session = format!("Bearer {}", "s".repeat(1_000));
    for others in [&cookies[..], &many] {
        for presented in [
            &[("X-Api-Key", secret.as_str())][..],
            &[("Authorization", bearer.as_str())],
            &[("X-Api-Key", secret.as_str()), ("Authorization", session.as_str())],
        ] {
            let answer = nginx.get(&[presented, others].concat());
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"the application"[..]), "{presented:?}");
        }
        for presented in [&[][..], &[("X-Api-Key", "oka_0123456789abcdefghijABCDEFGHIJ000000")]] {
            assert_eq!(nginx.get(&[presented, others].concat()).status, 401, "{presented:?}");
        }
    }
}

#[test]
fn a_key_of_another_organization_does_not_get_past_nginx() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let other = "org-018d0b6a-5c80-7000-8000-000000000001";
    let Some(nginx) = Nginx::start(&home, &server, other) else { return };
    let (_, secret) = key(&server, &owner, &[], 254);
    assert_eq!(nginx.get(&[("X-Api-Key", secret.as_str())]).status, 401);
}
