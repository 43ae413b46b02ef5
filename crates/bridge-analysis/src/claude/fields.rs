//! The fields of a record that somebody reads, taken out in one walk over its text.
//!
//! The same fields come out of the quick walk ([`quick_fields`]) and of the full parser ([`full_fields`]); what they
//! mean is said in [`record`](crate::record) and [`usage`](crate::usage), which do not see the difference.

use crate::claude::content::{Block, BlockFields};
use crate::json::cursor::{Cursor, Unsure};
use crate::json::{Raw, array_items, object_fields};

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
    /// The other spelling, which counts where the first names no session.
    pub(crate) session_id: Option<Raw<'a>>,
    pub(crate) sidechain: Option<Raw<'a>>,
    pub(crate) cwd: Option<Raw<'a>>,
    pub(crate) forked: Option<Raw<'a>>,
    pub(crate) agent: Option<Raw<'a>>,
    pub(crate) meta: Option<Raw<'a>>,
    pub(crate) content: Option<Raw<'a>>,
    pub(crate) attachment: Option<Raw<'a>>,
    /// Where `data` is an object.
    pub(crate) data: Option<DataFields<'a>>,
    /// Where `message` is an object.
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
    pub(crate) usage: Option<UsageValue<'a>>,
}

/// A usage: an object, or what stands in its place.
#[derive(Debug)]
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
}

/// What is to be read of a message's content: its blocks, into the list, or nothing.
pub(crate) type Blocks<'b> = Option<&'b mut Vec<Block>>;

/// The fields of a line that holds one object and nothing else. The line is proven valid JSON.
pub(crate) fn quick_fields<'a>(line: &'a str, mut blocks: Blocks<'_>) -> Result<RecordFields<'a>, Unsure> {
    let mut cursor = Cursor::new(line);
    cursor.skip_space();
    let mut record = RecordFields::default();
    let start = cursor.offset();
    walk_record(&mut cursor, &mut record, &mut blocks)?;
    record.text = line.get(start..cursor.offset()).ok_or(Unsure)?;
    if cursor.at_end() { Ok(record) } else { Err(Unsure) }
}

/// The fields of a valid JSON value; `None` where it is no object.
pub(crate) fn record_fields<'a>(text: Raw<'a>, mut blocks: Blocks<'_>) -> Option<RecordFields<'a>> {
    if !text.starts_with('{') {
        return None;
    }
    quick_fields(text, blocks.as_deref_mut()).ok().or_else(|| full_fields(text, blocks))
}

/// The fields of an usage or an iteration, a valid JSON value; `None` where it is no object.
pub(crate) fn usage_fields(text: Raw<'_>) -> Option<UsageFields<'_>> {
    if !text.starts_with('{') {
        return None;
    }
    quick_usage(&mut Cursor::new(text)).ok().or_else(|| full_usage(text))
}

fn walk_record<'a>(
    cursor: &mut Cursor<'a>,
    record: &mut RecordFields<'a>,
    blocks: &mut Blocks<'_>,
) -> Result<(), Unsure> {
    cursor.members(|cursor, key| {
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
            b"content" => &mut record.content,
            b"attachment" => &mut record.attachment,
            b"data" => {
                record.data = quick_data(cursor)?;
                return Ok(());
            }
            b"message" => {
                record.message = quick_message(cursor, blocks)?;
                return Ok(());
            }
            _ => return cursor.value().map(drop),
        };
        *field = Some(cursor.value()?);
        Ok(())
    })
}

fn quick_data<'a>(cursor: &mut Cursor<'a>) -> Result<Option<DataFields<'a>>, Unsure> {
    if cursor.peek() != b'{' {
        return cursor.value().map(|_| None);
    }
    let mut data = DataFields::default();
    cursor.members(|cursor, key| {
        let value = cursor.value()?;
        match key {
            b"message" => data.message = Some(value),
            b"normalizedMessages" => data.normalized = Some(value),
            b"agentId" => data.agent = Some(value),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Some(data))
}

fn quick_message<'a>(
    cursor: &mut Cursor<'a>,
    blocks: &mut Blocks<'_>,
) -> Result<Option<MessageFields<'a>>, Unsure> {
    // Of two messages in one record the last counts: the blocks of the first are none.
    clear(blocks);
    if cursor.peek() != b'{' {
        return cursor.value().map(|_| None);
    }
    let mut message = MessageFields::default();
    cursor.members(|cursor, key| {
        let field = match key {
            b"id" => &mut message.id,
            b"model" => &mut message.model,
            b"stop_reason" => &mut message.stop_reason,
            b"content" => {
                message.content = Some(quick_content(cursor, blocks)?);
                return Ok(());
            }
            b"usage" => {
                let is_object = cursor.peek() == b'{';
                message.usage = Some(if is_object {
                    UsageValue::Object(quick_usage(cursor)?)
                } else {
                    UsageValue::Other(cursor.value()?)
                });
                return Ok(());
            }
            _ => return cursor.value().map(drop),
        };
        *field = Some(cursor.value()?);
        Ok(())
    })?;
    Ok(Some(message))
}

fn quick_content<'a>(cursor: &mut Cursor<'a>, blocks: &mut Blocks<'_>) -> Result<Raw<'a>, Unsure> {
    clear(blocks);
    let Some(blocks) = blocks.as_mut().filter(|_| cursor.peek() == b'[') else { return cursor.value() };
    let start = cursor.offset();
    cursor.items(|cursor| {
        if cursor.peek() != b'{' {
            return cursor.value().map(drop);
        }
        let mut block = BlockFields::default();
        cursor.members(|cursor, key| {
            let value = cursor.value()?;
            block.set(key, value);
            Ok(())
        })?;
        blocks.extend(block.block());
        Ok(())
    })?;
    cursor.text_from(start)
}

fn quick_usage<'a>(cursor: &mut Cursor<'a>) -> Result<UsageFields<'a>, Unsure> {
    let mut usage = UsageFields::default();
    cursor.members(|cursor, key| {
        let value = cursor.value()?;
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
            _ => return Ok(()),
        };
        *field = Some(value);
        Ok(())
    })?;
    Ok(usage)
}

/// The same fields by the full parser.
fn full_fields<'a>(text: Raw<'a>, mut blocks: Blocks<'_>) -> Option<RecordFields<'a>> {
    clear(&mut blocks);
    let keys = [
        "type",
        "timestamp",
        "requestId",
        "uuid",
        "sessionId",
        "session_id",
        "isSidechain",
        "cwd",
        "forkedFrom",
        "agentId",
        "isMeta",
        "content",
        "attachment",
        "data",
        "message",
    ];
    let fields = object_fields(text, keys)?;
    let [
        kind,
        time,
        request_id,
        uuid,
        session,
        session_id,
        sidechain,
        cwd,
        forked,
        agent,
        meta,
        content,
        attachment,
        data,
        message,
    ] = fields;
    let message = message.and_then(|message| full_message(message, blocks));
    let data = data.and_then(|data| object_fields(data, ["message", "normalizedMessages", "agentId"]));
    let data = data.map(|[message, normalized, agent]| DataFields { message, normalized, agent });
    Some(RecordFields {
        text,
        kind,
        time,
        request_id,
        uuid,
        session,
        session_id,
        sidechain,
        cwd,
        forked,
        agent,
        meta,
        content,
        attachment,
        data,
        message,
    })
}

fn full_message<'a>(text: Raw<'a>, blocks: Blocks<'_>) -> Option<MessageFields<'a>> {
    let [id, model, stop_reason, content, usage] =
        object_fields(text, ["id", "model", "stop_reason", "content", "usage"])?;
    if let (Some(blocks), Some(content)) = (blocks, content) {
        array_items(content, |item| blocks.extend(BlockFields::of(item).and_then(BlockFields::block)));
    }
    let usage = usage.map(|usage| match full_usage(usage) {
        Some(fields) => UsageValue::Object(fields),
        None => UsageValue::Other(usage),
    });
    Some(MessageFields { id, model, stop_reason, content, usage })
}

fn full_usage(text: Raw<'_>) -> Option<UsageFields<'_>> {
    let keys = [
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "service_tier",
        "iterations",
        "type",
        "model",
    ];
    let [input, output, cache_creation, cache_read, cache_split, service_tier, iterations, kind, model] =
        object_fields(text, keys)?;
    Some(UsageFields {
        input,
        output,
        cache_creation,
        cache_read,
        cache_split,
        service_tier,
        iterations,
        kind,
        model,
    })
}

fn clear(blocks: &mut Blocks<'_>) {
    if let Some(blocks) = blocks {
        blocks.clear();
    }
}
