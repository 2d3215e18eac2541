//! The statistics of an organization, for charts.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

use super::Group;
use super::http::auth::Auth;
use super::http::bridge::act;
use super::http::error::{ApiError, status};
use super::http::json::Json;
use super::http::scan_limit::ScanLimit;
use super::http::timestamp::Timestamp;
use crate::actions::statistics::{self, Statistics};
use crate::domain::id::OrgId;
use crate::domain::statistics::{HourlyCount, MOST_DAYS};
use crate::engine::app::App;

/// The operations on statistics.
pub struct StatisticsApi {
    app: Arc<App>,
    /// Limits concurrent reads, so that they do not occupy all database readers.
    scan_limit: ScanLimit,
}

/// How often something happened in an hour.
#[derive(Object, Serialize)]
#[oai(rename = "HourlyCount", rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
struct HourlyCountItem {
    /// Beginning of the hour, in UTC.
    hour: Timestamp,
    /// What is counted: `node`, `verification` or `call`.
    kind: String,
    /// For a `node`: `heard`. For a `verification`: its code, such as `VALID` or `EXPIRED`. For a `call`: the HTTP status
    /// of the response, such as `200`, or `499` if there was none.
    outcome: String,
    /// How often it happened.
    count: i64,
}

/// The counts of an organization.
#[derive(Object, Serialize)]
#[oai(rename = "OrganizationStatistics")]
struct StatisticsAnswer {
    /// Always true.
    success: bool,
    /// Human-readable confirmation.
    message: String,
    /// First hour.
    from: Timestamp,
    /// Last hour, which is the present one.
    to: Timestamp,
    /// The counts, ordered by hour, kind and outcome. What did not happen in an hour is left out.
    data: Vec<HourlyCountItem>,
}

type ReadFail = ApiError<{ status::BAD_REQUEST | status::FORBIDDEN }>;

#[OpenApi(tag = "Group::Audit")]
impl StatisticsApi {
    /// Get the statistics of an organization
    ///
    /// Counts for each hour of the last 30 days: nodes that registered in the hour (`node`, each once), verifications
    /// of API keys by their code (`verification`), and other calls of users, API keys and nodes by HTTP status (`call`).
    /// Verifications and calls are added once a minute. Requires ADMINISTRATOR or OWNER; API keys are not allowed.
    /// Recorded in the audit log as `statistics.read`.
    ///
    /// Responses:
    /// - 200: The counts.
    /// - 400: `days` is out of range.
    /// - 403: Your role is below ADMINISTRATOR, you do not belong to this organization, or the credential is an API
    ///   key. An organization that does not exist gets the same response.
    #[oai(path = "/organization/:orgId/statistics", method = "get", operation_id = "getStatistics")]
    async fn read(
        &self,
        auth: Auth,
        /// Id of the organization.
        #[oai(name = "orgId")]
        org: Path<String>,
        /// Number of days before the present hour: 1 to 30. Default 30.
        #[oai(validator(minimum(value = "1"), maximum(value = "30")))]
        days: Query<Option<u32>>,
    ) -> Result<Json<StatisticsAnswer>, ReadFail> {
        let (org, days) = (OrgId::parse(&org), days.0.unwrap_or(MOST_DAYS));
        let permit = self.scan_limit.begin(auth.0.org()).await?;
        let Statistics { from, to, counts } = act(&self.app, move |app| {
            let read = statistics::read(app, &auth.0, org, days);
            drop(permit);
            read
        })
        .await?;
        Ok(Json(StatisticsAnswer {
            success: true,
            message: "Statistics retrieved successfully".to_owned(),
            from: Timestamp(from),
            to: Timestamp(to),
            data: counts.into_iter().map(item).collect(),
        }))
    }
}

impl StatisticsApi {
    /// Creates the operations on an app.
    #[must_use]
    pub const fn new(app: Arc<App>, scan_limit: ScanLimit) -> Self {
        Self { app, scan_limit }
    }
}

fn item(HourlyCount { hour, kind, outcome, count }: HourlyCount) -> HourlyCountItem {
    HourlyCountItem { hour: Timestamp(hour), kind, outcome, count }
}
