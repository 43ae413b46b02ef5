//! Pushed entries of a session.

use std::fmt;

use bridge_core::{HostName, SessionId, Timestamp};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Entries of one session, in order: the JSON records that a client writes to its transcript, one per line.
///
/// They are part of a stream, named after the session and, for a subagent, the [subpath](Self::with_subpath). The
/// entries of a stream are numbered from 0. If the number of the [first](Self::with_first) one is given, entries with
/// the numbers of stored ones are skipped. Otherwise the entries follow the stored ones, except for a beginning that
/// repeats the last push or the whole stream, as after a failed call.
///
/// ```
/// use bridge::stream::SessionEntries;
///
/// let entries = SessionEntries::from_ndjson("{\"type\":\"user\"}\n{\"type\":\"assistant\"}\n");
/// assert_eq!(entries.len(), 2);
/// let same = SessionEntries::from_json_array(br#"[{"type":"user"}, {"type":"assistant"}]"#)?;
/// assert_eq!(same, entries);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionEntries {
    /// One line per entry, none of them blank. An incomplete last one has no newline.
    pub(crate) lines: Vec<u8>,
    pub(crate) first: Option<u64>,
    pub(crate) subpath: Option<String>,
    pub(crate) project_key: Option<String>,
    pub(crate) host: Option<HostName>,
    pub(crate) received: Option<Timestamp>,
}

/// The input is not a list of entries. The error does not quote it, because it is conversation text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEntries {
    place: InvalidPlace,
}

/// The place of the error: line and column from 1, or the number of the value from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvalidPlace {
    Text { line: usize, column: usize },
    Value(usize),
}

impl fmt::Display for InvalidEntries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            InvalidPlace::Text { line, column } => {
                write!(f, "the text is not a JSON array: invalid at line {line}, column {column}")
            }
            InvalidPlace::Value(number) => write!(f, "entry {number} cannot be serialized as JSON"),
        }
    }
}

impl std::error::Error for InvalidEntries {}

impl SessionEntries {
    fn of_lines(lines: Vec<u8>) -> Self {
        Self { lines, first: None, subpath: None, project_key: None, host: None, received: None }
    }

    /// Returns the entries of a text with one entry per line. Blank lines are ignored. A line of invalid JSON is
    /// counted as damaged, as in a file. An invalid last line without a newline is considered incomplete and is not
    /// stored.
    #[must_use]
    pub fn from_ndjson(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
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

    /// Returns the entries of a JSON array, with their bytes unchanged except for line breaks.
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
    /// A record with neither a message id nor a `uuid` is identified by its bytes, so serialized again it is another
    /// response than in a transcript. Prefer the other constructors if the same records are also read from files.
    ///
    /// # Errors
    ///
    /// A value cannot be serialized as JSON.
    pub fn from_values<T: Serialize>(entries: impl IntoIterator<Item = T>) -> Result<Self, InvalidEntries> {
        let mut lines = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let entry = serde_json::to_vec(&entry)
                .map_err(|_| InvalidEntries { place: InvalidPlace::Value(number) })?;
            push_line(&mut lines, &entry);
        }
        Ok(Self::of_lines(lines))
    }

    /// Returns the entries with the number of the first one in the stream, from 0.
    #[must_use]
    pub fn with_first(mut self, number: u64) -> Self {
        self.first = Some(number);
        self
    }

    /// Returns the entries of another transcript of the session: a subagent's, for instance `subagents/agent-7`.
    ///
    /// ```
    /// use bridge::HostName;
    /// use bridge::stream::SessionEntries;
    ///
    /// let entries = SessionEntries::from_ndjson("{\"type\":\"summary\"}\n")
    ///     .with_first(120)
    ///     .with_subpath("subagents/agent-7")
    ///     .with_project_key("-home-me-app")
    ///     .with_host(HostName::new("ci-runner-3")?)
    ///     .with_received("2026-01-31T12:00:00Z".parse()?);
    /// assert_eq!(entries.len(), 1);
    /// # Ok::<(), bridge::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn with_subpath(mut self, subpath: impl Into<String>) -> Self {
        self.subpath = Some(subpath.into());
        self
    }

    /// Returns the entries with the client's name for the folder of the project's transcripts, for instance
    /// `-home-me-app`. The project is then `/home/me/app`, also for entries from its subfolders.
    #[must_use]
    pub fn with_project_key(mut self, key: impl Into<String>) -> Self {
        self.project_key = Some(key.into());
        self
    }

    /// Returns the entries with the host of the session. The default is the bridge's host.
    #[must_use]
    pub fn with_host(mut self, host: HostName) -> Self {
        self.host = Some(host);
        self
    }

    /// Returns the entries with the time for responses without a time, if no entry before them has one either. The
    /// default is the time of the call.
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

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the complete lines.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.lines.split_inclusive(|byte| *byte == b'\n');
        lines.filter_map(|line| line.strip_suffix(b"\n"))
    }

    /// Returns the name under which the entries of this session are recorded.
    pub(crate) fn recorded_name(&self, session: &SessionId) -> String {
        // A slash in the session id would look like a subpath.
        let session = session.as_str().replace('%', "%25").replace('/', "%2F");
        match &self.subpath {
            Some(subpath) => format!("push:{session}/{subpath}"),
            None => format!("push:{session}"),
        }
    }
}

impl fmt::Debug for SessionEntries {
    /// Omits the entries, which are conversation text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEntries")
            .field("bytes", &self.lines.len())
            .field("first", &self.first)
            .field("subpath", &self.subpath)
            .finish_non_exhaustive()
    }
}

/// Returns the line without surrounding JSON whitespace.
fn trimmed(line: &[u8]) -> &[u8] {
    let inside = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    match (line.iter().position(inside), line.iter().rposition(inside)) {
        (Some(first), Some(last)) => &line[first..=last],
        _ => &[],
    }
}

/// Returns whether the line is complete. It may contain several values.
fn is_complete(line: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    serde_json::Deserializer::from_str(line).into_iter::<IgnoredAny>().all(|value| value.is_ok())
}

/// Appends an entry on one line. Strings in JSON contain no raw line breaks, so all of them are whitespace.
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
        let text = SessionEntries::from_ndjson("{\"a\":1}\r\n\n \t\n  {\"b\":2}");
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
        assert_eq!(error.to_string(), "the text is not a JSON array: invalid at line 1, column 21");
        let whole = SessionEntries::from_json_array(br#""secret""#).unwrap_err();
        assert!(!format!("{whole} {whole:?}").contains("secret"));
        assert!(!format!("{:?}", SessionEntries::from_ndjson("\"secret\"\n")).contains("secret"));
    }
}
