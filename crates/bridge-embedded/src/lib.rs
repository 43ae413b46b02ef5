//! Fetches a real ClickHouse engine once and runs it as a child process, shared between programs.
//!
//! ClickHouse without a server, a container or an administrator: the engine is the library that the npm
//! package [`ENGINE_PACKAGE`] holds, fetched once into the user's cache folder. It runs in a process of its
//! own and speaks HTTP on a port of the loopback interface, so every ClickHouse client works with it.
//!
//! ```no_run
//! use bridge_embedded::{Engine, EngineOptions};
//!
//! let options = EngineOptions::at("history.clickhouse");
//! let engine = Engine::start_with(&options, |event| eprintln!("{event}"))?;
//! let endpoint = engine.endpoint();
//! println!("{} as {}", endpoint.url, endpoint.writer.user);
//! # Ok::<(), bridge_embedded::EngineError>(())
//! ```
//!
//! # One engine for each data folder
//!
//! All programs that start an engine on the same data folder share one. Each holds a shared lock on
//! `users.lock` as long as its [`Engine`] lives; a supervisor process watches that lock and lets the engine
//! leave with its last user. The kernel drops the lock of a killed program, so nothing is left running.
//! When the engine crashes, the supervisor starts it again on the same data and the same port.
//!
//! # The port
//!
//! The port is the supervisor's for its whole life, and the engine listens on a Unix socket in the data folder. The
//! supervisor relays: a request reaches the engine when it is well formed and names one of the two users, on a
//! connection that never breaks under the engine, and waits up to 15 s while the engine is being restarted. Before a
//! client sends a password to the port it can have the other side show that it is this engine's supervisor:
//! [`ProofKey::challenge`]. A supervisor that is killed takes its engine with it; [`Engine::rejoin`] starts another.
//!
//! # Upgrade
//!
//! Data that an older engine wrote are taken over: their version moves when the newer engine has answered on them, and
//! stays what it was where it cannot. Data that a newer engine wrote, or began to take over, are refused. So there is
//! no way back by itself: before an upgrade give the store out (`export_store` of the crate `bridge`), and take it
//! in again with the older version into a folder of its own.
//!
//! # What is in a data folder
//!
//! | file | what it is |
//! |---|---|
//! | `store/`, `backups/` | the data, and where `BACKUP … TO File('name')` writes |
//! | `engine-version` | the newest engine that has written the data; an older engine refuses it |
//! | `engine-upgrade` | a newer engine that was started on them and has not answered yet |
//! | `engine.log` | what the engine and its supervisor say |
//! | `endpoint.json`, `http_port`, `pids` | while an engine runs: passwords, port, process ids |
//! | `relay.access`, `engine.sock` | while an engine runs: whom its supervisor lets through, and where it listens for the supervisor alone |
//! | `config.xml`, `users.xml` | written at every start; of the passwords they hold hashes |
//! | `users.lock`, `start.lock` | held by who uses the engine, and by who starts it |
//! | `engine.lock`, `serving.lock` | held as long as an engine runs, and as long as it is meant to |
//!
//! All of it is for its owner only: the folder is closed to other users at every start.
//!
//! # What the engine's users cannot do
//!
//! The engine is `clickhouse local`, which trusts its user with the whole machine; the reader and the writer are not
//! that user. No statement of theirs reads a file, writes outside of `store/` and `backups/`, runs a program or
//! connects to another server: the table functions, engines and backups that would are not granted, the settings
//! that name files and addresses cannot be set, and a user-defined function stands before the engine's `file()`. Behind
//! that the kernel confines the engine's process (Landlock, Linux 5.19 and later; connections from Linux 6.7 on) to
//! those two folders and the files it needs, so `endpoint.json` is out of its reach. On an older kernel the grants
//! stand alone, and `engine.log` says so.
//!
//! Architecture invariant: the engine's library is never loaded into the program that uses this crate, and
//! no password stands on a command line, in a log or in an error.

mod access;
mod config;
mod endpoint;
mod engine;
mod error;
mod event;
mod fetch;
mod fetch_lines;
mod http;
mod launch;
mod layout;
mod lock;
mod npm;
mod options;
mod platform;
mod proof;
#[cfg(all(test, unix))]
#[path = "../launcher/relay/mod.rs"]
mod relay;
mod repair;
mod secret;
#[path = "../launcher/sha256.rs"]
mod sha256;
mod version;

pub use endpoint::{Credentials, Endpoint};
pub use engine::{Engine, Shutdown};
pub use error::EngineError;
pub use event::EngineEvent;
pub use options::EngineOptions;
pub use proof::{Challenge, ProofKey};
pub use repair::TableDefinitions;
pub use version::{ENGINE_PACKAGE, ENGINE_VERSION};
