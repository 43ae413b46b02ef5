//! Estimated tokens of texts by category.

use std::collections::HashMap;

use bridge_core::{ContentCategories, ContentCategory};
use xxhash_rust::xxh3::xxh3_128;

/// Estimated tokens are bytes of the raw JSON value divided by this.
const BYTES_PER_TOKEN: u64 = 4;

/// A hash of the id of a tool's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallId(u128);

impl CallId {
    pub(crate) fn new(id: &[u8]) -> Self {
        Self(xxh3_128(id))
    }
}

/// Adds up the bytes of texts by category, over a part of a file or over all of it.
#[derive(Debug, Default)]
pub(crate) struct CategoryCounter {
    bytes: [u64; ContentCategory::ALL.len()],
    /// Calls of tools: their results are added to the same category.
    calls: HashMap<CallId, ContentCategory>,
    /// Results whose calls are not in this part, but in an earlier one or nowhere.
    open: Vec<(CallId, u64)>,
}

impl CategoryCounter {
    /// Adds the bytes of a text.
    pub(crate) fn add(&mut self, category: ContentCategory, bytes: u64) {
        self.bytes[category as usize] += bytes;
    }

    /// Adds a tool's call, so that its result is added to the same category.
    pub(crate) fn add_call(&mut self, call: Option<CallId>, category: ContentCategory, bytes: u64) {
        self.add(category, bytes);
        if let Some(call) = call {
            self.calls.insert(call, category);
        }
    }

    /// Adds the result of a tool's call.
    pub(crate) fn add_result(&mut self, call: Option<CallId>, bytes: u64) {
        let Some(call) = call else { return self.add(ContentCategory::SystemTools, bytes) };
        match self.calls.get(&call) {
            Some(category) => self.add(*category, bytes),
            None => self.open.push((call, bytes)),
        }
    }

    /// Adds the next part of the file to all parts before it. A result whose call is in none of them is
    /// attributed to a built-in tool, so that calls of those need not be kept from part to part.
    pub(crate) fn merge(&mut self, next: Self) {
        for (sum, bytes) in self.bytes.iter_mut().zip(next.bytes) {
            *sum += bytes;
        }
        for (call, bytes) in next.open {
            let category = self.calls.get(&call).copied().unwrap_or(ContentCategory::SystemTools);
            self.add(category, bytes);
        }
        for (call, category) in next.calls {
            if category == ContentCategory::SystemTools {
                self.calls.remove(&call);
            } else {
                self.calls.insert(call, category);
            }
        }
    }

    /// Returns the estimate, without empty categories.
    pub(crate) fn estimate(&self) -> ContentCategories {
        ContentCategory::ALL
            .into_iter()
            .zip(self.bytes)
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(category, bytes)| (category, bytes.div_ceil(BYTES_PER_TOKEN)))
            .collect()
    }
}
