//! The activity of sessions, collected over a part of a file.

use std::collections::{BTreeMap, HashMap};

use bridge_core::{AttributionValue, LimitEvent, LimitKind, SessionActivity, SessionId, Timestamp, ToolName};

use crate::count::context::{FileNames, session};
use crate::json::{Raw, string};

/// The activity that a record states of its session.
#[derive(Debug)]
pub(crate) struct RecordActivity<'a> {
    pub(crate) session: Option<Raw<'a>>,
    pub(crate) what: Happened<'a>,
}

/// The event that a record states.
#[derive(Debug)]
pub(crate) enum Happened<'a> {
    /// A copy of another session's record.
    Copied { parent: Raw<'a> },
    /// Something at this time.
    Here { time: Timestamp, kind: Option<Raw<'a>>, entrypoint: Option<Raw<'a>>, event: Event<'a> },
}

/// The events that are counted.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A prompt of a person.
    Turn,
    /// A response, with the names of the tools that it calls.
    Response(&'a [Option<Raw<'a>>]),
    /// An error that ended a turn, and the limit that caused it.
    Error(Option<(LimitKind, Option<Timestamp>)>),
    /// A failed request that the client repeats.
    Retry,
    /// Anything else.
    Other,
}

/// Collects the activity of the sessions in a part of a file.
#[derive(Debug, Default)]
pub(crate) struct ActivityCollector {
    /// Places by the raw names of sessions; neighbors usually have the same, so the last is compared first.
    places: HashMap<Box<str>, usize>,
    last: Option<(Box<str>, usize)>,
    sessions: Vec<(SessionId, SessionActivity)>,
}

impl ActivityCollector {
    /// Adds a record.
    pub(crate) fn add(&mut self, record: &RecordActivity<'_>, names: &FileNames) {
        let place = self.place(record.session.unwrap_or_default(), names);
        let (own, activity) = &mut self.sessions[place];
        match &record.what {
            Happened::Copied { parent } => {
                let parent = session(parent).filter(|parent| parent != own);
                activity.parent = activity.parent.take().or(parent);
            }
            Happened::Here { time, kind, entrypoint, event } => {
                activity.add_time(*time);
                set(&mut activity.kind, *kind);
                set(&mut activity.entrypoint, *entrypoint);
                count(activity, *time, event, names);
            }
        }
    }

    fn place(&mut self, raw: &str, names: &FileNames) -> usize {
        if let Some((known, place)) = &self.last
            && **known == *raw
        {
            return *place;
        }
        let place = match self.places.get(raw) {
            Some(place) => *place,
            None => {
                let own = session(raw).unwrap_or_else(|| names.stem.clone());
                let known = self.sessions.iter().position(|(session, _)| *session == own);
                let place = known.unwrap_or_else(|| {
                    self.sessions.push((own, SessionActivity::default()));
                    self.sessions.len() - 1
                });
                self.places.insert(raw.into(), place);
                place
            }
        };
        self.last = Some((raw.into(), place));
        place
    }

    /// Adds all to the earlier parts of the file.
    pub(crate) fn merge_into(self, file: &mut BTreeMap<SessionId, SessionActivity>) {
        for (session, activity) in self.sessions {
            file.entry(session).or_default().merge(activity);
        }
    }
}

fn set(known: &mut Option<AttributionValue>, value: Option<Raw<'_>>) {
    if known.is_none() {
        *known = value.and_then(string).and_then(|value| AttributionValue::new(value).ok());
    }
}

fn count(activity: &mut SessionActivity, time: Timestamp, event: &Event<'_>, names: &FileNames) {
    match event {
        Event::Turn => activity.turns += 1,
        Event::Response(calls) => {
            for name in *calls {
                let name = name.and_then(string).and_then(|name| ToolName::new(name).ok());
                let shown = name.map(|name| names.project_names.shown_tool(&name));
                activity.tool_calls.add(shown, 1);
            }
        }
        Event::Error(limit) => {
            activity.api_errors += 1;
            if let Some((kind, resets_at)) = limit {
                activity.add_limit(LimitEvent { time, kind: kind.clone(), resets_at: *resets_at });
            }
        }
        Event::Retry => activity.api_retries += 1,
        Event::Other => {}
    }
}
