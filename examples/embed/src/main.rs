//! A web service that embeds the bridge: keeps the store in sync with the transcripts and serves a token dashboard, and
//! the bridge's HTTP API, which the page reads.
//!
//! Run `cargo run --release -p embed` and open <http://127.0.0.1:8080>. The first argument sets another address, further
//! ones are additional host names (`embed 0.0.0.0:8080 tokens.example`); requests for other hosts are rejected. `ETB_…`
//! variables override `bridge_config.yaml`, which is read from the current folder. Ctrl-C and SIGTERM stop the service
//! within seconds, with exit code 0.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::Router;
use bridge::config::BridgeConfig;
use bridge::metrics::METRICS;
use bridge::web::{self, AllowedHosts, PageOptions, WebOptions};
use bridge::{EnhancedTokenDatabaseBridge, SyncTask, TimeZone};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;

/// Maximum time that the shutdown waits for the database.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time that the shutdown waits for reader threads.
const READERS_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which the recorder sums up its samples, which pile up between scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run());
    runtime.shutdown_timeout(READERS_TIMEOUT);
    outcome
}

async fn run() -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal()?;
    tokio::pin!(shutdown);
    let service = tokio::select! {
        () = &mut shutdown => return Ok(()),
        started = start() => started?,
    };
    web::serve(service.listener, service.router, shutdown).await;
    // Does not wait long for an unavailable database: the store is consistent, and the next start resumes the
    // synchronization.
    if let Err(incomplete) = service.bridge.shutdown().within(SHUTDOWN_TIMEOUT).await {
        tracing::warn!(%incomplete, "the shutdown is incomplete");
    }
    Ok(())
}

/// The running service.
struct RunningService {
    bridge: EnhancedTokenDatabaseBridge,
    /// Ends with the bridge's shutdown.
    _sync_task: SyncTask,
    listener: TcpListener,
    router: Router,
}

async fn start() -> Result<RunningService, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let metrics = install_recorder()?;
    let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?;
    let bridge = config.build().await?;
    let sync_task = bridge.keep_in_sync(Duration::from_secs(5), |_| {});
    let listener = web::listen(&address).await?;
    let bound = listener.local_addr()?;
    let page = PageOptions::default().with_zone(TimeZone::system());
    let options = WebOptions::default().with_metrics(move || metrics.render()).with_page(page);
    let router = web::protect(
        web::router(bridge.clone(), options),
        AllowedHosts::of_listener(bound).with_names(arguments),
    );
    println!("http://{bound}");
    Ok(RunningService { bridge, _sync_task: sync_task, listener, router })
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

/// Returns a future that completes on Ctrl-C or, on Unix, SIGTERM.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // If no handler can be installed, no signal will ever arrive.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
