//! Counts of a response besides the four counters.

use serde::{Deserialize, Serialize};

use crate::ResponseUsage;

/// Counts that the API reported besides the four counters. A count that none of them has is `None`, which is not 0:
/// older clients recorded none of these.
///
/// ```
/// use bridge_core::ExtraCounts;
///
/// let mut sum = ExtraCounts::default();
/// sum.add(&ExtraCounts { thinking_tokens: Some(5), ..ExtraCounts::default() });
/// sum.add(&ExtraCounts { thinking_tokens: Some(2), web_search_requests: Some(0), ..ExtraCounts::default() });
/// assert_eq!((sum.thinking_tokens, sum.web_search_requests, sum.web_fetch_requests), (Some(7), Some(0), None));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraCounts {
    /// Of the output tokens, those of the model's thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking_tokens: Option<u64>,
    /// Web searches that the API made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search_requests: Option<u64>,
    /// Web pages that the API fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_fetch_requests: Option<u64>,
}

impl ExtraCounts {
    /// Returns whether no count is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the counts of other responses. A sum ends at `u64::MAX`.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or_default().saturating_add(more));
            }
        };
        add(&mut self.thinking_tokens, other.thinking_tokens);
        add(&mut self.web_search_requests, other.web_search_requests);
        add(&mut self.web_fetch_requests, other.web_fetch_requests);
    }
}

impl ResponseUsage {
    /// Returns what the API reported of the response besides the four counters.
    #[must_use]
    pub fn extra_counts(&self) -> ExtraCounts {
        ExtraCounts {
            thinking_tokens: self.thinking_tokens,
            web_search_requests: self.web_search_requests,
            web_fetch_requests: self.web_fetch_requests,
        }
    }
}
