//! Challenge and response by which an engine's supervisor proves its identity.
//!
//! Once a supervisor is gone, any local process can bind its port. So a client sends no password before the peer has
//! proved that it knows the key in the endpoint file, which only its owner can read. The key itself is never sent: the
//! client sends a nonce and receives its HMAC.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{EngineError, secret, sha256};

const NONCE_DIGITS: usize = 64;

/// Limit of a response to a challenge.
const ANSWER_BYTES_MAX: usize = 1024;

/// Key shared by an engine's supervisor and its clients, generated at every start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProofKey(String);

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey")
    }
}

impl ProofKey {
    pub(crate) fn generate() -> Result<Self, EngineError> {
        secret::random_hex().map(Self)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns a challenge for the peer of a new connection.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers.
    pub fn challenge(&self) -> Result<Challenge, EngineError> {
        let mut nonce = secret::random_hex()? + &secret::random_hex()?;
        nonce.truncate(NONCE_DIGITS);
        let proof = sha256::hex(&sha256::hmac(self.0.as_bytes(), nonce.as_bytes()));
        Ok(Challenge { nonce, proof })
    }
}

/// Challenge that only the engine's supervisor can answer, for one connection.
///
/// The client writes [`request`](Self::request) as the first bytes of the connection, and reads until
/// [`verify`](Self::verify) decides. After that the connection is ready for its first request.
pub struct Challenge {
    nonce: String,
    proof: String,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge")
    }
}

impl Challenge {
    /// Returns the bytes to send.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        format!("GET /bridge/proof?nonce={} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.nonce).into_bytes()
    }

    /// Verifies the bytes received so far; `None` while they are incomplete.
    #[must_use]
    pub fn verify(&self, received: &[u8]) -> Option<bool> {
        let head_end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        let body = head_end.and_then(|at| received.get(at..));
        let begins_well = received.starts_with(b"HTTP/1.1 200 ") || received.len() < 13;
        if !begins_well || received.len() > ANSWER_BYTES_MAX {
            return Some(false);
        }
        let body = body.filter(|body| body.len() >= self.proof.len())?;
        Some(sha256::equal(body, self.proof.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(proof: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n{proof}").into_bytes()
    }

    #[test]
    fn only_the_key_answers_a_challenge() {
        let key = ProofKey::generate().unwrap();
        let (challenge, other) = (key.challenge().unwrap(), key.challenge().unwrap());
        let right = answer(&challenge.proof);
        assert_eq!(challenge.verify(&right), Some(true));
        for cut in 0..right.len() {
            assert_eq!(challenge.verify(&right[..cut]), None);
        }
        assert_eq!(other.verify(&right), Some(false), "a proof is of one nonce");
        let stranger = ProofKey::generate().unwrap();
        assert_eq!(
            challenge.verify(&answer(&sha256::hex(&sha256::hmac(
                stranger.0.as_bytes(),
                challenge.nonce.as_bytes()
            )))),
            Some(false)
        );
        assert_eq!(challenge.verify(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some(false));
        assert_eq!(
            challenge.verify(&[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 2000]].concat()),
            Some(false)
        );
        assert_eq!(challenge.verify(&answer(&format!("{}x", challenge.proof))), Some(false));
    }

    #[test]
    fn debug_hides_the_key() {
        let key = ProofKey("canary".into());
        assert!(!format!("{key:?} {:?}", key.challenge().unwrap()).contains("canary"));
    }
}
