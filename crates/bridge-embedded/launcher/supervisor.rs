//! The supervisor's process: starts the engine, restarts it when it crashes, and leaves with its last user.
//!
//! The public port is the supervisor's own, for its whole life: while the engine is down nobody else can have it.
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

/// How long the engine may take to flush and leave before it is killed. Data it acknowledged is on disk either way.
const LEAVE_LIMIT: Duration = Duration::from_secs(20);
/// Crashes within [`CRASH_WINDOW`] after which the supervisor gives up.
const CRASHES_MAX: usize = 20;
const CRASH_WINDOW: Duration = Duration::from_secs(60);
/// The first delays are short: requests wait in the relay meanwhile.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_millis(800);
/// What is removed when the engine has left: without it nobody looks for an engine here.
const RUN_FILES: [&str; 5] = ["endpoint.json", ACCESS, PORT, SOCKET, "pids"];
/// Who may ask, for the relay.
const ACCESS: &str = "relay.access";
/// Where the engine listens. Relative to the data folder, because a socket's path may have 107 bytes only.
const SOCKET: &str = "engine.sock";

/// Holds the port, as soon as an engine listens.
const PORT: &str = "http_port";
const PORT_NEW: &str = "http_port.new";

enum Event {
    /// No program holds the users' lock any more.
    NoUsers,
    /// SIGTERM, SIGINT or SIGHUP arrived.
    Asked,
    /// The engine's process ended.
    EngineEnded(io::Result<ExitStatus>),
}

/// Runs the supervisor: `<data folder> <keep | remove> <libchdb.so> -- <engine arguments>`.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<u8, Reason> {
    sys::close_inherited();
    sys::detach()?;
    let signals = sys::LeaveSignals::block()?;
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
        let _ = asked.send(Event::Asked);
    })?;
    // Opened here and kept by the thread: the exclusive lock is held until this process is gone, so
    // a program that comes now waits until the engine has left and then starts a fresh one.
    let users = File::open("users.lock")?;
    let gone = sender.clone();
    spawn("users", move || match users.lock() {
        Ok(()) => {
            let _ = gone.send(Event::NoUsers);
            std::mem::forget(users);
        }
        Err(error) => {
            eprintln!("supervisor: cannot watch the users' lock: {error}");
            let _ = gone.send(Event::Asked);
        }
    })?;

    // Held as long as the engine is meant to run. Unlike the engine's lock the engine does not inherit it, so
    // nobody joins an engine that still answers but is about to leave because its supervisor was killed.
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
    /// The number under which every engine inherits its listener. It stays open: a connection that is made while
    /// the engine is down waits in it for the next one.
    listener: i32,
    port: u16,
    arguments: Vec<OsString>,
}

/// The engine's process, alive as long as its lifeline is held.
struct Running {
    pid: u32,
    lifeline: ChildStdin,
}

impl Supervisor {
    /// Keeps an engine running until it is no longer wanted or crashes too often.
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
                Event::NoUsers | Event::Asked => {
                    drop(serving);
                    stop(engine, events);
                    return Ok(0);
                }
                Event::EngineEnded(status) => status?,
            };
            if !listened.load(Ordering::SeqCst) {
                // It never came up: whoever waits for it reads the reason in the log.
                eprintln!("supervisor: the engine ended before it listened ({status})");
                return Ok(2);
            }
            let now = Instant::now();
            crashes.retain(|crash| now.duration_since(*crash) < CRASH_WINDOW);
            crashes.push(now);
            if crashes.len() >= CRASHES_MAX {
                eprintln!(
                    "supervisor: the engine ended {CRASHES_MAX} times within a minute ({status}), giving up"
                );
                return Ok(3);
            }
            let doublings = u32::try_from(crashes.len() - 1)?.min(10);
            let delay = (FIRST_DELAY * 2_u32.pow(doublings)).min(DELAY_MAX);
            eprintln!(
                "supervisor: the engine ended ({status}), starting it again in {} ms",
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
        // Taken out of the child, because waiting for a child closes its standard input first.
        let lifeline = child.stdin.take().ok_or("the engine has no standard input")?;
        let ended = sender.clone();
        spawn("engine", move || {
            let _ = ended.send(Event::EngineEnded(child.wait()));
        })?;
        let pids = format!("{}\n{pid}\n", std::process::id());
        fs::write("pids.new", pids)
            .and_then(|()| fs::rename("pids.new", "pids"))
            .unwrap_or_else(|error| eprintln!("supervisor: cannot write the process ids: {error}"));
        Ok(Running { pid, lifeline })
    }

    /// Writes the port for the users when the engine has come up, which its greeting shows. Once is enough, and an
    /// engine that comes back has nothing to write: it does so on a full disk, too.
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

/// Makes the socket that engines listen on, for all of them, and answers the number they inherit it under.
fn listen() -> Result<i32, Reason> {
    if let Err(error) = fs::remove_file(SOCKET)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error.into());
    }
    Ok(sys::keep_inheritable(UnixListener::bind(SOCKET)?)?)
}

/// Lets the engine leave, and kills it if it does not.
fn stop(engine: Running, events: &Receiver<Event>) {
    drop(engine.lifeline);
    let asked = Instant::now();
    loop {
        match events.recv_timeout(LEAVE_LIMIT.saturating_sub(asked.elapsed())) {
            Ok(Event::EngineEnded(_)) => return,
            Ok(Event::NoUsers | Event::Asked) => {}
            Err(_) => break,
        }
    }
    eprintln!("supervisor: the engine did not leave within {} s and is killed", LEAVE_LIMIT.as_secs());
    sys::kill_now(engine.pid);
    while !matches!(events.recv(), Ok(Event::EngineEnded(_)) | Err(_)) {}
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
