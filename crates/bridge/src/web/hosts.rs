//! The hosts of the store.

use axum::response::Response;
use bridge_core::{HostName, Timestamp};
use serde::Serialize;

use super::answers::Count;
use super::api_request::ApiRequest;
use super::context::Caller;
use super::problem::Problem;

#[derive(Serialize)]
struct HostsAnswer {
    as_of: Timestamp,
    silent_after_seconds: Option<f64>,
    hosts: Vec<HostAnswer>,
}

#[derive(Serialize)]
struct HostAnswer {
    host: HostName,
    sources: Count,
    last_read: Option<Timestamp>,
    last_seen: Timestamp,
    silent_seconds: f64,
    silent: bool,
}

/// When each host was last seen.
pub(super) async fn hosts(request: ApiRequest) -> Result<Response, Problem> {
    let as_of = request.now();
    let work = async |caller: Caller| {
        let limit = caller.bridge.host_silent_max();
        let hosts = caller.bridge.dashboard().hosts().await?.into_iter().map(|host| HostAnswer {
            silent: limit.is_some_and(|limit| host.is_silent(limit)),
            silent_seconds: host.silent_for.as_secs_f64(),
            sources: Count(host.sources),
            last_read: host.last_read,
            last_seen: host.last_seen,
            host: host.host,
        });
        let silent_after_seconds = limit.map(|limit| limit.as_secs_f64());
        Ok(HostsAnswer { as_of, silent_after_seconds, hosts: hosts.collect() })
    };
    request.answer("hosts", work).await
}
