//! Subagents with their own files, or only nested in the session's progress records.

use super::{
    filler::quoted_words,
    line::Line,
    record::{Style, object},
    response::{Identity, Response},
    session::Session,
    transcript::Transcript,
    truth::HistoryTruth,
    usage::Usage,
};

impl Session<'_> {
    /// Writes a subagent's own file, and repeats its responses in this session's progress records.
    pub(crate) fn subagent(&mut self, number: usize, truth: &mut HistoryTruth) -> Transcript {
        let agent = format!("{:08x}", self.rng.u32(..));
        let own_lines = std::mem::take(&mut self.lines);
        let own_parent = self.author.parent_uuid.take();
        self.author.agent = Some(agent.clone());
        let mut responses = Vec::new();
        for number in 0..self.rng.usize(1..5) {
            let response = self.next_response(number);
            response.record_in(&self.author.session, truth);
            self.respond(&response);
            responses.push(response);
        }
        let session = &self.author.session;
        let path = match number % 3 {
            0 => format!("{}/{session}/subagents/agent-{agent}.jsonl", self.slug),
            1 => format!("{}/agent-{agent}.jsonl", self.slug),
            _ => {
                format!("{}/{session}/subagents/{session}/subagents/agent-acompact-{agent}.jsonl", self.slug)
            }
        };
        let transcript = self.take_transcript(path);
        self.author.agent = None;
        self.author.parent_uuid = own_parent;
        self.lines = own_lines;
        for response in responses.iter().filter(|response| matches!(response.identity, Identity::Api { .. }))
        {
            let mut counters = response.usage.counters;
            counters.output = 1.max(counters.output / 3);
            self.progress(response, &Usage::plain(counters), false, Nesting::Message);
        }
        transcript
    }

    /// Writes a subagent's response that occurs only in progress records.
    pub(crate) fn nested_only(&mut self, truth: &mut HistoryTruth) {
        let mut response = self.next_response(0);
        if !matches!(response.identity, Identity::Bytes) {
            response.lines = 1;
            response.has_empty_end = false;
            response.record_in(&self.author.session, truth);
            let nesting = [Nesting::Message, Nesting::Listed, Nesting::Both][self.rng.usize(..3)];
            self.progress(&response, &response.usage, response.stops_on(0), nesting);
        }
    }

    fn progress(&mut self, response: &Response, usage: &Usage, stops: bool, nesting: Nesting) {
        let usage_json = usage.json(&mut self.rng);
        let message = self.message(response, &usage_json, stops);
        let record = self.assistant(response, message);
        let kept = ["message", "requestId", "type", "uuid", "timestamp"];
        let record = record.into_iter().filter(|(key, _)| kept.contains(key)).collect();
        let style = Style::random(&mut self.rng);
        let nested = object(&mut self.rng, style, record);
        let prompt = quoted_words(&mut self.rng, self.plan.text_bytes);
        let (message, listed) = match nesting {
            Nesting::Message => (&*nested, ""),
            Nesting::Listed => (r#"{"type":"user","message":{"role":"user","content":"go on"}}"#, &*nested),
            Nesting::Both => (&*nested, &*nested),
        };
        let data = format!(
            r#"{{"message":{message},"normalizedMessages":[{listed}],"type":"agent_progress","prompt":{prompt},"agentId":"a1"}}"#
        );
        let outer = self.author.record(&mut self.rng, "progress", vec![("data", data)]);
        let text = object(&mut self.rng, Style::Compact, outer);
        let mut totals = usage.totals(true);
        if matches!(nesting, Nesting::Both) {
            totals += totals;
        }
        self.lines.push(Line { text: text.into(), totals, is_copied: true });
    }
}

/// The place of a nested record in a progress record.
#[derive(Debug, Clone, Copy)]
enum Nesting {
    Message,
    Listed,
    Both,
}
