//! What another counter reads of the transcripts, response by response.

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;

use bridge::analysis::discover;
use bridge::{Origin, ResponseKey, TokenCounts};
use serde_json::Value;

use super::counter::{Counter, Rules};
use super::skip::{Skip, skip};

/// What was seen of a response, whether or not the other counter reads it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) direct: bool,
    pub(crate) nested: bool,
    /// Why the counter skips a line of it.
    pub(crate) skipped: Option<Skip>,
    /// With these counters the response's own record says less than its iterations.
    pub(crate) greatest: u64,
}

/// A response as the other counter counts it.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) key: Option<ResponseKey>,
    pub(crate) model: Option<String>,
    pub(crate) counts: TokenCounts,
    id: Option<String>,
    request: Option<String>,
    session: String,
    time: String,
    sidechain: bool,
}

/// The key by which `ccusage` and `tokscale` identify a response: message and request, or without a request, the session
/// and the time.
type DedupKey = (String, Option<String>, Option<(String, String)>);

/// What is known of the transcripts.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) counted: Vec<Counted>,
    pub(crate) seen: HashMap<ResponseKey, Seen>,
    /// The places in `counted`, by what the counter takes for one response.
    places: HashMap<DedupKey, usize>,
    /// The same by message and session, for sidechains that repeat a message with another request.
    replays: HashMap<(String, String), Vec<usize>>,
}

/// Reads the transcripts as the counter does.
pub(crate) fn read(roots: &[PathBuf], counter: Counter) -> Result<Read, Box<dyn Error>> {
    let mut read = Read::default();
    let mut files = discover(roots).files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for file in files {
        let content = std::fs::read(&file.path)?;
        for line in content.split(|byte| *byte == b'\n') {
            read.line(line, &file.stem(), counter.rules());
        }
    }
    Ok(read)
}

impl Read {
    fn line(&mut self, line: &[u8], file: &str, rules: Rules) {
        // Everything else is not JSON for the counter either: half lines, broken escapes, several values.
        let Ok(record) = serde_json::from_slice::<Value>(line) else { return };
        let skipped = if rules.skips_lines { skip(line, &record) } else { None };
        let nested = &record["data"]["message"];
        for (snapshot, is_nested) in [(&record, false), (nested, true)] {
            let Some(counted) = counted(snapshot, &record, file) else { continue };
            if let Some(key) = counted.key {
                let seen = self.seen.entry(key).or_default();
                seen.nested |= is_nested;
                seen.direct |= !is_nested;
                seen.skipped = seen.skipped.or(skipped);
                seen.greatest = seen.greatest.max(counted.counts.total());
            }
            if skipped.is_some() || (is_nested && !rules.reads_progress) {
                continue;
            }
            if rules.reads_advisors {
                advisors(&snapshot["message"]["usage"], &counted)
                    .for_each(|advisor| self.add(advisor, rules));
            }
            self.add(counted, rules);
        }
    }

    fn add(&mut self, new: Counted, rules: Rules) {
        let Some(id) = new.id.clone() else {
            self.counted.push(new);
            return;
        };
        let without_request = new.request.is_none().then(|| (new.session.clone(), new.time.clone()));
        let place = (id.clone(), new.request.clone(), without_request);
        let replay = (id, new.session.clone());
        let replays = || self.replays.get(&replay).into_iter().flatten().copied();
        let is_replay =
            |at: &usize| rules.prefers_main_chain && (new.sidechain || self.counted[*at].sidechain);
        match self.places.get(&place).copied().or_else(|| replays().find(is_replay)) {
            Some(at) => {
                if is_better(&new, &self.counted[at], rules) {
                    self.counted[at] = new;
                }
                self.places.insert(place, at);
            }
            None => {
                let at = self.counted.len();
                self.counted.push(new);
                self.places.insert(place, at);
                self.replays.entry(replay).or_default().push(at);
            }
        }
    }
}

fn is_better(new: &Counted, old: &Counted, rules: Rules) -> bool {
    if rules.prefers_main_chain && new.sidechain != old.sidechain {
        return old.sidechain;
    }
    new.counts.total() > old.counts.total()
}

/// Returns what a record says about a response. `record` is the line's, which holds the session.
fn counted(snapshot: &Value, record: &Value, file: &str) -> Option<Counted> {
    let message = snapshot.get("message")?;
    let time = snapshot.get("timestamp")?.as_str()?.to_owned();
    let counts = counts(message.get("usage")?)?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let (id, request) = (text(&message["id"]), text(&snapshot["requestId"]));
    let key = match (&id, &request) {
        (Some(id), None) if !ResponseKey::is_unique_message_id(id) => {
            Some(ResponseKey::of_weak_message(id, &counts))
        }
        (Some(id), request) => Some(ResponseKey::of_message(id, request.as_deref().unwrap_or_default())),
        (None, _) => text(&snapshot["uuid"]).map(ResponseKey::of_uuid),
    };
    let model = text(&message["model"]);
    let session = text(&record["sessionId"]).unwrap_or_else(|| file.to_owned());
    let sidechain = snapshot["isSidechain"] == true;
    Some(Counted { key, model, counts, id, request, session, time, sidechain })
}

/// Returns the counters, of which input and output must be there.
fn counts(usage: &Value) -> Option<TokenCounts> {
    let optional = |name: &str| match usage.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(count) => count.as_u64(),
    };
    Some(TokenCounts {
        input: usage.get("input_tokens")?.as_u64()?,
        output: usage.get("output_tokens")?.as_u64()?,
        cache_creation: optional("cache_creation_input_tokens")?,
        cache_read: optional("cache_read_input_tokens")?,
    })
}

fn advisors<'v>(usage: &'v Value, response: &'v Counted) -> impl Iterator<Item = Counted> + 'v {
    let iterations = usage["iterations"].as_array().into_iter().flatten().enumerate();
    iterations.filter(|(_, iteration)| iteration["type"] == "advisor_message").filter_map(
        |(position, iteration)| {
            let key = response.key?.iteration(Origin::Advisor, position as u64);
            let model = iteration["model"].as_str()?.to_owned();
            let id = response.id.as_ref().map(|id| format!("{id}:advisor:{position}"));
            Some(Counted {
                key: Some(key),
                model: Some(model),
                counts: counts(iteration)?,
                id,
                ..response.clone()
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_01ABCDEFGHIJKLMNOPQRSTUV";

    fn line(request: &str, output: u64, rest: &str) -> String {
        format!(
            r#"{{"type":"assistant","timestamp":"2026-01-31T12:00:00Z","requestId":"{request}","sessionId":"s"{rest},"message":{{"id":"{ID}","usage":{{"input_tokens":1,"output_tokens":{output}}}}}}}"#
        )
    }

    fn totals(counter: Counter, lines: &[String]) -> Vec<u64> {
        let mut read = Read::default();
        lines.iter().for_each(|line| read.line(line.as_bytes(), "file", counter.rules()));
        read.counted.iter().map(|counted| counted.counts.total()).collect()
    }

    #[test]
    fn the_greatest_of_a_request_counts_once_and_another_request_again() {
        let lines = [line("r", 1, ""), line("r", 9, ""), line("r", 5, ""), line("q", 5, "")];
        assert_eq!(totals(Counter::Ccusage, &lines), [10, 6]);
        assert_eq!(totals(Counter::Tokscale, &lines), [10, 6]);
    }

    #[test]
    fn ccusage_takes_the_main_chain_and_skips_lines_and_tokscale_does_not() {
        let chains = [line("r", 9, r#","isSidechain":true"#), line("q", 5, "")];
        assert_eq!(totals(Counter::Ccusage, &chains), [6]);
        assert_eq!(totals(Counter::Tokscale, &chains), [10, 6]);
        let null = [line("r", 9, r#","cwd":null"#)];
        assert_eq!((totals(Counter::Ccusage, &null), totals(Counter::Tokscale, &null)), (vec![], vec![10]));
    }

    #[test]
    fn a_progress_record_is_read_by_ccusage_only() {
        let nested = format!(r#"{{"type":"progress","data":{{"message":{}}}}}"#, line("r", 9, ""));
        let lines = [nested, "{\"half".to_owned()];
        assert_eq!((totals(Counter::Ccusage, &lines), totals(Counter::Tokscale, &lines)), (vec![10], vec![]));
    }
}
