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
//! | `config.xml`, `users.xml` | written at every start |
//! | `users.lock`, `start.lock` | held by who uses the engine, and by who starts it |
//! | `engine.lock`, `serving.lock` | held as long as an engine runs, and as long as it is meant to |
//!
//! Architecture invariant: the engine's library is never loaded into the program that uses this crate, and
//! no password stands on a command line, in a log or in an error.

mod config;
mod endpoint;
mod engine;
mod error;
mod event;
mod fetch;
mod http;
mod launch;
mod layout;
mod lock;
mod npm;
mod options;
mod platform;
mod repair;
mod secret;
mod version;

pub use endpoint::{Credentials, Endpoint};
pub use engine::{Departure, Engine};
pub use error::EngineError;
pub use event::EngineEvent;
pub use options::EngineOptions;
pub use repair::TableDefinitions;
pub use version::{ENGINE_PACKAGE, ENGINE_VERSION};
