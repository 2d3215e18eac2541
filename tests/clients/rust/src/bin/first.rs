use std::env::var;

use reqwest::header::{AUTHORIZATION, HeaderMap};

progenitor::generate_api!(spec = "openapi/orgkeys.json");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {}", var("TOKEN")?).parse()?)]);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    let client = Client::new_with_client(&var("URL")?, http);
    let org = client.get_profile().await?.into_inner().data.org_id;
    let nodes = client.list_nodes(&org, None, None, None, None, None, None).await?.into_inner();
    println!("nodes: {}", nodes.total);
    for node in nodes.data {
        println!("{} {}", node.ip, node.status);
    }
    Ok(())
}
