//! Assistant messages with one content block, and their records.

use super::{
    decoy,
    filler::{base58, quoted, quoted_words},
    record::{Fields, Style, object, set},
    response::{Identity, Response},
    session::Session,
};

impl Session<'_> {
    /// Generates a message with one content block.
    pub(crate) fn message(&mut self, response: &Response, usage: &str, stops: bool) -> String {
        let text = quoted_words(&mut self.rng, self.plan.text_bytes);
        let tool = base58(&mut self.rng, 22);
        let content = match self.rng.u8(..100) {
            0..40 => format!(r#"{{"type":"text","text":{text}}}"#),
            40..55 => format!(r#"{{"type":"thinking","thinking":{text},"signature":"{tool}"}}"#),
            55..60 => format!(
                r#"{{"type":"tool_use","id":"toolu_01{tool}","name":"Grep","input":{}}}"#,
                decoy::decoy_input()
            ),
            _ => format!(
                r#"{{"type":"tool_use","id":"toolu_01{tool}","name":"Bash","input":{{"command":{text}}}}}"#
            ),
        };
        let mut fields: Fields = vec![("type", quoted("message")), ("role", quoted("assistant"))];
        match &response.identity {
            Identity::Api { id, .. } | Identity::Short { id, .. } => fields.insert(0, ("id", quoted(id))),
            Identity::Uuid => fields.push(("id", ["null", "\"\"", "17"][self.rng.usize(..3)].into())),
            Identity::Bytes => {}
        }
        let stop = if stops { [r#""end_turn""#, r#""tool_use""#][self.rng.usize(..2)] } else { "null" };
        fields.extend([
            ("model", quoted(response.model)),
            ("content", format!("[{content}]")),
            ("stop_reason", stop.into()),
            ("stop_sequence", "null".into()),
            ("usage", usage.to_owned()),
        ]);
        let style = Style::random(&mut self.rng);
        object(&mut self.rng, style, fields)
    }

    /// Generates the record of a message, without fields that the response's identity excludes.
    pub(crate) fn assistant(&mut self, response: &Response, message: String) -> Fields {
        let mut fields = vec![("message", message)];
        if let Identity::Api { request: Some(request), .. } | Identity::Short { request: Some(request), .. } =
            &response.identity
        {
            fields.push(("requestId", quoted(request)));
        }
        let mut record = self.author.record(&mut self.rng, "assistant", fields);
        if matches!(response.identity, Identity::Bytes) {
            record.retain(|(key, _)| *key != "uuid");
        }
        match self.rng.u8(..) {
            0..3 => set(&mut record, "timestamp", ["null", "\"soon\"", "0"][self.rng.usize(..3)].into()),
            6..10 => record
                .iter_mut()
                .filter(|(key, _)| *key == "sessionId")
                .for_each(|(key, _)| *key = "session_id"),
            3..6 if self.author.agent.is_none() => record.retain(|(key, _)| *key != "sessionId"),
            _ => {}
        }
        record
    }
}
