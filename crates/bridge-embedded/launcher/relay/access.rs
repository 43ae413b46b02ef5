//! Access to the engine, and the proof that this is the engine's supervisor.

use std::io;
use std::path::Path;

use crate::sha256::{equal, hex, hmac, sha256};

use super::request::Request;

/// The path under which the relay proves that it knows the key of the endpoint file.
const PROOF_PATH: &str = "/bridge/proof";
const NONCE_DIGITS: usize = 64;

/// Users with the hashes of their passwords, and the proof key. Read from a file, so that no command line shows them.
pub(crate) struct Access {
    proof_key: String,
    users: Vec<User>,
}

struct User {
    name: String,
    password_sha256: String,
}

/// Decision about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Of a user with its password.
    Authenticated,
    /// Names a user; the engine decides. Complete and small before the engine sees it.
    Unauthenticated,
    /// Asks whether the engine is alive.
    Ping,
    /// Asks for a proof, which is this.
    Proof(String),
    Refused,
}

impl Access {
    /// Reads lines of `proof KEY` and `user NAME HASH`.
    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        Self::parse(&std::fs::read_to_string(file)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the relay's access file is malformed"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (mut proof_key, mut users) = (None, Vec::new());
        for line in text.lines() {
            match *line.split(' ').collect::<Vec<_>>() {
                ["proof", key] => proof_key = Some(key.to_owned()),
                ["user", name, hash] => {
                    users.push(User { name: name.to_owned(), password_sha256: hash.to_owned() });
                }
                _ => return None,
            }
        }
        Some(Self { proof_key: proof_key?, users })
    }

    /// Authenticates a request by its head.
    pub(super) fn admit(&self, request: &Request) -> Admission {
        let field = |name: &'static str| request.headers.all(name).next();
        let Some(name) = field("X-ClickHouse-User") else {
            return self.admit_nameless(request);
        };
        let Some(user) = self.users.iter().find(|user| user.name.as_bytes() == name) else {
            return Admission::Refused;
        };
        let hash = hex(&sha256(field("X-ClickHouse-Key").unwrap_or_default()));
        let known = equal(hash.as_bytes(), user.password_sha256.as_bytes());
        if known { Admission::Authenticated } else { Admission::Unauthenticated }
    }

    fn admit_nameless(&self, request: &Request) -> Admission {
        if request.body != super::request::BodyLength::None || request.method == super::request::Method::Post
        {
            return Admission::Refused;
        }
        match request.path() {
            "/ping" => Admission::Ping,
            PROOF_PATH => match request.parameter("nonce") {
                Some(nonce) if is_nonce(nonce) => {
                    Admission::Proof(hex(&hmac(self.proof_key.as_bytes(), nonce.as_bytes())))
                }
                _ => Admission::Refused,
            },
            _ => Admission::Refused,
        }
    }
}

fn is_nonce(text: &str) -> bool {
    text.len() == NONCE_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(head: &str) -> Admission {
        let hash = hex(&sha256(b"secret"));
        let access = Access::parse(&format!("proof key\nuser me {hash}\n")).unwrap();
        access.admit(&Request::parse(format!("{head}\r\n\r\n").as_bytes()).unwrap())
    }

    #[test]
    fn only_a_user_with_its_password_is_authenticated() {
        let me = "POST / HTTP/1.1\r\nX-ClickHouse-User: me";
        assert_eq!(admit(&format!("{me}\r\nX-ClickHouse-Key: secret")), Admission::Authenticated);
        assert_eq!(admit(&format!("{me}\r\nX-ClickHouse-Key: secre")), Admission::Unauthenticated);
        assert_eq!(admit(me), Admission::Unauthenticated);
        assert_eq!(admit("POST / HTTP/1.1\r\nX-ClickHouse-User: you"), Admission::Refused);
        assert_eq!(admit("POST / HTTP/1.1"), Admission::Refused);
    }

    #[test]
    fn proof_depends_on_key_and_nonce() {
        let nonce = "0123456789abcdef".repeat(4);
        let expected = hex(&hmac(b"key", nonce.as_bytes()));
        assert_eq!(admit(&format!("GET /bridge/proof?nonce={nonce} HTTP/1.1")), Admission::Proof(expected));
        assert_eq!(admit("GET /bridge/proof?nonce=short HTTP/1.1"), Admission::Refused);
        assert_eq!(admit("GET /bridge/proof HTTP/1.1"), Admission::Refused);
        assert_eq!(admit("GET /ping HTTP/1.1"), Admission::Ping);
        assert_eq!(admit("GET /ping HTTP/1.1\r\nContent-Length: 1"), Admission::Refused);
    }
}
