//! The YAML of the configuration, with the line of each key.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::ROOT;
use super::key;
use super::suggestion::nearest;
use super::value::Given;

/// A key that is given.
#[derive(Debug)]
pub(super) struct Entry {
    /// Below the root.
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) given: Given,
}

/// What is wrong in a line, about a key if there is one.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) message: String,
}

/// What a text says.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) entries: Vec<Entry>,
    pub(super) complaints: Vec<Complaint>,
}

/// Reads a text. Nothing in it is taken for a key that is none.
pub(super) fn read(text: &str) -> Content {
    let mut reader = Reader { events: Parser::new_from_str(text), content: Content::default() };
    if let Err(stop) = reader.document() {
        reader.content.complaints.push(stop);
    }
    reader.content
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    content: Content,
}

/// Where a key leads to.
enum Place {
    /// To other keys, all of which begin so.
    Section(String),
    Key(String),
}

impl From<ScanError> for Complaint {
    fn from(error: ScanError) -> Self {
        let message = format!("no YAML: {}", error.info());
        Self { line: error.marker().line(), key: String::new(), message }
    }
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Complaint> {
        match self.events.next_event() {
            Some(event) => Ok(event?),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<(), Complaint> {
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) if documents > 0 => {
                    return Err(complaint(span.start.line(), "", "a second document begins".to_owned()));
                }
                Event::DocumentStart(_) => documents += 1,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::MappingStart(..) => self.keys("")?,
                // A file of comments only.
                Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => {}
                _ => {
                    return Err(complaint(span.start.line(), "", format!("`{ROOT}:` must stand at the top")));
                }
            }
        }
    }

    /// The keys of a mapping that has begun, below this section.
    fn keys(&mut self, section: &str) -> Result<(), Complaint> {
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let line = span.start.line();
            let written = match event {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(text, ..) => shortened(&text),
                _ => return Err(complaint(line, &whole(section), "a key must be a text".to_owned())),
            };
            let name = if section.is_empty() { written.clone() } else { format!("{section}.{written}") };
            if let Some(first) = lines.insert(written.clone(), line) {
                self.complain(line, &name, format!("is given twice, first in line {first}"));
                self.skip()?;
                continue;
            }
            match place(&name) {
                Some(Place::Section(section)) => self.section(&section, line)?,
                Some(Place::Key(key)) => self.value(key, line)?,
                None => {
                    self.complain(line, &name, unknown(section, &written));
                    self.skip()?;
                }
            }
        }
    }

    fn section(&mut self, section: &str, line: usize) -> Result<(), Complaint> {
        match self.next()?.0 {
            Event::MappingStart(..) => self.keys(section),
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Ok(()),
            event => {
                self.complain(
                    line,
                    section,
                    format!("has no value, but keys below it: {}", allowed(section)),
                );
                self.skip_rest(&event)
            }
        }
    }

    fn value(&mut self, name: String, line: usize) -> Result<(), Complaint> {
        let given = match self.next()?.0 {
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(&text) => Given::Nothing,
            Event::Scalar(text, ..) => Given::Text(text.into_owned()),
            Event::SequenceStart(..) => match self.list()? {
                Some(list) => Given::List(list),
                None => {
                    self.complain(line, &name, "must be a list of texts".to_owned());
                    return Ok(());
                }
            },
            event => {
                let message = match event {
                    Event::Alias(_) => "must be given, not referred to by an alias",
                    _ => "has a value, and no keys below it",
                };
                self.complain(line, &name, message.to_owned());
                return self.skip_rest(&event);
            }
        };
        let name =
            name.strip_prefix(ROOT).and_then(|name| name.strip_prefix('.')).unwrap_or(&name).to_owned();
        self.content.entries.push(Entry { name, line, given });
        Ok(())
    }

    /// The texts of a sequence that has begun; `None` where something else is among them.
    fn list(&mut self) -> Result<Option<Vec<String>>, Complaint> {
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

    fn skip(&mut self) -> Result<(), Complaint> {
        let event = self.next()?.0;
        self.skip_rest(&event)
    }

    /// Reads on to the end of what this event begins.
    fn skip_rest(&mut self, event: &Event<'_>) -> Result<(), Complaint> {
        let mut depth = depth_change(event);
        while depth > 0 {
            depth += depth_change(&self.next()?.0);
        }
        Ok(())
    }

    fn complain(&mut self, line: usize, name: &str, message: String) {
        self.content.complaints.push(complaint(line, name, message));
    }
}

fn depth_change(event: &Event<'_>) -> i32 {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}

fn complaint(line: usize, key: &str, message: String) -> Complaint {
    Complaint { line, key: key.to_owned(), message }
}

fn whole(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!("{section}.") }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// So much of what was written is told. No key holds a URL, which may hold a password.
fn shortened(text: &str) -> String {
    if super::value::may_hold_a_password(text) {
        return "(a URL)".to_owned();
    }
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Where the key of this whole name leads to.
fn place(name: &str) -> Option<Place> {
    if name == ROOT {
        return Some(Place::Section(name.to_owned()));
    }
    let below = name.strip_prefix(ROOT)?.strip_prefix('.')?;
    if key::find(below).is_some() {
        return Some(Place::Key(name.to_owned()));
    }
    key::below(below).next().is_some().then(|| Place::Section(name.to_owned()))
}

/// What may stand below a section, by its whole name.
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
