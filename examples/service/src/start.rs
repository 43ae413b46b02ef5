//! Starting and ending the service.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use bridge::config::BridgeConfig;
use bridge::live::{LiveOptions, LiveProgress};
use bridge::metrics::METRICS;
use bridge::storage::ClickHouseOptions;
use bridge::web::{self, AllowedHosts, PageOptions, WebOptions};
use bridge::{EnhancedTokenDatabaseBridge, SyncTask, TimeZone};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::access;
use crate::failure::Failure;
use crate::reader::{reading_bridge, server_options};
use crate::relay::{Entrance, Relay};
use crate::settings::{Listen, Settings};
use crate::tls;

/// Maximum time that the end waits for the database.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

/// Interval at which the recorder sums up its samples, which pile up between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The running service.
#[derive(Debug)]
pub struct Running {
    bridge: EnhancedTokenDatabaseBridge,
    reader: Option<EnhancedTokenDatabaseBridge>,
    syncing: SyncTask,
    listener: TcpListener,
    router: Router,
    relay: Option<Relay>,
    url: String,
    shows_cost: bool,
}

/// The files of the settings, read and checked.
pub struct Prepared {
    token: Option<String>,
    certificate: Option<TlsAcceptor>,
    config: BridgeConfig,
    reader: Option<ClickHouseOptions>,
}

/// Reads and checks all files of the settings. Neither the address nor the database is used.
///
/// # Errors
///
/// A file that cannot be read, or that does not hold what it should.
pub fn prepare(settings: &Settings) -> Result<Prepared, Failure> {
    let token = settings.listen.token()?;
    let certificate = settings.listen.tls.as_ref().map(tls::acceptor).transpose()?;
    let config = BridgeConfig::from_yaml_file(&settings.bridge).map_err(Failure::settings)?;
    let config = config.with_process_env().map_err(Failure::settings)?;
    config.analyzer_options().map_err(Failure::settings)?;
    if config.embedded.data_dir.is_none() {
        config.store_options().map_err(Failure::settings)?;
    }
    let reader = settings.reader.as_ref().map(|reader| server_options(&config, reader)).transpose()?;
    Ok(Prepared { token, certificate, config, reader })
}

/// Starts everything; serves nothing yet.
///
/// # Errors
///
/// The database or the address cannot be used.
pub async fn start(settings: &Settings, prepared: Prepared) -> Result<Running, Failure> {
    let Prepared { token, certificate, config, reader } = prepared;
    // The address first: a second service ends here, before it touches the database.
    let outer = web::listen(&settings.listen.address).await;
    let outer = outer.map_err(|error| Failure::running(error).about(&settings.listen.address))?;
    let address = outer.local_addr().map_err(Failure::running)?;
    let metrics = install_recorder().map_err(Failure::running)?;
    let bridge = config.build().await.map_err(Failure::running)?;
    let reader = reading_bridge(&config, reader).await?;
    let syncing = bridge.keep_in_sync(LiveOptions::events(), |outcome| {
        if let Err(error) = outcome {
            // An error does not include its cause.
            let cause = error.source().map(tracing::field::display);
            tracing::warn!(%error, cause, "synchronization failed");
        }
    });
    let proxy_addresses = settings.listen.proxy_addresses.clone().into();
    let entrance = Entrance { acceptor: certificate, proxy_addresses };
    let url = url(&settings.listen, address);
    let (listener, relay) = if entrance.is_open() {
        (outer, None)
    } else {
        let inner = web::listen("127.0.0.1:0").await.map_err(Failure::running)?;
        let inner_address = inner.local_addr().map_err(Failure::running)?;
        (inner, Some(Relay::start(outer, entrance, inner_address)))
    };
    let router = router(settings, &bridge, reader.as_ref(), metrics, token, address);
    let shows_cost = settings.page.cost;
    Ok(Running { bridge, reader, syncing, listener, router, relay, url, shows_cost })
}

/// Returns the address of the page, as others than the listener know it.
fn url(listen: &Listen, address: SocketAddr) -> String {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    // It stands for all addresses of the machine, and none that a browser elsewhere could open.
    let is_any = address.ip().is_unspecified();
    match (listen.names.first(), &listen.proxy) {
        (Some(name), _) if is_any => format!("{scheme}://{name}:{}", address.port()),
        (None, Some(proxy)) if is_any => format!("https://{proxy}"),
        _ => format!("{scheme}://{address}"),
    }
}

fn router(
    settings: &Settings,
    bridge: &EnhancedTokenDatabaseBridge,
    reader: Option<&EnhancedTokenDatabaseBridge>,
    metrics: PrometheusHandle,
    token: Option<String>,
    address: SocketAddr,
) -> Router {
    let limits = &settings.limits;
    let page = PageOptions::default().with_zone(TimeZone::system());
    let page = if settings.page.cost { page } else { page.without_cost() };
    let options = WebOptions::default()
        .with_request_timeout(limits.request_timeout())
        .with_requests_max(limits.requests_max.get())
        .with_queries_max(limits.queries_max.get())
        .with_metrics(move || metrics.render())
        .with_page(page);
    let options = match reader {
        Some(reader) => options.with_reader(reader.clone()),
        None => options,
    };
    let routes = web::router(bridge.clone(), options);
    let names = settings.listen.names.iter().chain(&settings.listen.proxy).cloned();
    let hosts = AllowedHosts::of_listener(address).with_names(names);
    let router = web::protect(access::with_token(routes, token), hosts);
    if settings.listen.tls.is_some() { access::over_tls_only(router) } else { router }
}

impl Running {
    /// Returns the address of the page.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the bridge from which everything that is shown is read.
    #[must_use]
    pub fn reading_bridge(&self) -> &EnhancedTokenDatabaseBridge {
        self.reader.as_ref().unwrap_or(&self.bridge)
    }

    /// True if costs are shown.
    #[must_use]
    pub fn shows_cost(&self) -> bool {
        self.shows_cost
    }

    /// Returns how the synchronization goes.
    #[must_use]
    pub fn progress(&self) -> LiveProgress {
        self.syncing.progress()
    }

    /// Serves until `stop` completes, and ends everything within seconds.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        web::serve(self.listener, self.router, stop).await;
        drop(self.relay);
        // First, so that the writer is the last user of an embedded engine, and waits for its end.
        if let Some(reader) = self.reader
            && let Err(incomplete) = reader.shutdown().within(SHUTDOWN_TIMEOUT / 4).await
        {
            tracing::warn!(%incomplete, "the shutdown of the reader is incomplete");
        }
        // Does not wait long for an unavailable database: the store is consistent, and the next start resumes the
        // synchronization.
        if let Err(incomplete) = self.bridge.shutdown().within(SHUTDOWN_TIMEOUT).await {
            let is_without_tasks = !incomplete.running_tasks;
            if is_without_tasks && incomplete.unwritten_records == 0 && incomplete.audit_error.is_none() {
                // It ends on its own, and nothing is lost: on a busy machine it takes longer.
                tracing::info!(%incomplete, "the service ends before its engine");
            } else {
                tracing::warn!(%incomplete, "the shutdown is incomplete");
            }
        }
        drop(self.syncing);
    }
}

/// Installs a recorder whose histograms have the recommended buckets, and keeps it small until the runtime ends.
fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let mut recorder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| !metric.buckets.is_empty()) {
        recorder = recorder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
    }
    let handle = recorder.install_recorder()?;
    let recorder = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            recorder.run_upkeep();
        }
    });
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_address_can_be_opened() {
        let listen = |names: &[&str], proxy: Option<&str>| Listen {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            proxy: proxy.map(str::to_owned),
            ..Listen::default()
        };
        for (listen, address, expected) in [
            (listen(&[], None), "127.0.0.1:8080", "http://127.0.0.1:8080"),
            (listen(&["tokens.example"], None), "127.0.0.1:8080", "http://127.0.0.1:8080"),
            (listen(&["tokens.example", "b"], None), "0.0.0.0:8080", "http://tokens.example:8080"),
            (listen(&["tokens.example"], Some("proxy.example")), "[::]:8080", "http://tokens.example:8080"),
            (listen(&[], Some("proxy.example")), "0.0.0.0:8080", "https://proxy.example"),
            (listen(&[], None), "0.0.0.0:8080", "http://0.0.0.0:8080"),
        ] {
            assert_eq!(url(&listen, address.parse().unwrap()), expected);
        }
    }
}
