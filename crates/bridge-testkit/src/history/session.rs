//! A session: its own file and those of its subagents.

use super::{
    decoy,
    filler::{base58, quoted, quoted_words, timestamp, uuid},
    line::{Line, LineTotals},
    plan::HistoryPlan,
    record::{Author, Fields, Style, object, set},
    response::{Identity, Response},
    transcript::{Transcript, WrittenSession},
    truth::HistoryTruth,
};
use fastrand::Rng;

const PROJECTS: [&str; 6] = ["api-gateway", "web-frontend", "data-pipeline", "notes", "ml-lab", "compiler"];
const VERSIONS: [&str; 6] = ["1.0.89", "2.0.14", "2.0.37", "2.1.12", "2.1.39", "2.1.237"];

/// The state of a session while it is generated.
#[derive(Debug)]
pub(crate) struct Session<'p> {
    pub(crate) plan: &'p HistoryPlan,
    pub(crate) slug: String,
    pub(crate) author: Author,
    pub(crate) rng: Rng,
    context_tokens: u64,
    pub(crate) lines: Vec<Line>,
}

impl<'p> Session<'p> {
    pub(crate) fn new(plan: &'p HistoryPlan, project: usize, start_millis: i64, mut rng: Rng) -> Self {
        let name = match PROJECTS.get(project) {
            Some(name) => (*name).to_owned(),
            None => format!("project-{project}"),
        };
        let author = Author {
            session: uuid(&mut rng),
            cwd: format!("/home/user/projects/{name}"),
            version: VERSIONS[rng.usize(..VERSIONS.len())],
            branch: ["main", "feat/parser", "fix-1234", ""][rng.usize(..4)],
            agent: None,
            clock_millis: start_millis,
            parent_uuid: None,
        };
        let slug = format!("-home-user-projects-{name}");
        Self { plan, slug, author, rng, context_tokens: 14_000, lines: Vec::new() }
    }

    pub(crate) fn write(
        &mut self,
        previous: Option<&WrittenSession>,
        truth: &mut HistoryTruth,
    ) -> WrittenSession {
        if let Some(previous) = previous.filter(|_| self.rng.u8(..) < 110) {
            self.resume(previous, truth);
        }
        let mut transcripts = Vec::new();
        let most = self.plan.responses_per_session * 2;
        for number in 0..self.rng.usize(1..=most.max(1)) {
            if number % 4 == 0 {
                self.prompt();
            }
            let response = self.next_response(number);
            response.record_in(&self.author.session, truth);
            self.respond(&response);
            match self.rng.u8(..100) {
                0..8 => transcripts.push(self.subagent(transcripts.len(), truth)),
                8..14 => self.nested_only(truth),
                14..18 => self.bad_usage(),
                18..20 => {
                    let synthetic = Response::synthetic(&mut self.rng);
                    synthetic.record_in(&self.author.session, truth);
                    self.respond(&synthetic);
                }
                _ => self.tool_result(),
            }
        }
        transcripts.push(self.take_transcript(format!("{}/{}.jsonl", self.slug, self.author.session)));
        WrittenSession { session: self.author.session.clone(), transcripts }
    }

    pub(crate) fn next_response(&mut self, number: usize) -> Response {
        self.context_tokens = 14_000 + (self.context_tokens + self.rng.u64(..3000)) % 140_000;
        Response::random(&mut self.rng, number, self.context_tokens)
    }

    /// Copies the first lines of another session's file, with this session's id.
    fn resume(&mut self, previous: &WrittenSession, truth: &mut HistoryTruth) {
        let Some(source) = previous.transcripts.last() else { return };
        let forked = self.rng.bool();
        let copied = source.lines.iter().take(self.rng.usize(..=source.lines.len()));
        let copies = copied.filter_map(|line| line.copied(&previous.session, &self.author.session, forked));
        self.lines.extend(copies);
        if !forked {
            truth.open_sessions.extend([previous.session.clone(), self.author.session.clone()]);
        }
    }

    fn prompt(&mut self) {
        if self.rng.u8(..) < 60 {
            let summary = quoted_words(&mut self.rng, 40);
            let leaf = uuid(&mut self.rng);
            self.lines.push(Line::plain(format!(
                r#"{{"type":"summary","summary":{summary},"leafUuid":"{leaf}"}}"#
            )));
        }
        let text = quoted_words(&mut self.rng, self.plan.text_bytes);
        self.user(format!(r#"{{"role":"user","content":{text}}}"#), Fields::new());
        let time = timestamp(self.author.clock_millis);
        let id = uuid(&mut self.rng);
        self.lines.push(Line::plain(format!(
            r#"{{"type":"file-history-snapshot","messageId":"{id}","snapshot":{{"messageId":"{id}","trackedFileBackups":{{}},"timestamp":"{time}"}},"isSnapshotUpdate":false}}"#
        )));
    }

    fn user(&mut self, message: String, mut other_fields: Fields) {
        let mut fields = vec![("message", message)];
        fields.append(&mut other_fields);
        let record = self.author.record(&mut self.rng, "user", fields);
        let text = object(&mut self.rng, Style::Compact, record);
        self.lines.push(Line::plain(text));
    }

    fn tool_result(&mut self) {
        let text = match self.rng.u8(..100) {
            0..12 => decoy::quoted_transcript(&mut self.rng),
            _ => quoted_words(&mut self.rng, self.plan.text_bytes * 3),
        };
        let tool = base58(&mut self.rng, 22);
        let content =
            format!(r#"[{{"tool_use_id":"toolu_01{tool}","type":"tool_result","content":{text}}}]"#);
        let result = decoy::tool_use_result(&mut self.rng, &text);
        self.user(format!(r#"{{"role":"user","content":{content}}}"#), vec![("toolUseResult", result)]);
    }

    /// Writes the lines of a response.
    pub(crate) fn respond(&mut self, response: &Response) {
        for line in 0..response.lines {
            let usage = response.usage_on(&mut self.rng, line);
            let usage_json = usage.json(&mut self.rng);
            let message = self.message(response, &usage_json, response.stops_on(line));
            let record = self.assistant(response, message);
            let style = Style::random(&mut self.rng);
            let mut text = object(&mut self.rng, style, record);
            if self.rng.u8(..) < 6 {
                text.push_str(r#"{"type":"mode","mode":"normal"}"#);
            }
            let is_copied = !matches!(response.identity, Identity::Bytes);
            self.lines.push(Line { text: text.into(), totals: usage.totals(false), is_copied });
            if self.rng.u8(..) < 10 {
                self.lines.extend(self.lines.last().cloned());
            }
        }
        if matches!(response.identity, Identity::Api { .. }) && self.rng.u8(..) < 12 {
            self.replay(response);
        }
    }

    /// Writes the last snapshot of a response again, in a sidechain with another request.
    fn replay(&mut self, response: &Response) {
        let usage = response.usage_on(&mut self.rng, response.lines - 1);
        let usage_json = usage.json(&mut self.rng);
        let message = self.message(response, &usage_json, response.stops_on(response.lines - 1));
        let mut record = self.assistant(response, message);
        set(&mut record, "requestId", quoted("req_of_the_replay"));
        set(&mut record, "isSidechain", "true".into());
        let text = object(&mut self.rng, Style::Compact, record);
        self.lines.push(Line { text: text.into(), totals: usage.totals(false), is_copied: true });
    }

    /// Writes a snapshot with invalid usage, in the counters or in an advisor.
    fn bad_usage(&mut self) {
        let response = self.next_response(0);
        let bad = ["\"5\"", "1.5", "-3", "1000000001", "1e3", "true", "[]"][self.rng.usize(..7)];
        let usage = match self.rng.u8(..3) {
            0 => format!(r#"{{"input_tokens":5,"output_tokens":{bad}}}"#),
            1 => format!(
                r#"{{"input_tokens":5,"iterations":[{{"type":"advisor_message","input_tokens":{bad}}}]}}"#
            ),
            _ => "[]".into(),
        };
        let message = self.message(&response, &usage, true);
        let record = self.assistant(&response, message);
        let text = object(&mut self.rng, Style::Compact, record);
        let totals = LineTotals { bad_usage: 1, ..LineTotals::default() };
        self.lines.push(Line { text: text.into(), totals, is_copied: true });
    }

    pub(crate) fn take_transcript(&mut self, relative_path: String) -> Transcript {
        let lines = std::mem::take(&mut self.lines);
        Transcript { relative_path, lines, modified_millis: self.author.clock_millis }
    }
}
