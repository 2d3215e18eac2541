//! A node's installer and a user's terminal: real shell commands, with printf, openssl, base64 and curl.

use std::process::Command;

use serde_json::{Value, json};

use crate::commands::certificate;
use crate::harness::{Home, Ran, mode, run};
use crate::missing::has;

/// Whether the programs of the installer's commands are there.
fn tools() -> bool {
    ["openssl", "base64", "curl"].into_iter().all(has)
}

/// Runs shell commands in a home's folder, with an installer's variables.
fn shell(home: &Home, lines: &str, settings: &[(&str, &str)]) -> Ran {
    let mut sh = Command::new("sh");
    sh.current_dir(home.path("")).args(["-e", "-c", lines]).envs(settings.iter().copied());
    run(sh.env("no_proxy", "*"))
}

const SIGN: &str = r#"signature=$(printf %s "$ip|$region|$ts" | openssl dgst -sha256 -sign key.pem | base64 -w0)"#;

#[test]
fn an_installers_shell_commands_register_a_node_with_every_timestamp_format() {
    if !tools() {
        return;
    }
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (key, pem) = server.mint(&owner);
    home.write("key.pem", pem);
    let url = format!("http://{}", server.address);
    // (the command for the time, its form in the body, the provider member, the provider in the response)
    let forms = [
        ("date +%s", "$ts", r#","provider":"AWS""#, "AWS"),
        ("date +%s", "$ts", "", ""),
        ("echo $(($(date +%s) * 1000 + 250))", "$ts", r#","provider":"gcp""#, "GCP"),
        ("date -u +%Y-%m-%dT%H:%M:%SZ", r#""$ts""#, r#","provider":"AWS""#, "AWS"),
        ("date -u +%Y-%m-%dT%H:%M:%S.250Z", r#""$ts""#, r#","provider":"AWS""#, "AWS"),
    ];
    for (index, (clock, written, provider, answered)) in forms.into_iter().enumerate() {
        let body = format!(
            r#"{{"ip":"$ip","region":"$region","timestamp":{written},"signature":"$signature","org_id":"$org","status":"running","version":"1.4.2"{provider}}}"#
        );
        let body = body.replace('"', "\\\"");
        let lines = format!(
            "ts=$({clock})\n{SIGN}\ncurl -sS -X POST \"$url/register\" -H 'Content-Type: application/json' -d \"{body}\""
        );
        let ip = format!("203.0.113.{index}");
        let ran = shell(&home, &lines, &[("ip", &ip), ("region", "eu-central-1"), ("org", &owner.org), ("url", &url)]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{lines}");
        let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let data = &answer["data"];
        let expected = json!({
            "success": true,
            "message": "Node registered successfully",
            "data": {
                "id": data["id"], "ip": ip, "region": "eu-central-1", "version": "1.4.2", "provider": answered,
                "status": "running", "url": format!("https://{ip}"), "id_org": owner.org, "nodeServices": 0,
                "latencyMs": null, "keyId": key, "lastUpdated": data["lastUpdated"], "silentSince": null,
                "deletedAt": null,
            },
        });
        assert_eq!(answer, expected, "{lines}");
    }
    // With a newline at the end, the usual mistake: the refusal shows the right command.
    let lines = format!(
        "ts=$(date +%s)\n{}\ncurl -sS \"$url/register\" -H 'Content-Type: application/json' -d \"{{\\\"ip\\\":\\\"$ip\\\",\\\"region\\\":\\\"$region\\\",\\\"timestamp\\\":$ts,\\\"signature\\\":\\\"$signature\\\",\\\"status\\\":\\\"a\\\",\\\"version\\\":\\\"1\\\"}}\"",
        SIGN.replace("printf %s", "echo")
    );
    let ran = shell(&home, &lines, &[("ip", "203.0.113.9"), ("region", "eu"), ("url", &url)]);
    let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(answer["errorCode"], "BAD_SIGNATURE");
    let advice = answer["errorMessage"].as_str().expect("advice");
    assert!(advice.contains("without a newline") && advice.contains("printf %s '203.0.113.9|eu|"), "{advice}");
}

/// Fetches the secrets and opens each with the private key, in the steps of an installer: the key by RSA-OAEP, then the
/// authenticity, then the text. Exits with 1 and prints the code of a refusal.
const OPEN: &str = r#"ts=$(date +%s%3N)
signature=$(printf %s "$ip|$region|$ts" | openssl dgst -sha256 -sign key.pem | base64 -w0)
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
answer=$(curl -sS "$url/secrets" -H 'Content-Type: application/json' \
  -d "{\"ip\":\"$ip\",\"region\":\"$region\",\"timestamp\":$ts,\"signature\":\"$signature\",\"org_id\":\"$org\"}")
case $answer in '{"success":true,'*) ;; *) printf %s "$answer" | field errorMessage; exit 1 ;; esac
for name in s3 gcs blob; do
  envelope=$(printf %s "$answer" | sed -n "s/.*\"env_${name}_enc\":\"{\([^}]*\)}\".*/{\1}/p" | tr -d '\\')
  printf %s "$envelope" | field key | base64 -d | openssl pkeyutl -decrypt -inkey key.pem \
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -out k
  printf %s "$envelope" | field iv | base64 -d > iv
  printf %s "$envelope" | field ct | base64 -d > ct
  mac=$(cat iv ct | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(hex < k)" -binary | base64 -w0)
  [ "$mac" = "$(printf %s "$envelope" | field mac)" ]
  openssl enc -d -aes-256-ctr -K "$(hex < k)" -iv "$(hex < iv)" -in ct -out ".env.$name"
  rm k iv ct
done"#;

#[test]
fn an_installers_shell_commands_open_the_secrets_for_its_region() {
    if !tools() {
        return;
    }
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (_, pem) = server.mint(&owner);
    home.write("key.pem", &pem);
    let url = format!("http://{}", server.address);
    let ip = "203.0.113.7";
    let open = |region: &str| shell(&home, OPEN, &[("ip", ip), ("region", region), ("org", &owner.org), ("url", &url)]);
    let before = open("eu");
    assert_eq!((before.code, before.stdout.contains("SECRETS_NOT_SET")), (Some(1), true), "{before:?}");
    // The administrator sets them from files, with the command line.
    let put = |name: &str, region: &[&str], text: &[u8]| {
        home.write("text", text);
        let words = [&["secret", "put", name, "--text", "@text"], region].concat();
        let mut command = home.orgkeys(&words);
        let ran = run(command.env("ORGKEYS_URL", &url).env("ORGKEYS_TOKEN", &owner.token));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{words:?}");
    };
    let s3 = "AWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY='a/+b \"c\" \\d'\nNAME=\u{e9}\n\n";
    let blob = "x".repeat(16_384);
    put("s3", &[], s3.as_bytes());
    put("blob", &["--region", "us"], blob.as_bytes());
    for (region, expected) in [("eu", [s3, "", ""]), ("us", [s3, "", &blob])] {
        let ran = open(region);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{region}: {ran:?}");
        for (name, text) in ["s3", "gcs", "blob"].into_iter().zip(expected) {
            let found = std::fs::read(home.path(&format!(".env.{name}"))).expect("a file");
            assert!(found == text.as_bytes(), "{name} in {region}: {}", String::from_utf8_lossy(&found));
        }
    }
    // Somebody who sees the answer, but does not have the key, opens nothing.
    let (_, other) = server.mint(&owner);
    home.write("other.pem", other);
    let stolen = OPEN.replace("-decrypt -inkey key.pem", "-decrypt -inkey other.pem");
    let ran = shell(&home, &stolen, &[("ip", ip), ("region", "eu"), ("org", &owner.org), ("url", &url)]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_commands_printed_by_the_first_start_work_when_pasted() {
    if !tools() {
        return;
    }
    let home = Home::new();
    let (server, owner) = home.first_start();
    let begins = |line: &str| ["curl -sSf", "[ -e"].iter().any(|start| line.starts_with(start));
    let lines: Vec<&str> = server.shown.lines().filter(|line| begins(line)).collect();
    assert_eq!(lines.len(), 3, "{}", server.shown);
    let variables = server.shown.lines().find(|line| line.starts_with(" url=")).expect("the variables");
    let pasted: Vec<String> = lines.iter().map(|line| format!("{variables}\n{line}")).collect();
    let profile: Value = serde_json::from_str(&shell(&home, &pasted[0], &[]).stdout).expect("JSON");
    assert_eq!((&profile["data"]["orgId"], &profile["data"]["orgRole"]), (&json!(owner.org), &json!(255)));
    let made = shell(&home, &pasted[1], &[]);
    assert_eq!((made.code, made.stdout.as_str(), made.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(mode(&home.path("key.pem")), 0o600);
    let checked = shell(&home, "openssl rsa -in key.pem -check -noout", &[]);
    assert_eq!((checked.code, checked.stdout.trim()), (Some(0), "RSA key ok"), "{checked:?}");
    let keys: Value = serde_json::from_str(&shell(&home, &pasted[2], &[]).stdout).expect("JSON");
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(1));
    // The output of `sign` is piped into curl.
    let sign = format!("{} sign --key key.pem --ip 203.0.113.7 --region eu-1", env!("CARGO_BIN_EXE_orgkeys"));
    let pipe =
        format!("{sign} | curl -sS http://{}/register -H 'Content-Type: application/json' -d @-", server.address);
    let ran = shell(&home, &pipe, &[]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!((&answer["success"], &answer["data"]["provider"]), (&json!(true), &json!("")));
    // The command that revokes the token has a test of its own.
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_printed_command_revokes_the_first_token() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let line = server.shown.lines().find_map(|line| line.split_once("run: orgkeys ")).expect("a line").1.to_owned();
    assert_eq!(server.stop().0, Some(0));
    home.done(&line.split(' ').collect::<Vec<_>>());
    let refused = home.start().call_as(&owner, "GET", "/user/profile");
    assert_eq!(refused.refusal(), (401, "TOKEN_REVOKED".to_owned()));
}

#[test]
fn with_tls_curl_connects_and_trusts_only_the_servers_certificate() {
    if !tools() {
        return;
    }
    let home = Home::new();
    for name in ["ours", "other"] {
        certificate(&home, name);
    }
    let server = home.start_with(&mut home.serve(&["--tls-cert", "ours.crt", "--tls-key", "ours.key"]));
    let owner = server.owner();
    let url = format!("https://localhost:{}", server.address.port());
    assert!(server.shown.contains(&format!("\n url=https://{}; org=", server.address)), "{}", server.shown);
    let ask = |flags: &str| {
        let line = format!("curl -sS {flags} {url}/user/profile -H 'Authorization: Bearer {}'", owner.token);
        shell(&home, &line, &[])
    };
    for version in ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3", "--http2"] {
        let ran = ask(&format!("--cacert ours.crt {version}"));
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(answer["data"]["orgId"], json!(owner.org), "{version}");
    }
    let other = ask("--cacert other.crt");
    assert_eq!((other.code, other.stdout.as_str()), (Some(60), ""), "another certificate: {other:?}");
    let old = ask("--cacert ours.crt --tls-max 1.1");
    assert_eq!((old.code, old.stdout.as_str()), (Some(35), ""), "TLS 1.1: {old:?}");
    let clear = shell(&home, &format!("curl -sS http://{}/health", server.address), &[]);
    assert_ne!(clear.code, Some(0), "without TLS: {clear:?}");
    assert_eq!(server.stop().0, Some(0));
}
