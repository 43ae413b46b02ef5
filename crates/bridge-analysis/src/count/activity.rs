//! The activity of sessions, collected over a part of a file.

use std::collections::{BTreeMap, HashMap};

use bridge_core::{
    AttributionValue, LimitEvent, LimitKind, SessionActivity, SessionId, Timestamp, ToolCalls, ToolName,
};

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
    sessions: Vec<SessionPart>,
}

/// The activity of a session in the part.
#[derive(Debug)]
struct SessionPart {
    session: SessionId,
    activity: SessionActivity,
    calls: Calls,
}

/// Calls of tools by the raw names, which are compared with far less work than the names that are stored.
#[derive(Debug, Default)]
struct Calls(Vec<(Box<str>, Option<ToolName>, u64)>);

impl Calls {
    /// More are counted by their names, so that no search takes long.
    const MAX: usize = 32;

    fn add(&mut self, raw: Option<Raw<'_>>, names: &FileNames, counted: &mut ToolCalls) {
        let text = raw.unwrap_or_default();
        if let Some((_, _, calls)) = self.0.iter_mut().find(|(known, ..)| **known == *text) {
            *calls += 1;
            return;
        }
        if self.0.len() == Self::MAX {
            self.count_into(counted);
        }
        let name = raw.and_then(string).and_then(|name| ToolName::new(name).ok());
        self.0.push((text.into(), name.map(|name| names.project_names.shown_tool(&name)), 1));
    }

    fn count_into(&mut self, counted: &mut ToolCalls) {
        self.0.drain(..).for_each(|(_, name, calls)| counted.add(name, calls));
    }
}

impl ActivityCollector {
    /// Adds a record.
    pub(crate) fn add(&mut self, record: &RecordActivity<'_>, names: &FileNames) {
        let place = self.place(record.session.unwrap_or_default(), names);
        let SessionPart { session: own, activity, calls } = &mut self.sessions[place];
        match &record.what {
            Happened::Copied { parent } => {
                let parent = session(parent).filter(|parent| parent != own);
                activity.parent = activity.parent.take().or(parent);
            }
            Happened::Here { time, kind, entrypoint, event } => {
                activity.add_time(*time);
                set(&mut activity.kind, *kind);
                set(&mut activity.entrypoint, *entrypoint);
                count(activity, calls, *time, event, names);
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
                let known = self.sessions.iter().position(|part| part.session == own);
                let place = known.unwrap_or_else(|| {
                    let (activity, calls) = (SessionActivity::default(), Calls::default());
                    self.sessions.push(SessionPart { session: own, activity, calls });
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
        for SessionPart { session, mut activity, mut calls } in self.sessions {
            calls.count_into(&mut activity.tool_calls);
            file.entry(session).or_default().merge(activity);
        }
    }
}

fn set(known: &mut Option<AttributionValue>, value: Option<Raw<'_>>) {
    if known.is_none() {
        *known = value.and_then(string).and_then(|value| AttributionValue::new(value).ok());
    }
}

fn count(
    activity: &mut SessionActivity,
    calls: &mut Calls,
    time: Timestamp,
    event: &Event<'_>,
    names: &FileNames,
) {
    match event {
        Event::Turn => activity.turns += 1,
        Event::Response(named) => {
            named.iter().for_each(|name| calls.add(*name, names, &mut activity.tool_calls));
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
