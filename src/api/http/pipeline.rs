//! The way of a request through the server: what happens to every request before its operation, and to every response
//! after it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Request, Response, Route};

use super::closing::Closing;
use super::cors::Cors;
use super::metrics::Metrics;
use super::observe::Observer;
use super::refusals::Refusals;
use super::web_cookie::CookieName;
use super::{console, docs, head, receive};
use crate::api::verification::door;
use crate::engine::app::App;

/// Where the paths of [`pages`] begin.
const PAGES: [&str; 3] = ["/console", "/docs", "/openapi.json"];

/// Answers every request. It calls the steps one after the other, because each layer of the framework's middleware would
/// copy the request once more.
pub struct Pipeline {
    /// The app, which operations find beside their request.
    pub app: Arc<App>,
    /// The name of the cookie, which operations find there too.
    pub cookie: CookieName,
    /// Where verifications are counted.
    pub metrics: Arc<Metrics>,
    /// Logs and counts every request.
    pub observer: Observer,
    /// The web pages that may call the API.
    pub cors: Cors,
    /// Turns errors into responses.
    pub refusals: Refusals,
    /// The operations that end their connection.
    pub closing: Closing,
    /// The pages for browsers.
    pub pages: BoxEndpoint<'static>,
    /// The operations of the API.
    pub operations: BoxEndpoint<'static>,
}

impl Endpoint for Pipeline {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let observation = self.observer.begin(&mut request);
        let answered = AssertUnwindSafe(self.answer(request)).catch_unwind().await;
        Ok(observation.end(answered))
    }
}

impl Pipeline {
    /// Refuses a request, answers it early, or runs its operation.
    async fn answer(&self, mut request: Request) -> Response {
        if let Some(refusal) = head::refuse(&request) {
            return refusal;
        }
        let clearance = self.cors.clearance(&request);
        let early = clearance.preflight().or_else(|| door::respond(&self.app, &self.metrics, &request));
        let mut response = if let Some(response) = early {
            response
        } else {
            let (uri, method) = (request.uri().clone(), request.method().clone());
            let is_page = PAGES.iter().any(|page| uri.path().starts_with(page));
            request.set_data(Arc::clone(&self.app));
            request.set_data(self.cookie.clone());
            let outcome = match receive::receive(&mut request).await {
                Ok(()) => if is_page { &self.pages } else { &self.operations }.call(request).await,
                Err(error) => Err(error),
            };
            outcome.unwrap_or_else(|error| self.refusals.respond(uri.path(), &method, error))
        };
        self.closing.close(&mut response);
        clearance.apply(&mut response);
        response
    }
}

/// Returns the pages for browsers: the console, Swagger UI, and the document that it shows.
pub fn pages() -> BoxEndpoint<'static> {
    console::on(Route::new()).nest("/docs", docs::endpoint()).at("/openapi.json", docs::document()).boxed()
}

#[cfg(test)]
mod tests {
    use poem_openapi::OpenApi;

    use super::*;
    use crate::api::Apis;

    #[test]
    fn no_operation_is_where_the_pages_are() {
        let paths = Apis::meta().into_iter().flat_map(|api| api.paths).map(|path| path.path);
        let behind_pages: Vec<_> = paths.filter(|path| PAGES.iter().any(|page| path.starts_with(page))).collect();
        assert!(behind_pages.is_empty(), "{behind_pages:?}");
    }
}
