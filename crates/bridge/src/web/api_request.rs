//! Requests to the resources of the API that are read.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use bridge_core::Timestamp;
use serde::Serialize;

use super::Web;
use super::context::Caller;
use super::parameters::Parameters;
use super::problem::Problem;

/// A request to a resource: who asks, and the parameters.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) parameters: Parameters,
    web: Arc<Web>,
    caller: Caller,
    /// The part of the answer's key that the resource does not determine. The actor is in it, so every actor's request
    /// is audited.
    key: String,
}

impl FromRequestParts<Arc<Web>> for ApiRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().expect("the router's middleware adds it").clone();
        let parameters = Parameters::parse(parts.uri.query());
        let key = format!("{} {:?}", parameters.canonical(), caller.actor);
        Ok(Self { parameters, web: Arc::clone(web), caller, key })
    }
}

impl ApiRequest {
    pub(super) fn now(&self) -> Timestamp {
        self.web.now()
    }

    /// Returns the resource's answer: the one of this moment if there is one, else that of the work. An error unless
    /// every parameter was taken and is valid.
    pub(super) async fn answer<T: Serialize, F: Future<Output = Result<T, Problem>>>(
        self,
        resource: &str,
        work: impl FnOnce(Caller) -> F,
    ) -> Result<Response, Problem> {
        self.parameters.finish()?;
        self.web.answer(format!("{resource} {}", self.key), work(self.caller)).await
    }
}
