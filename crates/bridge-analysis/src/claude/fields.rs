//! Extracts the fields of a record in one walk over its text.
//!
//! Their keys are spelled here and nowhere else. [`record`](super::record) and [`usage`](super::usage) interpret them.

use bridge_core::Attribution;

use crate::claude::content::{Block, BlockFields, Outline};
use crate::json::{Decode, Raw, Reader, Unsure};

/// A record: an object on a line, or nested in one.
#[derive(Debug, Default)]
pub(crate) struct RecordFields<'a> {
    /// The record's own text.
    pub(crate) text: &'a str,
    pub(crate) kind: Option<Raw<'a>>,
    pub(crate) time: Option<Raw<'a>>,
    pub(crate) request_id: Option<Raw<'a>>,
    pub(crate) uuid: Option<Raw<'a>>,
    pub(crate) session: Option<Raw<'a>>,
    /// The other spelling, which counts if the first names no session.
    pub(crate) session_id: Option<Raw<'a>>,
    pub(crate) sidechain: Option<Raw<'a>>,
    pub(crate) cwd: Option<Raw<'a>>,
    pub(crate) forked: Option<Raw<'a>>,
    pub(crate) agent: Option<Raw<'a>>,
    pub(crate) meta: Option<Raw<'a>>,
    /// All but `speed`, `inference_geo` and `fallback_credit`, which the usage has.
    pub(crate) attribution: Attribution<Raw<'a>>,
    pub(crate) content: Option<Raw<'a>>,
    pub(crate) attachment: Option<Raw<'a>>,
    pub(crate) session_kind: Option<Raw<'a>>,
    pub(crate) prompt_source: Option<Raw<'a>>,
    pub(crate) origin: Option<Raw<'a>>,
    pub(crate) compact_summary: Option<Raw<'a>>,
    pub(crate) transcript_only: Option<Raw<'a>>,
    pub(crate) api_error: Option<Raw<'a>>,
    pub(crate) error: Option<Raw<'a>>,
    pub(crate) quota: Option<Raw<'a>>,
    pub(crate) subtype: Option<Raw<'a>>,
    /// Present if `data` is an object.
    pub(crate) data: Option<DataFields<'a>>,
    /// Present if `message` is an object.
    pub(crate) message: Option<MessageFields<'a>>,
}

/// The data of a `progress` record.
#[derive(Debug, Default)]
pub(crate) struct DataFields<'a> {
    pub(crate) message: Option<Raw<'a>>,
    pub(crate) normalized: Option<Raw<'a>>,
    pub(crate) agent: Option<Raw<'a>>,
}

/// The message of a record.
#[derive(Debug, Default)]
pub(crate) struct MessageFields<'a> {
    pub(crate) id: Option<Raw<'a>>,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) stop_reason: Option<Raw<'a>>,
    pub(crate) content: Option<Raw<'a>>,
    /// The parts of the content that activity needs, if it is requested.
    pub(crate) outline: Outline<'a>,
    pub(crate) usage: Option<UsageValue<'a>>,
}

/// A usage: an object, or the value in its place.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are objects, and a box would be an allocation for each"
)]
pub(crate) enum UsageValue<'a> {
    Object(UsageFields<'a>),
    Other(Raw<'a>),
}

/// The usage of a message, or an iteration of one.
#[derive(Debug, Default)]
pub(crate) struct UsageFields<'a> {
    pub(crate) input: Option<Raw<'a>>,
    pub(crate) output: Option<Raw<'a>>,
    pub(crate) cache_creation: Option<Raw<'a>>,
    pub(crate) cache_read: Option<Raw<'a>>,
    pub(crate) cache_split: Option<Raw<'a>>,
    pub(crate) service_tier: Option<Raw<'a>>,
    pub(crate) iterations: Option<Raw<'a>>,
    pub(crate) kind: Option<Raw<'a>>,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) speed: Option<Raw<'a>>,
    pub(crate) inference_geo: Option<Raw<'a>>,
    pub(crate) output_details: Option<Raw<'a>>,
    pub(crate) server_tools: Option<Raw<'a>>,
    pub(crate) fallback_credit: Option<Raw<'a>>,
}

/// Decodes a record, and of its message's content what is asked for.
#[derive(Debug, Default)]
pub(crate) struct RecordDecoder {
    /// Asks for the blocks, for categories.
    pub(crate) reads_blocks: bool,
    /// Asks for the outline, for activity.
    pub(crate) reads_outline: bool,
    /// The blocks of the record that was decoded last.
    pub(crate) blocks: Vec<Block>,
}

impl<'a> Decode<'a> for RecordDecoder {
    type Object = RecordFields<'a>;

    fn decode<R: Reader<'a>>(&mut self, reader: &mut R, record: &mut RecordFields<'a>) -> Result<(), Unsure> {
        self.blocks.clear();
        record.text = reader.members(|value, key| {
            let field = match key {
                b"type" => &mut record.kind,
                b"timestamp" => &mut record.time,
                b"requestId" => &mut record.request_id,
                b"uuid" => &mut record.uuid,
                b"sessionId" => &mut record.session,
                b"session_id" => &mut record.session_id,
                b"isSidechain" => &mut record.sidechain,
                b"cwd" => &mut record.cwd,
                b"forkedFrom" => &mut record.forked,
                b"agentId" => &mut record.agent,
                b"isMeta" => &mut record.meta,
                b"gitBranch" => &mut record.attribution.branch,
                b"version" => &mut record.attribution.client_version,
                b"entrypoint" => &mut record.attribution.entrypoint,
                b"effort" => &mut record.attribution.effort,
                b"attributionAgent" => &mut record.attribution.agent_type,
                b"attributionSkill" => &mut record.attribution.skill,
                b"attributionPlugin" => &mut record.attribution.plugin,
                b"attributionMcpServer" => &mut record.attribution.mcp_server,
                b"attributionMcpTool" => &mut record.attribution.mcp_tool,
                b"content" => &mut record.content,
                b"attachment" => &mut record.attachment,
                b"sessionKind" => &mut record.session_kind,
                b"promptSource" => &mut record.prompt_source,
                b"origin" => &mut record.origin,
                b"isCompactSummary" => &mut record.compact_summary,
                b"isVisibleInTranscriptOnly" => &mut record.transcript_only,
                b"isApiErrorMessage" => &mut record.api_error,
                b"error" => &mut record.error,
                b"quotaLimits" => &mut record.quota,
                b"subtype" => &mut record.subtype,
                b"data" => return read_data(value, &mut record.data),
                b"message" => return self.read_message(value, &mut record.message),
                _ => return value.value().map(drop),
            };
            *field = Some(value.value()?);
            Ok(())
        })?;
        Ok(())
    }
}

impl RecordDecoder {
    fn read_message<'a, R: Reader<'a>>(
        &mut self,
        reader: &mut R,
        message: &mut Option<MessageFields<'a>>,
    ) -> Result<(), Unsure> {
        // Of two messages in one record the last counts, so nothing of the first may remain.
        *message = None;
        self.blocks.clear();
        if reader.peek() != b'{' {
            return reader.value().map(drop);
        }
        let message = message.insert(MessageFields::default());
        let taken = reader.members(|value, key| {
            let field = match key {
                b"id" => &mut message.id,
                b"model" => &mut message.model,
                b"stop_reason" => &mut message.stop_reason,
                b"content" => {
                    message.outline = Outline::default();
                    message.content = Some(self.read_content(value, &mut message.outline)?);
                    return Ok(());
                }
                b"usage" => return read_usage_value(value, &mut message.usage),
                _ => return value.value().map(drop),
            };
            *field = Some(value.value()?);
            Ok(())
        });
        taken.map(drop)
    }

    fn read_content<'a, R: Reader<'a>>(
        &mut self,
        content: &mut R,
        outline: &mut Outline<'a>,
    ) -> Result<Raw<'a>, Unsure> {
        self.blocks.clear();
        if !(self.reads_blocks || self.reads_outline) || content.peek() != b'[' {
            return content.value();
        }
        content.items(|item| {
            outline.filled = true;
            if item.peek() != b'{' {
                return item.value().map(drop);
            }
            let mut block = BlockFields::default();
            item.members(|value, key| {
                let value = value.value()?;
                block.set(key, value);
                Ok(())
            })?;
            if self.reads_outline {
                outline.add(&block);
            }
            if self.reads_blocks {
                self.blocks.extend(block.block());
            }
            Ok(())
        })
    }
}

fn read_data<'a, R: Reader<'a>>(reader: &mut R, data: &mut Option<DataFields<'a>>) -> Result<(), Unsure> {
    *data = None;
    if reader.peek() != b'{' {
        return reader.value().map(drop);
    }
    let data = data.insert(DataFields::default());
    let taken = reader.members(|value, key| {
        let value = value.value()?;
        match key {
            b"message" => data.message = Some(value),
            b"normalizedMessages" => data.normalized = Some(value),
            b"agentId" => data.agent = Some(value),
            _ => {}
        }
        Ok(())
    });
    taken.map(drop)
}

fn read_usage_value<'a, R: Reader<'a>>(
    reader: &mut R,
    usage: &mut Option<UsageValue<'a>>,
) -> Result<(), Unsure> {
    if reader.peek() != b'{' {
        *usage = Some(UsageValue::Other(reader.value()?));
        return Ok(());
    }
    let mut fields = UsageFields::default();
    UsageDecoder.decode(reader, &mut fields)?;
    *usage = Some(UsageValue::Object(fields));
    Ok(())
}

/// Decodes a usage or an iteration.
#[derive(Debug)]
pub(crate) struct UsageDecoder;

impl<'a> Decode<'a> for UsageDecoder {
    type Object = UsageFields<'a>;

    fn decode<R: Reader<'a>>(&mut self, reader: &mut R, usage: &mut UsageFields<'a>) -> Result<(), Unsure> {
        let taken = reader.members(|value, key| {
            let value = value.value()?;
            let field = match key {
                b"input_tokens" => &mut usage.input,
                b"output_tokens" => &mut usage.output,
                b"cache_creation_input_tokens" => &mut usage.cache_creation,
                b"cache_read_input_tokens" => &mut usage.cache_read,
                b"cache_creation" => &mut usage.cache_split,
                b"service_tier" => &mut usage.service_tier,
                b"iterations" => &mut usage.iterations,
                b"type" => &mut usage.kind,
                b"model" => &mut usage.model,
                b"speed" => &mut usage.speed,
                b"inference_geo" => &mut usage.inference_geo,
                b"output_tokens_details" => &mut usage.output_details,
                b"server_tool_use" => &mut usage.server_tools,
                b"fallback_credit" => &mut usage.fallback_credit,
                _ => return Ok(()),
            };
            *field = Some(value);
            Ok(())
        });
        taken.map(drop)
    }
}
