//! The supervisor: starts the engine, restarts it when it crashes, and exits with its last user.
//!
//! It holds the public port for its whole life, so no other process can bind it while the engine is down.
//!
//! Architecture invariant: it never loads the engine's library, so nothing the engine does can end it.
//!
//! Architecture invariant: it opens, writes and removes files relative to its working directory, the data folder it
//! was started in. That folder may have been removed meanwhile and another one made at its path, with an engine of its
//! own: by absolute paths a supervisor that shuts down late would remove its successor's socket and endpoint.

#![allow(
    clippy::disallowed_methods,
    reason = "the launcher is built from std alone, without bridge_core's clock"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::relay::{Access, Relay};
use crate::{Reason, expect, sys};

/// Time for the engine to shut down before it is killed. Acknowledged data is on disk either way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);
/// Number of crashes within [`CRASH_WINDOW`] after which the supervisor gives up.
const CRASHES_MAX: usize = 20;
const CRASH_WINDOW: Duration = Duration::from_secs(60);
/// Restarts begin soon, because requests wait in the relay meanwhile.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_millis(800);
/// Files that announce a running engine; removed once it is gone.
const RUN_FILES: [&str; 5] = ["endpoint.json", ACCESS, PORT, SOCKET, "pids"];
/// Users and proof key of the relay.
const ACCESS: &str = "relay.access";
/// Socket that the engine listens on. Relative, because the path of a socket is limited to 107 bytes.
const SOCKET: &str = "engine.sock";

/// Holds the public port, once an engine listens.
const PORT: &str = "http_port";
const PORT_NEW: &str = "http_port.new";

enum Event {
    /// No program holds the lock of `users.lock` anymore.
    NoUsers,
    /// SIGTERM, SIGINT or SIGHUP arrived.
    Signal,
    /// The engine's process exited.
    EngineExited(io::Result<ExitStatus>),
}

/// Runs the supervisor: `<data folder> <keep | remove> <libchdb.so> -- <engine arguments>`.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<u8, Reason> {
    sys::close_inherited();
    sys::detach()?;
    let signals = sys::ShutdownSignals::block()?;
    let mut arguments = arguments.into_iter();
    let data = PathBuf::from(expect(&mut arguments, "data folder")?);
    let remove = expect(&mut arguments, "keep or remove")? == "remove";
    let library = expect(&mut arguments, "path of the library")?;
    expect(&mut arguments, "--")?;
    std::env::set_current_dir(&data)?;
    let public = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = public.local_addr()?.port();
    let listener = listen()?;
    let supervisor = Supervisor { library, listener, port, arguments: arguments.collect() };
    Relay::new(Access::read(Path::new(ACCESS))?, PathBuf::from(SOCKET)).serve(public)?;

    let (sender, events) = channel();
    let asked = sender.clone();
    spawn("signals", move || {
        signals.wait();
        let _ = asked.send(Event::Signal);
    })?;
    // The thread keeps the exclusive lock until this process is gone, so a program that starts meanwhile waits for
    // the engine's exit and then starts a fresh one.
    let users = File::open("users.lock")?;
    let gone = sender.clone();
    spawn("users", move || match users.lock() {
        Ok(()) => {
            let _ = gone.send(Event::NoUsers);
            std::mem::forget(users);
        }
        Err(error) => {
            eprintln!("supervisor: cannot watch the users' lock: {error}");
            let _ = gone.send(Event::Signal);
        }
    })?;

    // Locked while the engine is meant to run. The engine does not inherit this lock, so no program joins an engine
    // that still answers but is about to exit because its supervisor was killed.
    let serving = File::options().create(true).truncate(false).write(true).open("serving.lock")?;
    serving.lock()?;

    let outcome = supervisor.supervise(serving, &sender, &events);
    remove_run_files();
    if remove {
        remove_folder(&data);
    }
    outcome
}

struct Supervisor {
    library: OsString,
    /// Descriptor of the listener that every engine inherits. It stays open, so a connection made while the engine is
    /// down waits in its backlog for the next engine.
    listener: i32,
    port: u16,
    arguments: Vec<OsString>,
}

/// An engine's process. It exits when its lifeline is dropped.
struct Running {
    pid: u32,
    lifeline: ChildStdin,
}

impl Supervisor {
    /// Keeps an engine running until it has no users or crashes too often.
    fn supervise(
        &self,
        serving: File,
        sender: &Sender<Event>,
        events: &Receiver<Event>,
    ) -> Result<u8, Reason> {
        let mut crashes: Vec<Instant> = Vec::new();
        let listened = Arc::new(AtomicBool::new(false));
        loop {
            let engine = self.start(sender)?;
            self.announce(&listened)?;
            let status = match events.recv()? {
                Event::NoUsers | Event::Signal => {
                    drop(serving);
                    stop(engine, events);
                    return Ok(0);
                }
                Event::EngineExited(status) => status?,
            };
            if !listened.load(Ordering::SeqCst) {
                // It never came up. The program that waits for it quotes the log.
                eprintln!("supervisor: the engine exited before it listened ({status})");
                return Ok(2);
            }
            let now = Instant::now();
            crashes.retain(|crash| now.duration_since(*crash) < CRASH_WINDOW);
            crashes.push(now);
            if crashes.len() >= CRASHES_MAX {
                eprintln!(
                    "supervisor: the engine exited {CRASHES_MAX} times within a minute ({status}), giving up"
                );
                return Ok(3);
            }
            let doublings = u32::try_from(crashes.len() - 1)?.min(10);
            let delay = (FIRST_DELAY * 2_u32.pow(doublings)).min(DELAY_MAX);
            eprintln!(
                "supervisor: the engine exited ({status}), restarting it in {} ms",
                delay.as_millis()
            );
            match events.recv_timeout(delay) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return Ok(0),
            }
        }
    }

    /// Starts the engine on the listener.
    fn start(&self, sender: &Sender<Event>) -> Result<Running, Reason> {
        let mut child = Command::new("/proc/self/exe")
            .arg("engine")
            .arg(&self.library)
            .args([self.listener.to_string(), self.port.to_string()])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(io::stdout().as_fd().try_clone_to_owned()?)
            .spawn()?;
        let pid = child.id();
        // Moved out of the child, because `Child::wait` closes standard input first.
        let lifeline = child.stdin.take().ok_or("the engine has no standard input")?;
        let ended = sender.clone();
        spawn("engine", move || {
            let _ = ended.send(Event::EngineExited(child.wait()));
        })?;
        let pids = format!("{}\n{pid}\n", std::process::id());
        fs::write("pids.new", pids)
            .and_then(|()| fs::rename("pids.new", "pids"))
            .unwrap_or_else(|error| eprintln!("supervisor: cannot write the process ids: {error}"));
        Ok(Running { pid, lifeline })
    }

    /// Writes the port to its file once an engine greets. A restart writes nothing, so it works on a full disk.
    fn announce(&self, listened: &Arc<AtomicBool>) -> io::Result<()> {
        let (listened, port) = (Arc::clone(listened), self.port);
        if listened.load(Ordering::SeqCst) {
            return Ok(());
        }
        spawn("greeting", move || {
            let greeted = UnixStream::connect(SOCKET).and_then(|mut link| link.read_exact(&mut [0]));
            if greeted.is_ok() && !listened.swap(true, Ordering::SeqCst) {
                let written = fs::write(PORT_NEW, format!("{port}\n")).and_then(|()| fs::rename(PORT_NEW, PORT));
                written.unwrap_or_else(|error| eprintln!("supervisor: cannot write the port: {error}"));
            }
        })
    }
}

fn remove_run_files() {
    for name in RUN_FILES {
        let _ = fs::remove_file(name);
    }
}

/// Binds the socket that all engines listen on; returns the descriptor that they inherit.
fn listen() -> Result<i32, Reason> {
    if let Err(error) = fs::remove_file(SOCKET)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error.into());
    }
    Ok(sys::keep_inheritable(UnixListener::bind(SOCKET)?)?)
}

/// Stops the engine, by force after [`SHUTDOWN_TIMEOUT`].
fn stop(engine: Running, events: &Receiver<Event>) {
    drop(engine.lifeline);
    let start = Instant::now();
    loop {
        match events.recv_timeout(SHUTDOWN_TIMEOUT.saturating_sub(start.elapsed())) {
            Ok(Event::EngineExited(_)) => return,
            Ok(Event::NoUsers | Event::Signal) => {}
            Err(_) => break,
        }
    }
    eprintln!("supervisor: the engine did not shut down within {} s and is killed", SHUTDOWN_TIMEOUT.as_secs());
    sys::kill_now(engine.pid);
    while !matches!(events.recv(), Ok(Event::EngineExited(_)) | Err(_)) {}
}

fn remove_folder(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        eprintln!("supervisor: cannot remove {}: {error}", folder.display());
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(drop)
}
