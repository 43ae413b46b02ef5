//! A service that keeps a database of token usage in sync with this host's transcripts, and shows it: the page, the
//! HTTP API, health and metrics.
//!
//! Run `cargo run --release -p service` and open <http://127.0.0.1:8080>. `service.toml` beside it has the settings.
//! SIGTERM and Ctrl-C end it within seconds, with exit code 0; 1 means that it failed, 2 that the command line or the
//! settings are wrong.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use service::failure::Failure;
use service::settings::Settings;
use service::start;
use service::terminal::Terminal;
use service::{status, unit};

/// Maximum time that the end waits for reader threads.
const READERS_TIMEOUT: Duration = Duration::from_secs(1);

/// Keeps a database of token usage in sync with this host's transcripts, and shows it.
#[derive(Debug, Parser)]
#[command(name = "token-bridge", version)]
struct Arguments {
    /// Settings file; `service.toml` in the current folder, if it exists.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on, instead of the one in the settings.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Check the settings, and start nothing.
    #[arg(long)]
    check: bool,
    /// Print a unit for the system's service manager, and start nothing.
    #[arg(long, value_name = "MANAGER", num_args = 0..=1, require_equals = true, default_missing_value = default_manager())]
    install_unit: Option<Manager>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Manager {
    /// For the whole system, as this user.
    Systemd,
    /// For this user's own manager.
    SystemdUser,
    /// For this user's sessions.
    Launchd,
}

fn default_manager() -> &'static str {
    if cfg!(target_os = "macos") { "launchd" } else { "systemd" }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("token-bridge: {}", failure.report());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = Settings::load(arguments.config.as_deref(), arguments.listen.as_deref())?;
    // Before the folder changes: some systems return the path as it was called.
    let program = std::env::current_exe().and_then(std::path::absolute);
    settings.enter_folder()?;
    if let Some(manager) = arguments.install_unit {
        let text = unit_text(manager, &program.map_err(Failure::running)?, &settings)?;
        print!("{text}");
        return Ok(());
    }
    let prepared = start::prepare(&settings)?;
    if arguments.check {
        println!("the settings are valid");
        return Ok(());
    }
    // The line on a terminal is enough there; a service's log says more.
    let is_terminal = io::stdout().is_terminal();
    let level = if is_terminal { tracing::Level::WARN } else { tracing::Level::INFO };
    let terminal = Terminal::default();
    tracing_subscriber::fmt().with_writer(terminal.clone()).with_max_level(level).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::running)?;
    let outcome = runtime.block_on(async {
        let stop = stop_requested().map_err(Failure::running)?;
        tokio::pin!(stop);
        let running = tokio::select! {
            () = &mut stop => return Ok(()),
            started = start::start(&settings, prepared) => started?,
        };
        println!("{}", running.url());
        let line = is_terminal.then(|| status::Line::show(&running, terminal));
        let stopped = async {
            stop.await;
            // It asks the database, which is not needed any more.
            drop(line);
        };
        running.serve_until(stopped).await;
        Ok(())
    });
    runtime.shutdown_timeout(READERS_TIMEOUT);
    outcome
}

fn unit_text(manager: Manager, program: &Path, settings: &Settings) -> Result<String, Failure> {
    match manager {
        Manager::Systemd => {
            let user = unit::user(|name| std::env::var(name).ok());
            let unnamed = || Failure::settings("USER is not set; the systemd unit needs a user");
            Ok(unit::systemd(program, settings, Some(&user.ok_or_else(unnamed)?)))
        }
        Manager::SystemdUser => Ok(unit::systemd(program, settings, None)),
        Manager::Launchd => {
            let logs = std::env::home_dir().map_or_else(unit::folder, |home| home.join("Library/Logs"));
            Ok(unit::launchd(program, settings, &logs))
        }
    }
}

/// Returns a future that completes on Ctrl-C or, on Unix, SIGTERM.
fn stop_requested() -> io::Result<impl Future<Output = ()>> {
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
