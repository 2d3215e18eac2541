//! Operations on nodes: registering and unregistering by signature, and managing the registry.

pub mod wire;

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use self::wire::{NodeAnswer, NodeList, Registration, State, Unregistration, info, retiring};
use super::Group;
use super::http::auth::AuthOrKey;
use super::http::body::Body;
use super::http::bridge::act;
use super::http::envelope::Done;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::observe::From;
use super::http::paging;
use crate::actions::node::{self, NodePage, NodesFound, Registered};
use crate::domain::id::{OrgId, OrgKeyId};
use crate::domain::node::{NodeFilter, Services, parse_region, parse_search};
use crate::engine::app::App;

/// The operations on nodes.
pub struct NodeApi(pub Arc<App>);

type RegisterFail = ApiError<{ status::BAD_REQUEST | status::BAD_BODY | status::RATE_LIMITED }>;
type UnregisterFail = ApiError<{ status::BAD_REQUEST | status::NOT_FOUND | status::BAD_BODY | status::RATE_LIMITED }>;
type ListFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;
type ListOfOrgFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND }>;
type ManageFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN | status::NOT_FOUND }>;

#[OpenApi(tag = "Group::Nodes")]
impl NodeApi {
    /// Register a node
    ///
    /// Adds the node to the organization's registry, or refreshes its entry. No token is needed: the request is
    /// authenticated by its signature over `ip|region|timestamp` or `ip|region|timestamp|organization id`, made with an
    /// organization key. `orgkeys sign` prints a signed body. Each signature is accepted only once, across all
    /// endpoints. An IP address is the same node in any spelling; any other `ip` is compared as text. An organization can
    /// have at most `nodes_max` nodes (a server setting, 10,000 by default), including deleted ones. Recorded in the
    /// audit log as `node.register`; refused calls are counted, and the counts are recorded once a minute.
    ///
    /// If the call is refused, `errorMessage` says what to do.
    ///
    /// Responses:
    /// - 200: The node is registered with the key that verified the signature. If that key ends, `warnings` says when.
    /// - 400: The request was refused: `BAD_SIGNATURE`, `KEY_RETIRED`, `TIMESTAMP_TOO_OLD`, `TIMESTAMP_IN_FUTURE`,
    ///   `SIGNATURE_REPLAYED`, `UNKNOWN_ORGANIZATION`, `NO_KEYS`, `NODE_DELETED`, `NODE_LIMIT_REACHED` or
    ///   `INVALID_FIELD`.
    /// - 429: Too many signed calls from the network were refused, or too many of the organization's were accepted.
    ///   Send the same request again after the number of seconds in `Retry-After`.
    #[oai(path = "/register", method = "post", operation_id = "registerNode")]
    async fn register(&self, from: From, body: Body<Registration>) -> Result<Json<NodeAnswer>, RegisterFail> {
        let (call, profile) = body.0.parse()?;
        let Registered { node, key_ends } = node::register(&self.0, &from.0, &call, profile).await?;
        let warnings = key_ends.zip(node.key).map(|(ends, key)| vec![retiring(key, ends)]);
        let message = "Node registered successfully".to_owned();
        Ok(Json(NodeAnswer { success: true, message, data: info((node, None)), warnings }))
    }

    /// Unregister a node
    ///
    /// Removes the node from the registry. The request is authenticated by its signature, as for `registerNode`. A
    /// later registration creates a new node. Recorded in the audit log as `node.unregister`; refused calls are
    /// counted, and the counts are recorded once a minute.
    ///
    /// Responses:
    /// - 200: The node was removed.
    /// - 400: The request was refused: `BAD_SIGNATURE`, `KEY_RETIRED`, `TIMESTAMP_TOO_OLD`, `TIMESTAMP_IN_FUTURE`,
    ///   `SIGNATURE_REPLAYED`, `UNKNOWN_ORGANIZATION`, `NO_KEYS`, `NODE_DELETED` or `INVALID_FIELD`.
    /// - 404: The organization has no node with this address (`NODE_NOT_FOUND`).
    /// - 429: Too many signed calls from the network were refused, or too many of the organization's were accepted.
    ///   Send the same request again after the number of seconds in `Retry-After`.
    #[oai(path = "/unregister", method = "post", operation_id = "unregisterNode")]
    async fn unregister(&self, from: From, body: Body<Unregistration>) -> Result<Json<Done>, UnregisterFail> {
        let call = body.0.parse()?;
        node::unregister(&self.0, &from.0, &call).await?;
        Ok(Json(Done::because("Node unregistered successfully")))
    }

    /// List the nodes of an organization
    ///
    /// Returns the registered nodes, newest first. Deleted nodes are left out unless `state` is `deleted`. A node must
    /// match all filters. Allowed for every role, and for API keys that are not restricted to projects. Recorded in the
    /// audit log as `node.list`.
    ///
    /// Responses:
    /// - 200: A page of nodes, and the total number of nodes that match the filters.
    /// - 400: `skip` or `take` is out of range, or a filter is invalid.
    /// - 403: You do not belong to this organization, or the API key is restricted to projects. An organization that
    ///   does not exist gets the same response.
    /// - 404: The organization has no key with the id `keyId` (`KEY_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/nodes", method = "get", operation_id = "listNodes")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn list(
        &self,
        auth: AuthOrKey,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Number of nodes to skip. Default 0.
        skip: Query<Option<u32>>,
        /// Maximum number of nodes to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
        /// Id of an organization key: only the nodes that last registered with it. After a rotation, these are the nodes
        /// that have not moved yet.
        #[oai(name = "keyId", validator(max_length = 40))]
        key: Query<Option<String>>,
        /// State of the nodes. Default: active and silent ones.
        state: Query<Option<State>>,
        /// Region of the nodes: up to 64 characters. An empty text matches every region.
        #[oai(validator(max_length = 64, pattern = r"^[^|\x00-\x1f\x7f]*$"))]
        region: Query<Option<String>>,
        /// Text that the address, the region or the version of a node contains, in any letter case (of A to Z), or the
        /// id of a node: up to 253 characters. An empty text matches every node.
        #[oai(validator(max_length = 253, pattern = r"^[^\x00-\x1f\x7f]*$"))]
        search: Query<Option<String>>,
    ) -> Result<Json<NodeList>, ListOfOrgFail> {
        let org = OrgId::parse(&org);
        let given = |text: Query<Option<String>>| text.0.filter(|text| !text.is_empty());
        let filter = NodeFilter {
            state: state.0.map(State::state),
            region: given(region).map(|region| parse_region(&region)).transpose()?,
            search: given(search).map(|search| parse_search(&search)).transpose()?,
            ..NodeFilter::default()
        };
        let page = page(filter, skip.0, take.0);
        let found = act(&self.0, move |app| match key.0 {
            Some(key) => node::list_by_key(app, &auth.0, org, OrgKeyId::parse(&key), &page),
            None => node::list(app, &auth.0, org, &page),
        });
        Ok(Json(listed(found.await?)))
    }

    /// Delete a node
    ///
    /// Blocks the node: until it is activated again, calls to register or unregister it are refused with
    /// `NODE_DELETED`, even if the signature is valid. The node is no longer associated with a key. Requires
    /// ADMINISTRATOR or OWNER; an API key must not be restricted to projects. Recorded in the audit log as
    /// `node.delete`.
    ///
    /// Responses:
    /// - 200: The node was deleted.
    /// - 400: The node is already deleted (`NODE_ALREADY_DELETED`).
    /// - 403: The role of the user or API key is below ADMINISTRATOR, the organization is not its own, or the API key
    ///   is restricted to projects. An organization that does not exist gets the same response.
    /// - 404: The organization has no node with this id or address (`NODE_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/node/:nodeId", method = "delete", operation_id = "deleteNode")]
    async fn delete(
        &self,
        auth: AuthOrKey,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the node, or its address (`ip`) in any spelling.
        #[oai(name = "nodeId")]
        node: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let org = OrgId::parse(&org);
        node::delete(&self.0, &auth.0, org, node.0).await?;
        Ok(Json(Done::because("Node deleted successfully")))
    }

    /// Activate a deleted node
    ///
    /// Allows a deleted node to register again. The next registration associates the node with a key again. Requires
    /// ADMINISTRATOR or OWNER; an API key must not be restricted to projects. Recorded in the audit log as
    /// `node.activate`.
    ///
    /// Responses:
    /// - 200: The node was activated.
    /// - 400: The node is not deleted (`NODE_NOT_DELETED`).
    /// - 403: The role of the user or API key is below ADMINISTRATOR, the organization is not its own, or the API key
    ///   is restricted to projects. An organization that does not exist gets the same response.
    /// - 404: The organization has no node with this id or address (`NODE_NOT_FOUND`).
    #[oai(path = "/organization/:orgId/node/:nodeId/activate", method = "post", operation_id = "activateNode")]
    async fn activate(
        &self,
        auth: AuthOrKey,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Id of the node, or its address (`ip`) in any spelling.
        #[oai(name = "nodeId")]
        node: Path<String>,
    ) -> Result<Json<Done>, ManageFail> {
        let org = OrgId::parse(&org);
        node::activate(&self.0, &auth.0, org, node.0).await?;
        Ok(Json(Done::because("Node activated successfully")))
    }

    /// Find nodes by service
    ///
    /// Returns the nodes of the caller's organization that offer at least one of the services, newest first. Deleted
    /// nodes are left out. Allowed for every role, and for API keys that are not restricted to projects. Recorded in
    /// the audit log as `node.list`.
    ///
    /// Responses:
    /// - 200: A page of nodes, and their total number.
    /// - 400: `nodeServices`, `skip` or `take` is out of range.
    /// - 403: The API key is restricted to projects (`API_KEY_NOT_ALLOWED`).
    #[oai(path = "/node", method = "get", operation_id = "findNodes")]
    async fn find(
        &self,
        auth: AuthOrKey,
        /// Services as a sum of STORAGE 1, AILLM 2 and CHAT 4. The default, 0, returns every node.
        #[oai(name = "nodeServices", validator(minimum(value = "0"), maximum(value = "7")))]
        services: Query<Option<i64>>,
        /// Number of nodes to skip. Default 0.
        skip: Query<Option<u32>>,
        /// Maximum number of nodes to return: 1 to 1,000. Default 1,000.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        take: Query<Option<u32>>,
    ) -> Result<Json<NodeList>, ListFail> {
        let filter = NodeFilter { services: Services::parse(services.0.unwrap_or(0))?, ..NodeFilter::default() };
        let page = page(filter, skip.0, take.0);
        let found = act(&self.0, move |app| node::find(app, &auth.0, &page)).await?;
        Ok(Json(listed(found)))
    }
}

fn page(filter: NodeFilter, skip: Option<u32>, take: Option<u32>) -> NodePage {
    let (skip, take) = paging::page(skip, take);
    NodePage { filter, skip, take }
}

fn listed((nodes, total): NodesFound) -> NodeList {
    let data = nodes.into_iter().map(info).collect();
    NodeList { success: true, message: "Nodes retrieved successfully".to_owned(), data, total }
}
