//! How do nodes speak, and how are they asked for over HTTP?

mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::wire::{NodeAnswer, NodeList, Registration, Unregistration, info};
use super::Group;
use super::http::auth::AuthOrKey;
use super::http::body::Body;
use super::http::bridge::{act, at_the_door};
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::observe::From;
use super::http::paging;
use crate::actions::node::{self, NodePage};
use crate::domain::id::OrgId;
use crate::domain::node::{Node, Services};
use crate::engine::app::App;
use crate::engine::error::Error;

/// The operations on nodes.
pub struct NodeApi(pub Arc<App>);

type RegisterFail = ApiError<{ status::BAD_REQUEST | status::BAD_BODY | status::RATE_LIMITED }>;
type UnregisterFail = ApiError<{ status::BAD_REQUEST | status::NOT_FOUND | status::BAD_BODY | status::RATE_LIMITED }>;
type ListFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;
type ManageFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND }>;

#[OpenApi(tag = "Group::Nodes")]
impl NodeApi {
    /// Register a node
    ///
    /// Puts the node into the registry, or refreshes it. The credential is the signature, by a key of the
    /// organization, over `ip|region|timestamp` (or `ip|region|timestamp|organization id`); `orgkeys sign` makes it.
    /// Each signature is accepted once. A refusal says in `errorMessage` what to do; its `errorCode` is `BAD_SIGNATURE`,
    /// `TIMESTAMP_TOO_OLD`, `TIMESTAMP_IN_FUTURE`, `SIGNATURE_REPLAYED`, `UNKNOWN_ORGANIZATION`, `NO_KEYS`, `NODE_DELETED`,
    /// `NODE_LIMIT_REACHED` or `INVALID_FIELD`.
    #[oai(path = "/register", method = "post", operation_id = "registerNode")]
    async fn register(&self, from: From, body: Body<Registration, true>) -> Result<Json<NodeAnswer>, RegisterFail> {
        let (call, profile) = body.0.parse().map_err(advised)?;
        let node = at_the_door(node::register(&self.0, &from.0, &call, profile)).await.map_err(advised)?;
        Ok(Json(NodeAnswer { success: true, message: "Node registered successfully".to_owned(), data: info(node) }))
    }

    /// Unregister a node
    ///
    /// Takes the node out of the registry, at its own signed word. A later registration makes a new node.
    #[oai(path = "/unregister", method = "post", operation_id = "unregisterNode")]
    async fn unregister(&self, from: From, body: Body<Unregistration, true>) -> Result<Json<Done>, UnregisterFail> {
        let call = body.0.parse().map_err(advised)?;
        act(&self.0, move |app| node::unregister(app, &from.0, &call)).await.map_err(advised)?;
        Ok(Json(Done::because("Node unregistered successfully")))
    }

    /// List the nodes of an organization
    ///
    /// Newest first, without the deleted ones. Any member may.
    #[oai(path = "/organization/:orgId/nodes", method = "get", operation_id = "listNodes")]
    async fn list(
        &self,
        auth: AuthOrKey,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// How many to pass over.
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<Json<NodeList>, ListFail> {
        let org = OrgId::parse(&org);
        let page = page(0, skip.0, take.0)?;
        let found = act(&self.0, move |app| node::list(app, &auth.0, org, page)).await?;
        Ok(Json(listed(found)))
    }

    /// Delete a node
    ///
    /// The node cannot come back by itself: registering and unregistering are refused until it is activated. Needs
    /// ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/node/:nodeId", method = "delete", operation_id = "deleteNode")]
    async fn delete(
        &self,
        auth: AuthOrKey,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The node's id, or its address.
        #[oai(name = "nodeId")]
        node: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let org = OrgId::parse(&org);
        act(&self.0, move |app| node::delete(app, &auth.0, org, node.0)).await?;
        Ok(Json(Done::because("Node deleted successfully")))
    }

    /// Activate a deleted node
    ///
    /// Undoes the deletion. The node is beside a key again when it next registers. Needs ADMINISTRATOR.
    #[oai(path = "/organization/:orgId/node/:nodeId/activate", method = "post", operation_id = "activateNode")]
    async fn activate(
        &self,
        auth: AuthOrKey,
        /// The organization's id.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// The node's id, or its address.
        #[oai(name = "nodeId")]
        node: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let org = OrgId::parse(&org);
        act(&self.0, move |app| node::activate(app, &auth.0, org, node.0)).await?;
        Ok(Json(Done::because("Node activated successfully")))
    }

    /// Find nodes by what they offer
    ///
    /// The nodes of the caller's own organization that offer any of the services, newest first.
    #[oai(path = "/node", method = "get", operation_id = "findNodes")]
    async fn find(
        &self,
        auth: AuthOrKey,
        /// The sum of STORAGE 1, AILLM 2 and CHAT 4; 0 is every node.
        #[oai(name = "nodeServices", validator(minimum(value = "0"), maximum(value = "7")))]
        services: Query<Option<i64>>,
        /// How many to pass over.
        skip: Query<Option<u32>>,
        /// How many to give: 1 to 1000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<Json<NodeList>, ListFail> {
        let page = page(services.0.unwrap_or(0), skip.0, take.0)?;
        let found = act(&self.0, move |app| node::find(app, &auth.0, page)).await?;
        Ok(Json(listed(found)))
    }
}

/// Signed calls always say in `errorMessage` too what is wrong: that is what nodes print.
fn advised(error: impl Into<Error>) -> Error {
    let error = error.into();
    match error.advice {
        Some(_) => error,
        None => Error { advice: Some(error.message.clone()), ..error },
    }
}

fn page(services: i64, skip: Option<u32>, take: Option<u32>) -> Result<NodePage, Error> {
    let (skip, take) = paging::page(skip, take);
    Ok(NodePage { services: Services::parse(services)?, skip, take })
}

fn listed((nodes, total): (Vec<Node>, i64)) -> NodeList {
    let data = nodes.into_iter().map(info).collect();
    NodeList { success: true, message: "Nodes retrieved successfully".to_owned(), data, total }
}
