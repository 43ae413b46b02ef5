//! Records: the fields that stand around a message, and the ways to write an object.

use super::prose::{quoted, timestamp, uuid};
use fastrand::Rng;

/// The fields of an object, each with its raw value.
pub(crate) type Fields = Vec<(&'static str, String)>;

/// Where and by which client records are written.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) session: String,
    pub(crate) cwd: String,
    pub(crate) version: &'static str,
    pub(crate) branch: &'static str,
    /// The subagent's id, in its own file.
    pub(crate) agent: Option<String>,
    pub(crate) clock_millis: i64,
    pub(crate) parent_uuid: Option<String>,
}

impl Author {
    /// The next time, somewhat later than the last.
    pub(crate) fn tick(&mut self, rng: &mut Rng) -> String {
        self.clock_millis += rng.i64(40..4000);
        quoted(&timestamp(self.clock_millis))
    }

    /// A record of a type: what the client writes before, the fields of the type, what it writes after.
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

/// How an object is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// As the client does.
    Compact,
    /// With white space around everything.
    Spaced,
    /// With its keys in another order.
    Shuffled,
    /// With escapes in its keys.
    EscapedKeys,
    /// With every key there before, with a value that does not count.
    Duplicated,
}

impl Style {
    /// Mostly as the client does.
    pub(crate) fn any(rng: &mut Rng) -> Self {
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

/// The object of the fields.
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

/// A key with one of its letters as an escape.
fn escaped(rng: &mut Rng, key: &str) -> String {
    let at = rng.usize(..key.len());
    let hex = format!("{:04x}", key.as_bytes()[at]);
    let hex = if rng.bool() { hex.to_uppercase() } else { hex };
    format!("{}\\u{hex}{}", &key[..at], &key[at + 1..])
}

/// The field's value is replaced.
pub(crate) fn set(fields: &mut Fields, key: &str, value: String) {
    for field in fields.iter_mut().filter(|(name, _)| *name == key) {
        field.1.clone_from(&value);
    }
}
