//! Every figure of the analyzer beside the same figure of the reference.
//!
//! Shared with the fuzz target, so it panics at the first difference and names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bridge_analysis::{AnalysisProgress, AnalyzerOptions, FileAnalysis, History, SourceFile, analyze_files};
use bridge_core::{DamageKind, Origin, ResponseKey, ResponseUsage, Timestamp, TokenCounts};
use bridge_testkit::reference::{
    self, Iteration, MessageKey, Options, Outcome, ReferenceFile, ReferenceTotals,
};

/// The analyzer's results for some files.
pub(crate) struct Found {
    pub(crate) history: History,
    /// By path.
    pub(crate) files: Vec<FileAnalysis>,
}

/// Writes the files below the folder; their analyzer's names, in the same order.
pub(crate) fn write(folder: &Path, files: &[ReferenceFile]) -> Vec<SourceFile> {
    let write = |file: &ReferenceFile| {
        let path = folder.join(&file.path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
        fs::write(&path, &file.content).expect("a file is written");
        let project = file.path.parent().and_then(|folder| folder.iter().next());
        SourceFile {
            path,
            size: file.content.len() as u64,
            modified: Timestamp::from_millis(file.modified_millis).expect("a time after 1970"),
            project_folder: project.and_then(|name| name.to_str()).map(str::to_owned),
        }
    };
    files.iter().map(write).collect()
}

/// Runs the analyzer over the files.
pub(crate) fn analyze(sources: &[SourceFile], options: &AnalyzerOptions) -> Found {
    let mut history = History::default();
    let mut files = Vec::new();
    analyze_files(sources, options, &AnalysisProgress::default(), &mut history, |file| files.push(file));
    assert!(history.errors().is_empty(), "{:?}", history.errors());
    files.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    Found { history, files }
}

/// Compares what the analyzer found in the files with what the reference says of them.
pub(crate) fn compare(found: &Found, files: &[ReferenceFile], options: &AnalyzerOptions) -> ReferenceTotals {
    let line_bytes_max = options.line_bytes_max;
    let expected = reference::analyze(files.iter().cloned(), Options { line_bytes_max });
    let every_line = options.strict || options.categories;
    let unseen = if every_line { 0 } else { unseen_damage(files, line_bytes_max, options.activity) };
    compare_totals(found, &expected, unseen);
    compare_responses(found, &expected);
    compare_sessions(found, &expected);
    for analysis in &found.files {
        let same = |file: &&ReferenceFile| analysis.file.path.ends_with(&file.path);
        let file = files.iter().find(same).expect("a file that was given");
        check_places(analysis, &file.content);
        compare_activity(analysis, &reference::activity(file, Options { line_bytes_max }), options.activity);
    }
    expected
}

/// Compares all totals; `unseen` damaged lines are not expected.
pub(crate) fn compare_totals(found: &Found, expected: &ReferenceTotals, unseen: u64) {
    let figures = found.history.summary(&bridge_core::TimeRange::ALL).expect("sums fit");
    let receipt = found.history.receipt();
    assert!(receipt.adds_up(), "{receipt:?}");
    let damage = receipt.damage;
    let compared = [
        ("files", figures.files, expected.files),
        ("bytes", figures.bytes, expected.bytes),
        ("lines", figures.lines, expected.lines),
        ("bad lines", damage.bad_lines, expected.bad_lines - unseen),
        ("pending", damage.pending_lines, expected.pending),
        ("oversize", damage.oversize_lines, expected.oversize),
        ("bad usage", damage.bad_usage, expected.bad_usage),
        ("assistant lines", receipt.assistant_lines.count, expected.usage_lines),
        ("nested snapshots", receipt.nested.count, expected.nested_snapshots),
        ("naive", receipt.assistant_lines.tokens, expected.naive),
        ("nested naive", receipt.nested.tokens, expected.nested_naive),
        ("from iterations", receipt.from_iterations.tokens, expected.from_iterations),
        ("raised", receipt.raised.tokens, expected.raised),
        ("advisor", receipt.advisor.tokens, expected.advisor_naive),
        ("compaction", receipt.compaction.tokens, expected.compaction_naive),
        ("declined", receipt.declined.tokens, expected.declined_naive),
        ("other", receipt.other.tokens, expected.other_naive),
        ("weak snapshots", receipt.weak_snapshots.count, expected.weak_snapshots),
        ("weak responses", receipt.weak_responses.count, expected.weak.0),
        ("weak tokens", receipt.weak_responses.tokens, expected.weak.1),
        ("repeats", receipt.repeats_within_files.tokens, expected.repeats_within_files),
        ("copies", receipt.copies_across_files.tokens, expected.copies_across_files),
        ("responses", figures.responses, expected.responses),
        ("responses in the receipt", receipt.total.count, expected.responses),
        ("total", figures.counts.total(), expected.total),
        ("output", figures.counts.output, expected.counters.output),
    ];
    for (figure, found, expected) in compared {
        assert_eq!(found, expected, "{figure}");
    }
}

/// Each response: of those with an open tie one of the outcomes.
fn compare_responses(found: &Found, expected: &ReferenceTotals) {
    let mut found: BTreeMap<_, _> =
        found.history.responses().map(|response| (response.key, response)).collect();
    for response in &expected.by_response {
        let key = key(&response.key);
        let row = found.remove(&key).unwrap_or_else(|| panic!("{:?} is missing", response.key));
        let counts = row.counts;
        let outcome = Outcome {
            session: row.session.to_string(),
            model: row.model.map(ToString::to_string),
            project: row.project.map(ToString::to_string),
            counters: bridge_testkit::Counters {
                input: counts.input,
                output: counts.output,
                cache_creation: counts.cache_creation,
                cache_read: counts.cache_read,
            },
            finished: row.finished,
            time_millis: row.time.as_millis(),
            attribution: attribution(&row.to_usage()),
        };
        let outcomes: BTreeSet<Outcome> = response.outcomes.iter().cloned().map(storable).collect();
        assert!(outcomes.contains(&outcome), "{:?}: {outcome:?} of {outcomes:?}", response.key);
        assert_eq!(row.to_usage().weak_key, matches!(response.key.message, MessageKey::Weak(..)));
        assert_eq!(row.snapshot_tokens, response.all_snapshots, "{:?}", response.key);
    }
    assert!(found.is_empty(), "too many: {found:?}");
}

/// The sums of the sessions that no open tie touches.
fn compare_sessions(found: &Found, expected: &ReferenceTotals) {
    let mut sums: BTreeMap<String, reference::SessionTotals> = BTreeMap::new();
    for response in found.history.responses() {
        let sum = sums.entry(response.session.to_string()).or_default();
        let worth_tokens = !response.counts.is_zero();
        sum.responses += 1;
        sum.with_tokens += u64::from(worth_tokens);
        sum.unfinished += u64::from(worth_tokens && !response.finished);
        sum.counters.input += response.counts.input;
        sum.counters.output += response.counts.output;
        sum.counters.cache_creation += response.counts.cache_creation;
        sum.counters.cache_read += response.counts.cache_read;
        sum.all_snapshots += response.snapshot_tokens;
    }
    // An open tie may decide between snapshots with other counters, within one session too.
    let open = |session: &String| expected.open_sessions.contains(session);
    let certain = expected.counters_are_certain();
    for (session, expected) in expected.sessions.iter().filter(|(session, _)| certain && !open(session)) {
        assert_eq!(sums.remove(session).as_ref(), Some(expected), "{session}");
    }
    sums.retain(|session, _| certain && !open(session));
    assert!(sums.is_empty(), "sessions that are none: {sums:?}");
}

/// The activity in the sessions of a file.
fn compare_activity(
    found: &FileAnalysis,
    expected: &BTreeMap<String, reference::Activity>,
    is_asked_for: bool,
) {
    let Some(found) = &found.activity else { return assert!(!is_asked_for) };
    assert_eq!(
        found.keys().map(ToString::to_string).collect::<Vec<_>>(),
        expected.keys().cloned().collect::<Vec<_>>()
    );
    for (found, expected) in found.values().zip(expected.values()) {
        let text = |text: &Option<bridge_core::AttributionValue>| text.as_ref().map(ToString::to_string);
        let named = found.tool_calls.by_name().map(|(name, calls)| (name.to_string(), calls));
        let unnamed = Some((String::new(), found.tool_calls.other())).filter(|(_, calls)| *calls > 0);
        let limits: BTreeSet<_> = expected.limits.iter().cloned().collect();
        assert_eq!(
            (found.turns, found.api_errors, found.api_retries, found.limits_hit),
            (expected.turns, expected.api_errors, expected.api_retries, expected.limits.len() as u64)
        );
        assert_eq!(unnamed.into_iter().chain(named).collect::<BTreeMap<_, _>>(), expected.tool_calls);
        let millis = |time: Timestamp| time.as_millis();
        let found_limits = found.limits.iter();
        let found_limits = found_limits
            .map(|limit| (millis(limit.time), limit.kind.to_string(), limit.resets_at.map(millis)));
        assert_eq!(found_limits.collect::<BTreeSet<_>>(), limits);
        let times = (found.first_time.map(millis), found.last_time.map(millis));
        assert_eq!(times, (expected.times.first().copied(), expected.times.last().copied()));
        let steps = found.active.runs().iter().flat_map(|(start, end)| *start..*end).map(i64::from);
        assert_eq!(steps.collect::<BTreeSet<_>>(), expected.steps());
        assert_eq!(
            (text(&found.kind), text(&found.entrypoint)),
            (expected.kind.clone(), expected.entrypoint.clone())
        );
        assert_eq!(found.parent.as_ref().map(ToString::to_string), expected.parent);
    }
}

/// The columns besides the counters, as the reference has them.
fn attribution(row: &ResponseUsage) -> reference::Attribution {
    let texts = row.attribution.values().filter_map(|(column, text)| Some((column, text?.to_string())));
    reference::Attribution {
        texts: texts.collect(),
        request_id: row.request_id.as_ref().map(ToString::to_string),
        numbers: reference::Numbers {
            thinking_tokens: row.thinking_tokens,
            web_search_requests: row.web_search_requests,
            web_fetch_requests: row.web_fetch_requests,
        },
    }
}

/// Names that cannot be stored are none.
fn storable(outcome: Outcome) -> Outcome {
    Outcome { model: outcome.model.filter(|model| (1..=512).contains(&model.len())), ..outcome }
}

fn key(key: &reference::ResponseKey) -> ResponseKey {
    let message = match &key.message {
        MessageKey::Id(id) => ResponseKey::of_message(id, ""),
        MessageKey::IdAndRequest(id, request) => ResponseKey::of_message(id, request),
        MessageKey::Weak(id, [input, cache_creation, cache_read]) => {
            let (input, cache_creation, cache_read) = (*input, *cache_creation, *cache_read);
            ResponseKey::of_weak_message(id, &TokenCounts { input, output: 0, cache_creation, cache_read })
        }
        MessageKey::Uuid(uuid) => ResponseKey::of_uuid(uuid),
        MessageKey::Record(bytes, index) => ResponseKey::of_record(bytes, *index as u64),
    };
    let Some((iteration, position)) = key.iteration else { return message };
    let origin = match iteration {
        Iteration::Advisor => Origin::Advisor,
        Iteration::Compaction => Origin::Compaction,
        Iteration::Declined => Origin::Declined,
        Iteration::Other => Origin::Other,
    };
    message.iteration(origin, position as u64)
}

/// Places and the position at the end are about lines that are there.
fn check_places(analysis: &FileAnalysis, content: &[u8]) {
    let newlines = |offset: u64| {
        let before = &content[..usize::try_from(offset).expect("a small file")];
        assert!(before.is_empty() || before.ends_with(b"\n") || before.len() == content.len(), "{offset}");
        before.iter().filter(|byte| **byte == b'\n').count() as u64
    };
    for place in &analysis.damage_places {
        assert_eq!(place.line, newlines(place.offset) + 1, "{place:?}");
    }
    let damage = analysis.damage;
    let kinds = [
        (DamageKind::BadLine, damage.bad_lines),
        (DamageKind::BadUsage, damage.bad_usage),
        (DamageKind::Oversize, damage.oversize_lines),
        (DamageKind::Pending, damage.pending_lines),
    ];
    let all: u64 = kinds.iter().map(|(_, count)| count).sum();
    assert_eq!(analysis.damage_places.len() as u64, all.min(FileAnalysis::DAMAGE_PLACES_MAX as u64));
    for (kind, count) in kinds.iter().filter(|_| all <= FileAnalysis::DAMAGE_PLACES_MAX as u64) {
        // A line that a file in UTF-16 begins with is a bad line.
        let is_kind = |found| found == *kind || (found, *kind) == (DamageKind::Utf16, DamageKind::BadLine);
        let places = analysis.damage_places.iter().filter(|place| is_kind(place.kind)).count();
        assert_eq!(places as u64, *count, "{kind:?}");
    }
    let pending = analysis.damage_places.iter().rfind(|place| place.kind == DamageKind::Pending);
    if all <= FileAnalysis::DAMAGE_PLACES_MAX as u64 && damage.oversize_lines == 0 {
        assert_eq!(analysis.end.offset, pending.map_or(content.len() as u64, |place| place.offset));
        assert_eq!(analysis.end.newlines, newlines(analysis.end.offset));
    }
}

/// Damaged lines that the cheap check passes over: no usage and, if it is asked for, no activity in them, and whole at
/// their edges.
fn unseen_damage(files: &[ReferenceFile], line_bytes_max: usize, activity: bool) -> u64 {
    let mut unseen = 0;
    let content = |file: &'_ ReferenceFile| {
        file.content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.content).to_vec()
    };
    let contents: Vec<Vec<u8>> = files.iter().map(content).collect();
    for line in contents.iter().flat_map(|content| content.split_inclusive(|byte| *byte == b'\n')) {
        let Some(text) = line.strip_suffix(b"\n").filter(|text| text.len() <= line_bytes_max) else {
            continue;
        };
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
        let is_whole = text[start..end].starts_with(b"{") && text[start..end].ends_with(b"}");
        let holds = |marker: &[u8]| text.windows(marker.len()).any(|window| window == marker);
        let may_hold_usage = [&b"\"usage\""[..], b"\\u006", b"\\u007"].into_iter().any(holds);
        if is_whole && !may_hold_usage && !(activity && may_hold_activity(text)) {
            unseen += reference::analyze([ReferenceFile::new("s", 0, line)], Options::default()).bad_lines;
        }
    }
    unseen
}

/// Whether a line without usage is parsed for activity: a record of a person or the client is in it, and no result of a
/// tool in the first one.
fn may_hold_activity(line: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let rest = |from: usize| &line[from + line[from..].iter().take_while(|byte| is_space(byte)).count()..];
    let value = |key: usize| {
        let rest = rest(key + 6).strip_prefix(b":")?;
        let space = rest.iter().take_while(|byte| is_space(byte)).count();
        rest[space..].strip_prefix(b"\"")
    };
    let keys = (0..line.len()).filter(|at| line[*at..].starts_with(b"\"type\""));
    let mut found = false;
    for (at, value) in keys.filter_map(|at| Some((at, value(at)?))) {
        if value.starts_with(b"tool_result\"") {
            return (0..at).any(|end| {
                line[end] == b'}' && {
                    let next = rest(end + 1);
                    next.starts_with(b"{") && line.len() - next.len() < at
                }
            });
        }
        found |= value.starts_with(b"user\"") || value.starts_with(b"system\"");
    }
    found
}
