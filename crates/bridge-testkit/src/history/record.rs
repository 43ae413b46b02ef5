//! Records: the fields that surround a message, and the styles of writing an object.

use super::filler::{quoted, timestamp, uuid};
use fastrand::Rng;

/// The fields of an object, each with its raw value.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// The client that writes records, with its environment.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) session: String,
    pub(crate) cwd: String,
    pub(crate) version: &'static str,
    pub(crate) branch: &'static str,
    /// The subagent's id while its own file is written.
    pub(crate) agent: Option<String>,
    pub(crate) clock_millis: i64,
    pub(crate) parent_uuid: Option<String>,
}

impl Author {
    /// Advances the clock and returns the new time.
    pub(crate) fn tick(&mut self, rng: &mut Rng) -> String {
        self.clock_millis += rng.i64(40..4000);
        quoted(&timestamp(self.clock_millis))
    }

    /// Generates a record: the client's leading fields, the fields of the type, and the client's trailing fields.
    pub(crate) fn record(&mut self, rng: &mut Rng, kind: &str, fields: Fields) -> Fields {
        let id = uuid(rng);
        let parent = self.parent_uuid.replace(id.clone());
        let mut record: Fields = vec![
            ("parentUuid", parent.map_or("null".into(), |parent| quoted(&parent))),
            ("isSidechain", self.agent.is_some().to_string()),
            ("userType", quoted("external")),
            ("cwd", quoted(&self.cwd)),
            ("sessionId", quoted(&self.session)),
            ("version", quoted(self.version)),
            ("gitBranch", quoted(self.branch)),
        ];
        record.extend(self.agent.as_ref().map(|agent| ("agentId", quoted(agent))));
        record.extend(fields);
        record.extend([("type", quoted(kind)), ("uuid", quoted(&id)), ("timestamp", self.tick(rng))]);
        record
    }
}

/// The style in which an object is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// The client's style.
    Compact,
    /// Whitespace around all tokens.
    Spaced,
    /// Keys in random order.
    Shuffled,
    /// Escapes in the keys.
    EscapedKeys,
    /// A duplicate before each key, with a value that the later one overrides.
    Duplicated,
}

impl Style {
    /// Chooses a random style, mostly the client's.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..4 => Self::Spaced,
            4..8 => Self::Shuffled,
            8..11 => Self::EscapedKeys,
            11..14 => Self::Duplicated,
            _ => Self::Compact,
        }
    }
}

const OVERRIDDEN: &str = r#"{"id":"msg_overridden","usage":{"input_tokens":888888,"output_tokens":888888}}"#;

/// Writes an object.
pub(crate) fn object(rng: &mut Rng, style: Style, mut fields: Fields) -> String {
    if matches!(style, Style::Shuffled) {
        rng.shuffle(&mut fields);
    }
    let mut members = Vec::new();
    if matches!(style, Style::Duplicated) {
        members.extend(fields.iter().map(|(key, _)| format!(r#""{key}":{OVERRIDDEN}"#)));
    }
    for (key, value) in &fields {
        members.push(match style {
            Style::Spaced => format!(" \"{key}\" :\t{value} "),
            Style::EscapedKeys => format!(r#""{}":{value}"#, escaped(rng, key)),
            _ => format!(r#""{key}":{value}"#),
        });
    }
    format!("{{{}}}", members.join(","))
}

/// Escapes one letter of a key.
fn escaped(rng: &mut Rng, key: &str) -> String {
    let at = rng.usize(..key.len());
    let hex = format!("{:04x}", key.as_bytes()[at]);
    let hex = if rng.bool() { hex.to_uppercase() } else { hex };
    format!("{}\\u{hex}{}", &key[..at], &key[at + 1..])
}

/// Replaces the value of a field.
pub(crate) fn set(fields: &mut Fields, key: &str, value: String) {
    for field in fields.iter_mut().filter(|(name, _)| *name == key) {
        field.1.clone_from(&value);
    }
}
