//! A web service that embeds the bridge: keeps the store in sync with the transcripts and serves a token dashboard, and
//! the bridge's HTTP API, which the page reads.
//!
//! Run `cargo run --release -p embed` and open <http://127.0.0.1:8080>. The first argument sets another address, further
//! ones are additional host names (`embed 0.0.0.0:8080 tokens.example`); requests for other hosts are rejected.
//! `--no-cost` hides costs on the page. `ETB_…` variables override `bridge_config.yaml`, which is read from the current
//! folder. Ctrl-C and SIGTERM stop the service within seconds, with exit code 0; an option that it does not know ends it
//! with 2.

use std::error::Error;
use std::io;
use std::process::ExitCode;
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

/// The command line.
struct Arguments {
    address: String,
    /// Host names besides the address.
    names: Vec<String>,
    shows_cost: bool,
}

impl Arguments {
    /// Parses the arguments after the program's name. Returns the first unknown option as the error.
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (options, mut values): (Vec<_>, Vec<_>) =
            arguments.partition(|argument| argument.starts_with('-'));
        if let Some(unknown) = options.iter().find(|option| *option != "--no-cost") {
            return Err(format!(
                "unknown option {unknown}; usage: embed [--no-cost] [ADDRESS [HOST_NAME]...]"
            ));
        }
        let names = values.split_off(values.len().min(1));
        let address = values.pop().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        Ok(Self { address, names, shows_cost: options.is_empty() })
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("embed: {problem}");
            return Ok(ExitCode::from(2));
        }
    };
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(arguments));
    runtime.shutdown_timeout(READERS_TIMEOUT);
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let shutdown = shutdown_signal()?;
    tokio::pin!(shutdown);
    let service = tokio::select! {
        () = &mut shutdown => return Ok(()),
        started = start(arguments) => started?,
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

async fn start(arguments: Arguments) -> Result<RunningService, Box<dyn Error>> {
    let metrics = install_recorder()?;
    let config = BridgeConfig::from_yaml_file("bridge_config.yaml")?.with_process_env()?;
    let bridge = config.build().await?;
    let sync_task = bridge.keep_in_sync(Duration::from_secs(5), |_| {});
    let listener = web::listen(&arguments.address).await?;
    let bound = listener.local_addr()?;
    let page = PageOptions::default().with_zone(TimeZone::system());
    let page = if arguments.shows_cost { page } else { page.without_cost() };
    let options = WebOptions::default().with_metrics(move || metrics.render()).with_page(page);
    let router = web::protect(
        web::router(bridge.clone(), options),
        AllowedHosts::of_listener(bound).with_names(arguments.names),
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
