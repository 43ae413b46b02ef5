//! Fetches a real ClickHouse engine once and runs it as a child process, shared between programs.
//!
//! ClickHouse without a server, a container or an administrator: the engine is the library that the npm
//! package [`ENGINE_PACKAGE`] contains, fetched once into the user's cache folder. It runs in a separate process
//! and speaks HTTP on a loopback port, so every ClickHouse client works with it.
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
//! `users.lock` while its [`Engine`] lives; a supervisor process watches that lock and stops the engine
//! after its last user. The kernel releases the lock of a killed program, so nothing is left running.
//! When the engine crashes, the supervisor restarts it on the same data and the same port.
//!
//! # The port
//!
//! The supervisor holds the port for its whole life, and the engine listens on a Unix socket in the data folder. The
//! relay in the supervisor forwards well-formed requests of the two users, over connections that never break under the
//! engine, and holds them up to 15 s while the engine is restarted. Before a client sends a password to the port, it
//! can verify that this engine's supervisor listens there: [`ProofKey::challenge`]. A killed supervisor takes its
//! engine with it; [`Engine::rejoin`] starts another.
//!
//! # Upgrade
//!
//! Data of an older engine is upgraded: its version changes once the newer engine has answered on it, and stays
//! unchanged where it cannot. Data that a newer engine wrote, or began to upgrade, is refused. To keep a way back,
//! export the store before an upgrade (`export_store` of the crate `bridge`) and import it with the older version into
//! another folder.
//!
//! # What is in a data folder
//!
//! | file | content |
//! |---|---|
//! | `store/`, `backups/` | the data, and where `BACKUP … TO File('name')` writes |
//! | `engine-version` | the newest engine that has written the data; an older engine refuses it |
//! | `engine-upgrade` | a newer engine that was started on the data and has not answered yet |
//! | `engine.log` | log of the engine and its supervisor |
//! | `endpoint.json`, `http_port`, `pids` | while an engine runs: passwords, port, process ids |
//! | `relay.access`, `engine.sock` | while an engine runs: users of the relay, and the engine's socket |
//! | `audit-spool/` | not the engine's: records of the audit that a bridge has not written yet |
//! | `config.xml`, `users.xml` | written at every start; they contain only hashes of the passwords |
//! | `users.lock`, `start.lock` | locked by programs that use the engine, and by the one that starts it |
//! | `engine.lock`, `serving.lock` | locked while an engine runs, and while it is meant to run |
//!
//! All of it is private: every start removes the permissions of other users.
//!
//! # Confinement
//!
//! The engine is `clickhouse local`, which trusts its user with the whole machine; the reader and the writer are not
//! that user. None of their statements reads a file, writes outside of `store/` and `backups/`, runs a program or
//! connects to another server: the table functions, engines and backups that would are not granted, the settings
//! that name files and addresses cannot be set, and a user-defined function shadows the engine's `file()`. Behind
//! that the kernel confines the engine's process (Landlock, Linux 5.19 and later; connections from Linux 6.7 on) to
//! those two folders and the files it needs, so `endpoint.json` is out of its reach. On an older kernel the grants
//! apply alone, and `engine.log` says so.
//!
//! Architecture invariant: the engine's library is never loaded into the program that uses this crate, and
//! no password appears on a command line, in a log or in an error.
#![cfg_attr(docsrs, feature(doc_cfg))]

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

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
