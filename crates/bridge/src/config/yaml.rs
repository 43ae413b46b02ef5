//! The YAML of the configuration, with the place of each key.

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::ROOT;
use super::error::{ConfigOrigin, ConfigProblem};
use super::form::{RawValue, may_hold_a_password};
use super::key::{self, ConfigKey};
use super::node::{Field, Node, NodeContent};
use super::suggestion::nearest;

/// A key that is given.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: &'static ConfigKey,
    /// The place of its value.
    pub(super) origin: ConfigOrigin,
    pub(super) raw: RawValue,
}

/// The content of a text.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<ConfigProblem>,
}

/// Reads a text, and reports everything in it that is not a key.
pub(super) fn read(text: &str, file: Option<&Path>) -> Content {
    let mut reader = Reader::new(text, Origin::File(file));
    if let Err(stop) = reader.document() {
        reader.content.problems.push(stop);
    }
    reader.content
}

/// Reads a text that is a list of values which have keys of their own; `None` if it is anything else.
pub(super) fn nodes(text: &str, origin: &ConfigOrigin) -> Option<Vec<Node>> {
    let mut reader = Reader::new(text, Origin::Whole(origin));
    loop {
        match reader.next().ok()?.0 {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::SequenceStart(..) => break,
            _ => return None,
        }
    }
    let nodes = reader.node_list(NODE_DEPTH_MAX).ok()?;
    reader.content.problems.is_empty().then_some(nodes)
}

/// Maximum depth of values in a list of values that have keys of their own.
const NODE_DEPTH_MAX: u8 = 4;

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    origin: Origin<'t>,
    content: Content,
}

/// The place of a text.
enum Origin<'t> {
    /// A file, or a text of its own.
    File(Option<&'t Path>),
    /// The same for all of it.
    Whole(&'t ConfigOrigin),
}

/// The meaning of a name in a mapping.
enum Place {
    /// A section, with the prefix of its keys.
    Section(String),
    Key(&'static ConfigKey),
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, origin: Origin<'t>) -> Self {
        Self { events: Parser::new_from_str(text), origin, content: Content::default() }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), ConfigProblem> {
        let event = self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default())));
        event.map_err(|error: ScanError| {
            self.problem(*error.marker(), "", format!("no YAML: {}", error.info()))
        })
    }

    fn document(&mut self) -> Result<(), ConfigProblem> {
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) if documents > 0 => {
                    return Err(self.problem(span.start, "", "a second document begins".to_owned()));
                }
                Event::DocumentStart(_) => documents += 1,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::MappingStart(..) => self.keys("")?,
                // A file of comments only.
                Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {}
                _ => return Err(self.problem(span.start, "", format!("`{ROOT}:` must be at the top"))),
            }
        }
    }

    /// Reads the keys of a mapping that has begun, below this section.
    fn keys(&mut self, section: &str) -> Result<(), ConfigProblem> {
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let at = span.start;
            let written = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => shortened(&text),
                _ => return Err(self.problem(at, &whole(section), "a key must be a text".to_owned())),
            };
            let name = if section.is_empty() { written.clone() } else { format!("{section}.{written}") };
            if let Some(first) = lines.insert(written.clone(), at.line()) {
                self.report(at, &name, format!("is given twice, first in line {first}"));
                self.skip()?;
                continue;
            }
            match place(&name) {
                Some(Place::Section(section)) => self.section(&section, at)?,
                Some(Place::Key(key)) => self.value(key)?,
                None => {
                    self.report(at, &name, unknown(section, &written));
                    self.skip()?;
                }
            }
        }
    }

    fn section(&mut self, section: &str, at: Marker) -> Result<(), ConfigProblem> {
        match self.next()?.0 {
            Event::MappingStart(..) => self.keys(section),
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Ok(()),
            event => {
                self.report(at, section, format!("has no value, but keys below it: {}", allowed(section)));
                self.skip_rest(&event)
            }
        }
    }

    fn value(&mut self, key: &'static ConfigKey) -> Result<(), ConfigProblem> {
        let (event, span) = self.next()?;
        let raw = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => RawValue::Nothing,
            Event::Scalar(text, ..) => RawValue::Text(text.into_owned()),
            Event::SequenceStart(..) if key.is_structured() => {
                RawValue::Nodes(self.node_list(NODE_DEPTH_MAX)?)
            }
            Event::SequenceStart(..) => match self.list()? {
                Some(list) => RawValue::List(list),
                None => {
                    self.report(span.start, &key.whole_name(), "must be a list of texts".to_owned());
                    return Ok(());
                }
            },
            Event::MappingStart(..) if key.is_mapping() => match self.pairs()? {
                Some(pairs) => RawValue::Pairs(pairs),
                None => {
                    self.report(span.start, &key.whole_name(), "must be names with one text each".to_owned());
                    return Ok(());
                }
            },
            event => {
                let message = match event {
                    Event::Alias(_) => "must be given, not referred to by an alias",
                    _ => "has a value, and no keys below it",
                };
                self.report(span.start, &key.whole_name(), message.to_owned());
                return self.skip_rest(&event);
            }
        };
        let origin = self.origin(span.start);
        self.content.entries.push(Entry { key, origin, raw });
        Ok(())
    }

    /// Reads the names and texts of a mapping that has begun; `None` if it contains anything else.
    fn pairs(&mut self) -> Result<Option<Vec<(String, String)>>, ConfigProblem> {
        let mut pairs = Some(Vec::new());
        loop {
            let name = match self.next()?.0 {
                Event::MappingEnd => return Ok(pairs),
                event => self.text(&event)?,
            };
            let event = self.next()?.0;
            let pair = name.zip(self.text(&event)?);
            pairs = pairs.zip(pair).map(|(mut pairs, pair)| {
                pairs.push(pair);
                pairs
            });
        }
    }

    /// Returns the text of a scalar; skips anything else.
    fn text(&mut self, event: &Event<'_>) -> Result<Option<String>, ConfigProblem> {
        match event {
            Event::Scalar(text, ..) => Ok(Some(text.to_string())),
            other => self.skip_rest(other).map(|()| None),
        }
    }

    /// Reads the texts of a sequence that has begun; `None` if it contains anything else.
    fn list(&mut self) -> Result<Option<Vec<String>>, ConfigProblem> {
        let mut texts = Some(Vec::new());
        loop {
            match self.next()?.0 {
                Event::SequenceEnd => return Ok(texts),
                Event::Scalar(text, ..) => texts.iter_mut().for_each(|texts| texts.push(text.to_string())),
                event => {
                    texts = None;
                    self.skip_rest(&event)?;
                }
            }
        }
    }

    /// Reads the values of a sequence that has begun.
    fn node_list(&mut self, depth: u8) -> Result<Vec<Node>, ConfigProblem> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(&event, span, depth)?),
            }
        }
    }

    /// Reads the names and values of a mapping that has begun.
    fn fields(&mut self, depth: u8) -> Result<Vec<Field>, ConfigProblem> {
        let mut fields = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let name = match &event {
                Event::MappingEnd => return Ok(fields),
                Event::Scalar(text, ..) => shortened(text),
                other => {
                    self.report(span.start, "", "a key must be a text".to_owned());
                    self.skip_rest(other)?;
                    String::new()
                }
            };
            let (event, value_span) = self.next()?;
            let value = self.node(&event, value_span, depth)?;
            fields.push(Field { name, origin: self.origin(span.start), value });
        }
    }

    /// Reads the value that this event begins.
    fn node(&mut self, event: &Event<'_>, span: Span, depth: u8) -> Result<Node, ConfigProblem> {
        let content = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(text) => NodeContent::Nothing,
            Event::Scalar(text, ..) => NodeContent::Text(text.to_string()),
            Event::SequenceStart(..) if depth > 0 => NodeContent::List(self.node_list(depth - 1)?),
            Event::MappingStart(..) if depth > 0 => NodeContent::Mapping(self.fields(depth - 1)?),
            other => {
                let message = match other {
                    Event::Alias(_) => "a value must be given, not referred to by an alias",
                    _ => "a value is nested too deeply",
                };
                self.report(span.start, "", message.to_owned());
                self.skip_rest(other)?;
                NodeContent::Nothing
            }
        };
        Ok(Node { origin: self.origin(span.start), content })
    }

    fn skip(&mut self) -> Result<(), ConfigProblem> {
        let event = self.next()?.0;
        self.skip_rest(&event)
    }

    /// Skips to the end of what this event begins.
    fn skip_rest(&mut self, event: &Event<'_>) -> Result<(), ConfigProblem> {
        let mut depth = depth_change(event);
        while depth > 0 {
            depth += depth_change(&self.next()?.0);
        }
        Ok(())
    }

    fn report(&mut self, at: Marker, key: &str, message: String) {
        let problem = self.problem(at, key, message);
        self.content.problems.push(problem);
    }

    fn problem(&self, at: Marker, key: &str, message: String) -> ConfigProblem {
        ConfigProblem { origin: self.origin(at), key: key.to_owned(), message }
    }

    fn origin(&self, at: Marker) -> ConfigOrigin {
        match self.origin {
            Origin::File(file) => {
                ConfigOrigin::Line { file: file.map(Path::to_owned), line: at.line(), column: at.col() + 1 }
            }
            Origin::Whole(origin) => origin.clone(),
        }
    }
}

fn depth_change(event: &Event<'_>) -> i32 {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}

fn whole(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!("{section}.") }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Shortens a name for an error. A URL is omitted, because it may contain a password.
fn shortened(text: &str) -> String {
    if may_hold_a_password(text) {
        return "(a URL)".to_owned();
    }
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Returns the meaning of this full name.
fn place(name: &str) -> Option<Place> {
    if name == ROOT {
        return Some(Place::Section(name.to_owned()));
    }
    let below = name.strip_prefix(ROOT)?.strip_prefix('.')?;
    match key::find(below) {
        Some(key) => Some(Place::Key(key)),
        None => key::below(below).next().is_some().then(|| Place::Section(name.to_owned())),
    }
}

/// Returns the names that a section, given by its full name, may contain.
fn names_below(section: &str) -> Vec<&'static str> {
    match section.strip_prefix(ROOT) {
        None => vec![ROOT],
        Some("") => key::sections(),
        Some(below) => key::below(below.trim_start_matches('.')).collect(),
    }
}

fn allowed(section: &str) -> String {
    names_below(section).join(", ")
}

fn unknown(section: &str, written: &str) -> String {
    let elsewhere =
        || key::KEYS.iter().map(key::ConfigKey::name).find(|name| name.ends_with(&format!(".{written}")));
    let meant = nearest(written, names_below(section)).or_else(elsewhere);
    let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    let allowed = allowed(section);
    format!("is no key{meant}; allowed are {allowed}")
}
