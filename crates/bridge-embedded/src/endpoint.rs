//! Where an engine answers, and as whom to ask.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::layout::{DataFolder, write_private};
use crate::lock::Deadline;
use crate::proof::ProofKey;
use crate::{ENGINE_VERSION, EngineError, http, secret, sha256};

pub(crate) const DATABASE: &str = "bridge";
pub(crate) const WRITER: &str = "bridge_writer";
pub(crate) const READER: &str = "bridge_reader";

/// What a client needs to talk to an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The HTTP address, without a path or a user: `http://127.0.0.1:PORT`.
    pub url: String,
    /// The database of the bridge. The writer may make others beside it.
    pub database: String,
    /// Reads, writes, creates and drops.
    pub writer: Credentials,
    /// Reads databases whose names begin with `bridge` or `test`, and nothing else.
    pub reader: Credentials,
    /// Shows that who answers is this engine's supervisor.
    pub proof_key: ProofKey,
}

/// A user of the engine. The password is made anew at every start and is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The name, for the header `X-ClickHouse-User`.
    pub user: String,
    /// The password, for the header `X-ClickHouse-Key`.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    fn generate(user: &str) -> Result<Self, EngineError> {
        Ok(Self { user: user.to_owned(), password: secret::random_hex()? })
    }
}

/// What `endpoint.json` says. It is written before the engine starts, so that any user can join the engine
/// even if the program that started it is killed; the port is in a file of its own, by the engine.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    engine_version: String,
    database: String,
    pub(crate) writer: Credentials,
    pub(crate) reader: Credentials,
    proof_key: ProofKey,
}

impl Record {
    /// A record with fresh passwords.
    pub(crate) fn generate() -> Result<Self, EngineError> {
        Ok(Self {
            engine_version: ENGINE_VERSION.to_owned(),
            database: DATABASE.to_owned(),
            writer: Credentials::generate(WRITER)?,
            reader: Credentials::generate(READER)?,
            proof_key: ProofKey::generate()?,
        })
    }

    /// What the supervisor's relay has to know: who may ask, without the passwords, and the key of its proofs.
    pub(crate) fn relay_access(&self) -> String {
        let user = |user: &Credentials| {
            format!("user {} {}\n", user.user, sha256::hex(&sha256::sha256(user.password.as_bytes())))
        };
        format!("proof {}\n{}{}", self.proof_key.expose(), user(&self.writer), user(&self.reader))
    }

    pub(crate) fn write(&self, folder: &DataFolder) -> Result<(), EngineError> {
        let path = folder.file("endpoint.json");
        let text = serde_json::to_vec_pretty(self).map_err(|error| EngineError::Io {
            action: "write",
            path: path.clone(),
            source: error.into(),
        })?;
        write_private(&path, &text)
    }
}

/// The folder's endpoint, if an engine answers there and knows its passwords.
pub(crate) fn answering(folder: &DataFolder, deadline: &Deadline) -> Option<Endpoint> {
    let port: u16 = fs::read_to_string(folder.file("http_port")).ok()?.trim().parse().ok()?;
    let record: Record = serde_json::from_slice(&fs::read(folder.file("endpoint.json")).ok()?).ok()?;
    http::answers(port, &record.writer, &record.proof_key, deadline).then(|| Endpoint {
        url: format!("http://127.0.0.1:{port}"),
        database: record.database,
        writer: record.writer,
        reader: record.reader,
        proof_key: record.proof_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let credentials = Credentials { user: "u".into(), password: "canary".into() };
        assert!(!format!("{credentials:?}").contains("canary"));
    }
}
