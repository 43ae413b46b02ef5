//! Subagents: with a file of their own, or only nested in the progress of the session.

use super::{
    line::Line,
    prose::quoted_words,
    record::{Style, object},
    response::{Identity, Response},
    session::Session,
    transcript::Transcript,
    truth::HistoryTruth,
    usage::Usage,
};

impl Session<'_> {
    /// A subagent: its own file, and some of its responses again in this session's progress.
    pub(crate) fn subagent(&mut self, number: usize, truth: &mut HistoryTruth) -> Transcript {
        let agent = format!("{:08x}", self.rng.u32(..));
        let own_lines = std::mem::take(&mut self.lines);
        let own_parent = self.author.parent_uuid.take();
        self.author.agent = Some(agent.clone());
        let mut given = Vec::new();
        for number in 0..self.rng.usize(1..5) {
            let response = self.next_response(number);
            response.note(&self.author.session, truth);
            self.respond(&response);
            given.push(response);
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
        for response in given.iter().filter(|given| matches!(given.identity, Identity::Api { .. })) {
            let mut counters = response.usage.counters;
            counters.output = 1.max(counters.output / 3);
            self.progress(response, &Usage::plain(counters), false, Nesting::Message);
        }
        transcript
    }

    /// A subagent without a file of its own.
    pub(crate) fn nested_only(&mut self, truth: &mut HistoryTruth) {
        let mut response = self.next_response(0);
        if !matches!(response.identity, Identity::Bytes) {
            response.lines = 1;
            response.has_empty_end = false;
            response.note(&self.author.session, truth);
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
        let style = Style::any(&mut self.rng);
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
        let mut tally = usage.tally(true);
        if matches!(nesting, Nesting::Both) {
            tally += tally;
        }
        self.lines.push(Line { text: text.into(), tally, is_copied: true });
    }
}

/// Where in a progress record a nested record stands.
#[derive(Debug, Clone, Copy)]
enum Nesting {
    Message,
    Listed,
    Both,
}
