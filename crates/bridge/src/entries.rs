//! Entries of a session that a program pushes.

use std::fmt;

use bridge_core::{HostName, SessionId, Timestamp};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Entries of one session in their order: the JSON records that a client writes into its transcript, one for each line.
///
/// They are a part of a stream, which is named after the session, and after the [subpath](Self::with_subpath) where it is
/// a subagent's. Its entries have numbers, from 0. With the number of the [first](Self::with_first) one, entries that are
/// stored already are passed over by their number. Without it they belong behind what is stored, unless they begin with
/// the last push or with the whole stream once more, as after a failed call.
///
/// ```
/// use bridge::SessionEntries;
///
/// let entries = SessionEntries::from_ndjson("{\"type\":\"user\"}\n{\"type\":\"assistant\"}\n");
/// assert_eq!(entries.len(), 2);
/// let same = SessionEntries::from_json_array(br#"[{"type":"user"}, {"type":"assistant"}]"#)?;
/// assert_eq!(same, entries);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionEntries {
    /// Each entry is a line that is not blank; the last one has no newline where it is incomplete.
    pub(crate) lines: Vec<u8>,
    pub(crate) first: Option<u64>,
    pub(crate) subpath: Option<String>,
    pub(crate) project_key: Option<String>,
    pub(crate) host: Option<HostName>,
    pub(crate) received: Option<Timestamp>,
}

/// What was to be entries is none. The text is not quoted, because it is a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEntries {
    /// Line and column of a text, from 1; the number of a value, from 0.
    place: InvalidPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidPlace {
    Text { line: usize, column: usize },
    Value(usize),
}

impl fmt::Display for InvalidEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            InvalidPlace::Text { line, column } => {
                write!(f, "the text is not a JSON array of entries, from line {line}, column {column} on")
            }
            InvalidPlace::Value(number) => write!(f, "entry {number} cannot be written as JSON"),
        }
    }
}

impl std::error::Error for InvalidEntries {}

impl SessionEntries {
    fn of_lines(lines: Vec<u8>) -> Self {
        Self { lines, first: None, subpath: None, project_key: None, host: None, received: None }
    }

    /// Returns the entries of a text with one on each line. Blank lines are no entries. A line that is not valid JSON is
    /// counted as damaged, as in a file; a last one without a newline is taken for incomplete, and not stored.
    #[must_use]
    pub fn from_ndjson(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut lines = Vec::with_capacity(text.len() + 1);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let is_terminated = line.ends_with(b"\n");
            let line = trimmed(line);
            if line.is_empty() {
                continue;
            }
            lines.extend_from_slice(line);
            if is_terminated || is_complete(line) {
                lines.push(b'\n');
            }
        }
        Self::of_lines(lines)
    }

    /// Returns the entries of a JSON array, byte for byte, except for line breaks.
    ///
    /// # Errors
    ///
    /// The text is not a JSON array.
    pub fn from_json_array(text: &[u8]) -> Result<Self, InvalidEntries> {
        let entries: Vec<&RawValue> = serde_json::from_slice(text).map_err(|error| {
            // The error's own text may quote a value.
            InvalidEntries { place: InvalidPlace::Text { line: error.line(), column: error.column() } }
        })?;
        let mut lines = Vec::with_capacity(text.len());
        entries.iter().for_each(|entry| push_line(&mut lines, entry.get().as_bytes()));
        Ok(Self::of_lines(lines))
    }

    /// Returns entries that are values in memory, for instance `serde_json::Value`.
    ///
    /// A record with neither a message id nor a `uuid` is identified by its bytes. Of one that stands in a file as well,
    /// push those bytes: written again it would be another response. Clients write ids.
    ///
    /// # Errors
    ///
    /// A value cannot be written as JSON.
    pub fn from_values<T: Serialize>(entries: impl IntoIterator<Item = T>) -> Result<Self, InvalidEntries> {
        let mut lines = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let entry = serde_json::to_vec(&entry)
                .map_err(|_| InvalidEntries { place: InvalidPlace::Value(number) })?;
            push_line(&mut lines, &entry);
        }
        Ok(Self::of_lines(lines))
    }

    /// Returns the entries as those from this number on, counted from 0 in their stream.
    #[must_use]
    pub fn with_first(mut self, number: u64) -> Self {
        self.first = Some(number);
        self
    }

    /// Returns the entries as those of another transcript of the session: a subagent's, for instance
    /// `subagents/agent-7`.
    #[must_use]
    pub fn with_subpath(mut self, subpath: impl Into<String>) -> Self {
        self.subpath = Some(subpath.into());
        self
    }

    /// Returns the entries with the client's name of the folder that holds the project's transcripts: the project is the
    /// folder that is named so, or this where entries name none.
    #[must_use]
    pub fn with_project_key(mut self, key: impl Into<String>) -> Self {
        self.project_key = Some(key.into());
        self
    }

    /// Returns the entries as those of a session on this host; else it is the bridge's.
    #[must_use]
    pub fn with_host(mut self, host: HostName) -> Self {
        self.host = Some(host);
        self
    }

    /// Returns the entries with the time of responses that have no other, and no entry before them has; else it is the
    /// time of the call.
    #[must_use]
    pub fn with_received(mut self, time: Timestamp) -> Self {
        self.received = Some(time);
        self
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().count()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the lines, without an incomplete last one.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.lines.split_inclusive(|byte| *byte == b'\n');
        lines.filter_map(|line| line.strip_suffix(b"\n"))
    }

    /// Returns the name that the entries of this session are recorded under.
    pub(crate) fn recorded_name(&self, session: &SessionId) -> String {
        // A slash in a session's name would make it look like a subpath.
        let session = session.as_str().replace('%', "%25").replace('/', "%2F");
        match &self.subpath {
            Some(subpath) => format!("push:{session}/{subpath}"),
            None => format!("push:{session}"),
        }
    }
}

impl fmt::Debug for SessionEntries {
    /// Omits the entries, which are a conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEntries")
            .field("bytes", &self.lines.len())
            .field("first", &self.first)
            .field("subpath", &self.subpath)
            .finish_non_exhaustive()
    }
}

/// Returns the line without the white space of JSON around it.
fn trimmed(line: &[u8]) -> &[u8] {
    let inside = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    match (line.iter().position(inside), line.iter().rposition(inside)) {
        (Some(first), Some(last)) => &line[first..=last],
        _ => &[],
    }
}

/// Returns whether nothing of the line is missing. There may be several values on it.
fn is_complete(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    serde_json::Deserializer::from_str(line).into_iter::<IgnoredAny>().all(|value| value.is_ok())
}

/// Outside of strings, where JSON has none, line breaks are white space.
fn push_line(lines: &mut Vec<u8>, entry: &[u8]) {
    let start = lines.len();
    lines.extend_from_slice(entry);
    lines[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(entries: &SessionEntries) -> Vec<&str> {
        entries.entries().map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn every_form_gives_one_line_for_each_entry() {
        let text = SessionEntries::from_ndjson("\u{feff}{\"a\":1}\r\n\n \t\n  {\"b\":2}");
        assert_eq!(lines(&text), ["{\"a\":1}", "{\"b\":2}"]);
        let array = SessionEntries::from_json_array(b"[{\n\"a\": 12345678901234567890123},\n 7 ]").unwrap();
        assert_eq!(lines(&array), ["{ \"a\": 12345678901234567890123}", "7"]);
        let values = SessionEntries::from_values([serde_json::json!({"a": "x\ny"})]).unwrap();
        assert_eq!(lines(&values), ["{\"a\":\"x\\ny\"}"]);
    }

    #[test]
    fn an_incomplete_last_line_is_no_entry() {
        let text = SessionEntries::from_ndjson("{}\n{\"a\":");
        assert_eq!((text.len(), text.lines.as_slice()), (1, &b"{}\n{\"a\":"[..]));
    }

    #[test]
    fn neither_errors_nor_debug_output_quote_an_entry() {
        let text = br#"["secret", {"a": tru}]"#;
        let error = SessionEntries::from_json_array(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the text is not a JSON array of entries, from line 1, column 21 on"
        );
        let whole = SessionEntries::from_json_array(br#""secret""#).unwrap_err();
        assert!(!format!("{whole} {whole:?}").contains("secret"));
        assert!(!format!("{:?}", SessionEntries::from_ndjson("\"secret\"\n")).contains("secret"));
    }
}
