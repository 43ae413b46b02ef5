//! The iterations of a usage: the attempts and steps of one request.

use bridge_core::{Origin, TokenCounts};

use crate::claude::counters::{BadUsage, read_counters};
use crate::claude::extras::read_extras;
use crate::claude::fields::{UsageDecoder, UsageFields};
use crate::count::snapshot::{Counted, Extras};
use crate::json::{Raw, array_items, read_object, string_bytes};

/// An iteration that the top level leaves out: a separate response.
#[derive(Debug)]
pub(crate) struct Apart<'a> {
    pub(crate) origin: Origin,
    /// Its place in `iterations`.
    pub(crate) position: u64,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) counted: Counted,
    pub(crate) extras: Extras,
}

/// The iterations of one usage, all of them readable. They are walked twice and never kept, because a hostile line may
/// hold millions.
#[derive(Debug)]
pub(crate) struct Iterations<'a> {
    list: Raw<'a>,
    sums: Sums,
    has_apart: bool,
    unknown_are_apart: bool,
}

#[derive(Debug, Default)]
struct Sums {
    messages: Option<Counted>,
    /// The last one and its place, and their number.
    fallback: Option<(u64, Counted)>,
    fallbacks: u64,
    unknown: Option<Counted>,
    /// Entries that are always separate responses.
    always_apart: u64,
}

enum Kind {
    Message,
    Fallback,
    Advisor,
    Compaction,
    Unknown,
}

impl Kind {
    /// An entry without a type is a message.
    fn parse(fields: &UsageFields<'_>) -> Self {
        let Some(kind) = fields.kind.filter(|kind| *kind != "null") else { return Self::Message };
        match string_bytes(kind).as_deref() {
            Some(b"message") => Self::Message,
            Some(b"fallback_message") => Self::Fallback,
            Some(b"advisor_message") => Self::Advisor,
            Some(b"compaction") => Self::Compaction,
            _ => Self::Unknown,
        }
    }
}

/// Reads the iterations below these counters.
pub(crate) fn read_iterations<'a>(list: Raw<'a>, top: &TokenCounts) -> Result<Iterations<'a>, BadUsage> {
    let mut sums = Sums::default();
    let mut outcome = Ok(());
    let mut places = 0..;
    array_items(list, |item| {
        let position = places.next().unwrap_or(u64::MAX);
        if outcome.is_ok()
            && let Some(fields) = read_object(item, &mut UsageDecoder)
        {
            outcome = sums.add(&fields, position);
        }
    });
    outcome?;
    let unknown_are_apart = match sums.unknown {
        Some(unknown) => !covers(top, &sums.serving().unwrap_or_default().checked_add(unknown)?.counts),
        None => false,
    };
    let has_declined = sums.fallbacks > 1 || sums.fallback.is_some() && sums.messages.is_some();
    let has_apart = sums.always_apart > 0 || has_declined || unknown_are_apart;
    Ok(Iterations { list, sums, has_apart, unknown_are_apart })
}

/// Returns whether each counter of the top level is at least that of the sum.
fn covers(top: &TokenCounts, sum: &TokenCounts) -> bool {
    top.input >= sum.input
        && top.output >= sum.output
        && top.cache_creation >= sum.cache_creation
        && top.cache_read >= sum.cache_read
}

impl Sums {
    fn add(&mut self, fields: &UsageFields<'_>, position: u64) -> Result<(), BadUsage> {
        let counted = read_counters(fields)?;
        let plus = |sum: Option<Counted>| sum.unwrap_or_default().checked_add(counted).map(Some);
        match Kind::parse(fields) {
            Kind::Message => self.messages = plus(self.messages)?,
            Kind::Unknown => self.unknown = plus(self.unknown)?,
            Kind::Advisor | Kind::Compaction => self.always_apart += 1,
            Kind::Fallback => {
                self.fallback = Some((position, counted));
                self.fallbacks += 1;
            }
        }
        Ok(())
    }

    fn serving(&self) -> Option<Counted> {
        self.fallback.map_or(self.messages, |(_, counted)| Some(counted))
    }
}

impl<'a> Iterations<'a> {
    /// Returns the sum over the entries that served the response.
    pub(crate) fn serving(&self) -> Option<Counted> {
        self.sums.serving()
    }

    /// Calls `visit` with each entry that is a separate response.
    pub(crate) fn visit_apart(&self, mut visit: impl FnMut(Apart<'a>)) {
        if !self.has_apart {
            return;
        }
        let mut places = 0..;
        array_items(self.list, |item| {
            let position = places.next().unwrap_or(u64::MAX);
            if let Some(fields) = read_object(item, &mut UsageDecoder)
                && let Some(origin) = self.origin(&Kind::parse(&fields), position)
                && let Ok(counted) = read_counters(&fields)
            {
                let extras = read_extras(&fields, counted.counts.output);
                visit(Apart { origin, position, model: fields.model, counted, extras });
            }
        });
    }

    /// Returns the origin of an entry; `None` if it belongs to the top level.
    fn origin(&self, kind: &Kind, position: u64) -> Option<Origin> {
        match (kind, self.sums.fallback) {
            (Kind::Advisor, _) => Some(Origin::Advisor),
            (Kind::Compaction, _) => Some(Origin::Compaction),
            (Kind::Message, Some(_)) => Some(Origin::Declined),
            (Kind::Fallback, Some((last, _))) if last != position => Some(Origin::Declined),
            (Kind::Unknown, _) if self.unknown_are_apart => Some(Origin::Other),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(top: TokenCounts, list: &str) -> Vec<(Origin, u64, u64)> {
        let iterations = read_iterations(list, &top).unwrap();
        let mut found = Vec::new();
        iterations.visit_apart(|apart| {
            found.push((apart.origin, apart.position, apart.counted.counts.total()));
        });
        found
    }

    fn output(output: u64) -> TokenCounts {
        TokenCounts { output, ..TokenCounts::ZERO }
    }

    #[test]
    fn other_attempts_are_declined_if_a_fallback_answered() {
        let list = r#"[{"output_tokens":1},null,{"type":"fallback_message","output_tokens":2},
            {"type":"message","output_tokens":3},{"type":"fallback_message","output_tokens":4}]"#;
        assert_eq!(
            apart(output(4), list),
            [(Origin::Declined, 0, 1), (Origin::Declined, 2, 2), (Origin::Declined, 3, 3)]
        );
    }

    #[test]
    fn an_unknown_type_is_a_separate_response_if_the_top_level_leaves_it_out() {
        let list = r#"[{"type":"message","output_tokens":5},{"type":"new","output_tokens":7}]"#;
        assert_eq!(apart(output(12), list), []);
        assert_eq!(apart(output(11), list), [(Origin::Other, 1, 7)]);
        assert_eq!(apart(output(0), r#"[{"type":5,"output_tokens":7}]"#), [(Origin::Other, 0, 7)]);
    }

    #[test]
    fn compaction_and_advice_are_always_separate_responses() {
        let list = r#"[{"type":"compaction","output_tokens":1},{"type":"advisor_message"},{"type":null}]"#;
        assert_eq!(apart(output(9), list), [(Origin::Compaction, 0, 1), (Origin::Advisor, 1, 0)]);
    }
}
