//! Address and credentials of an engine.

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

/// Address and credentials of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// HTTP address, without path and user: `http://127.0.0.1:PORT`.
    pub url: String,
    /// Database of the bridge. The writer may create others.
    pub database: String,
    /// Reads, writes, creates and drops.
    pub writer: Credentials,
    /// Reads databases whose names begin with `bridge` or `test`, and nothing else.
    pub reader: Credentials,
    /// Verifies that this engine's supervisor answers.
    pub proof_key: ProofKey,
}

/// A user of the engine. The password is generated at every start and never displayed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// User name, for the header `X-ClickHouse-User`.
    pub user: String,
    /// Password, for the header `X-ClickHouse-Key`.
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

    pub(crate) fn password_sha256(&self) -> String {
        sha256::hex(&sha256::sha256(self.password.as_bytes()))
    }
}

/// Content of `endpoint.json`. It is written before the engine starts, so that other programs can join the engine even
/// if the one that started it is killed. The supervisor writes the port to another file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    engine_version: String,
    database: String,
    pub(crate) writer: Credentials,
    pub(crate) reader: Credentials,
    proof_key: ProofKey,
}

impl Record {
    /// Generates new passwords and a new proof key.
    pub(crate) fn generate() -> Result<Self, EngineError> {
        Ok(Self {
            engine_version: ENGINE_VERSION.to_owned(),
            database: DATABASE.to_owned(),
            writer: Credentials::generate(WRITER)?,
            reader: Credentials::generate(READER)?,
            proof_key: ProofKey::generate()?,
        })
    }

    /// Returns the content of `relay.access`: the users with hashes of their passwords, and the proof key.
    pub(crate) fn relay_access(&self) -> String {
        let user = |user: &Credentials| format!("user {} {}\n", user.user, user.password_sha256());
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

/// Returns the folder's endpoint, if its engine answers and accepts the password.
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
    fn debug_hides_the_password() {
        let credentials = Credentials { user: "u".into(), password: "canary".into() };
        assert!(!format!("{credentials:?}").contains("canary"));
    }
}
