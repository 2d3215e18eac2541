//! The scenario, with the generated client only: a user signs in and creates a key, and a node registers with it.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::header::{AUTHORIZATION, HeaderMap};
use types::*;

progenitor::generate_api!(spec = "openapi/orgkeys.json");

const PASSWORD: &str = "five quiet owls";

/// A refusal, in its generated type.
fn refusal<T: std::fmt::Debug, E: std::fmt::Debug + Clone>(answer: Result<ResponseValue<T>, Error<E>>) -> E {
    match answer {
        Err(Error::ErrorResponse(refused)) => refused.into_inner(),
        other => panic!("a refusal was expected, not {other:?}"),
    }
}

fn client(token: Option<&str>) -> Client {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
    }
    let http = reqwest::Client::builder().default_headers(headers).build().expect("a client");
    Client::new_with_client(&env::var("URL").expect("URL"), http)
}

/// A node's request, signed by the orgkeys program.
fn registration(private_key: &str, org: &str) -> NodeRegistration {
    let mut sign = Command::new(env::var("PROGRAM").expect("PROGRAM"))
        .args(["sign", "--key", "/dev/stdin", "--ip", "203.0.113.7", "--region", "eu-central-1", "--org", org])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    sign.stdin.take().expect("its input").write_all(private_key.as_bytes()).expect("written");
    serde_json::from_slice(&sign.wait_with_output().expect("it ends").stdout).expect("a request")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (anybody, owner) = (client(None), client(Some(&env::var("TOKEN")?)));

    // A user is added and signs in.
    let org = owner.get_profile().await?.into_inner().data.org_id;
    let person = OrganizationUserInput {
        email: "ada@example.org".parse()?,
        first_name: "Ada".parse()?,
        last_name: "Ärzte".parse()?,
        password: Some(PASSWORD.parse()?),
        org_role: Some(254),
        send_invite: None,
    };
    let added = owner.create_user(&person).await?.into_inner().data;
    assert_eq!(added.last_name, "Ärzte");
    let credentials = Credentials { email: "ADA@example.org".parse()?, password: PASSWORD.parse()?, device_info: None };
    let session = anybody.login_user(&credentials).await?.into_inner();
    let ada = client(Some(&session.access_token));

    // The user creates a key, and a node registers with it.
    let minted = ada.create_organization_key(&org, Some(KeyFormat::Json)).await?.into_inner().data;
    let signed = registration(&minted.private_key, &org);
    let node = anybody.register_node(&signed).await?.into_inner().data;
    assert_eq!((node.ip.as_str(), node.key_id.as_ref()), ("203.0.113.7", Some(&minted.id)));
    let nodes = ada.list_nodes(&org, None, None, None, None, None, None).await?.into_inner();
    assert_eq!((nodes.total, &nodes.data[0].id), (1, &node.id));
    let keys = ada.list_organization_keys(&org, None).await?.into_inner().data;
    assert_eq!(keys[0].node_keys[0].node_id, "203.0.113.7");

    // The key is rotated, and ends when the node has moved to the successor.
    let rotation = OrganizationKeyRotation { overlap_seconds: Some(3_600), ..Default::default() };
    let rotated = ada.rotate_organization_key(&org, &minted.id, Some(KeyFormat::Json), &rotation);
    let rotated = rotated.await?.into_inner().data;
    let signed = registration(rotated.private_key.as_deref().expect("a key"), &org);
    let node = anybody.register_node(&signed).await?.into_inner().data;
    assert_eq!(node.key_id.as_ref(), Some(&rotated.id));
    let keys = ada.list_organization_keys(&org, Some(true)).await?.into_inner().data;
    let states: Vec<_> = keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [OrganizationKeyState::Active, OrganizationKeyState::Retired]);

    // A service gets an API key and has it verified.
    let asked = NewApiKeyRequest {
        list_projects_id: Vec::new(),
        role_id: 0,
        user_api_key: UserApiKey {
            api_name: "東京".parse()?,
            has_expire_time: false,
            start_date_time: None,
            expire_date_time: None,
        },
        note: None,
    };
    let made = ada.create_api_key(&org, &asked).await?.into_inner().result;
    assert_eq!(made.name, "東京");
    let question = VerifyApiKey { api_key: made.api_key.parse()?, project_id: None, role: None };
    let verdict = ada.verify_api_key(&question).await?.into_inner().result;
    assert_eq!((verdict.valid, verdict.code.as_str(), verdict.expire_date), (true, "VALID", None));
    assert_eq!(verdict.api_key_id, Some(made.id));

    // The audit log has the events.
    let wanted: SystemEventQuery = serde_json::from_value(serde_json::json!({ "take": 100 }))?;
    let events = ada.list_system_events(&wanted).await?.into_inner().events;
    for context in ["user", "orgkey", "flashbacknode", "apikey"] {
        let created = |event: &SystemEvent| event.context == context && event.event == "created";
        assert!(events.iter().any(created), "no {context} was created");
    }

    // Three refusals, read through their types.
    let replayed = refusal(anybody.register_node(&signed).await);
    assert_eq!(replayed.error_code, "SIGNATURE_REPLAYED");
    assert!(replayed.error_message.expect("a message").to_lowercase().contains("sign"));
    let wrong = Credentials { password: "not that one at all".parse()?, ..credentials };
    assert_eq!(refusal(anybody.login_user(&wrong).await).error_code, "INVALID_CREDENTIALS");
    let missing = refusal(ada.delete_api_key(&org, "999999").await);
    assert_eq!((missing.status_code, missing.result_info.as_str(), missing.result), (404, "API_KEY_NOT_FOUND", None));

    // Everything is deleted again.
    ada.delete_api_key(&org, &made.id.to_string()).await?;
    let verdict = ada.verify_api_key(&question).await?.into_inner().result;
    assert_eq!((verdict.valid, verdict.code.as_str()), (false, "NOT_FOUND"));
    let done = ada.delete_organization_keys(&org).await?.into_inner();
    assert_eq!(done.message, "Successfully deleted 2 organization key(s)");
    println!("rust: the scenario passed");
    Ok(())
}
