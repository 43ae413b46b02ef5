//! Keys of revision 1 of the counting rule that the current revision does not use.

use bridge_core::{Origin, ResponseKey, SupersededKey, TokenCounts};

use crate::claude::counters::{BadUsage, read_counter};
use crate::claude::fields::{UsageDecoder, UsageFields};
use crate::json::{array_items, read_object, string_bytes};

/// Calls `visit` with the keys under which revision 1 stored the snapshot with this key and usage, and its advisors'
/// iterations. There are none if revision 1 called the usage bad.
///
/// Revision 1 used the top level or, if that is all 0, the sum over all iterations but the advisors'. A cache split did
/// not count.
pub(crate) fn visit_superseded(
    key: ResponseKey,
    finished: bool,
    usage: &UsageFields<'_>,
    mut visit: impl FnMut(SupersededKey),
) {
    let (Ok(top), Ok(sum)) = (counts(usage), sum_of_iterations(usage)) else { return };
    let counts_1 = if top.is_zero() { sum.unwrap_or(top) } else { top };
    visit(SupersededKey::new(key, finished, counts_1));
    visit_iterations(usage, |position, fields| {
        if is_advisor(fields)
            && let Ok(counts) = counts(fields)
        {
            visit(SupersededKey::new(key.iteration(Origin::Advisor, position), finished, counts));
        }
    });
}

/// Sums up the iterations except the advisors'. Fails if one is bad, even an advisor's.
fn sum_of_iterations(usage: &UsageFields<'_>) -> Result<Option<TokenCounts>, BadUsage> {
    let mut sum = Ok(None);
    visit_iterations(usage, |_, fields| {
        sum = sum.and_then(|sum: Option<TokenCounts>| {
            let counts = counts(fields)?;
            if is_advisor(fields) {
                return Ok(sum);
            }
            sum.unwrap_or_default().checked_add(counts).map(Some).map_err(|_| BadUsage)
        });
    });
    sum
}

fn visit_iterations(usage: &UsageFields<'_>, mut visit: impl FnMut(u64, &UsageFields<'_>)) {
    let Some(list) = usage.iterations else { return };
    let mut places = 0..;
    array_items(list, |item| {
        let position = places.next().unwrap_or(u64::MAX);
        if let Some(fields) = read_object(item, &mut UsageDecoder) {
            visit(position, &fields);
        }
    });
}

fn is_advisor(fields: &UsageFields<'_>) -> bool {
    fields.kind.and_then(string_bytes).as_deref() == Some(b"advisor_message")
}

fn counts(fields: &UsageFields<'_>) -> Result<TokenCounts, BadUsage> {
    Ok(TokenCounts {
        input: read_counter(fields.input)?,
        output: read_counter(fields.output)?,
        cache_creation: read_counter(fields.cache_creation)?,
        cache_read: read_counter(fields.cache_read)?,
    })
}
