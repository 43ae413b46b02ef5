//! The source of correlation ids.

use std::fmt;

use bridge_core::CorrelationId;

/// Generates the correlation ids of operations.
pub(crate) struct CorrelationIds(Box<dyn Fn() -> Option<CorrelationId> + Send + Sync>);

impl CorrelationIds {
    pub(crate) fn new<I: Into<Option<CorrelationId>>>(
        source: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(move || source().into()))
    }

    /// Returns the id that the source has for the current task, else a random one. An id of zeros, which means no
    /// trace, is ignored.
    pub(crate) fn next(&self) -> CorrelationId {
        (self.0)().filter(|id| id.0 != 0).unwrap_or_else(|| CorrelationId(fastrand::u128(1..)))
    }
}

impl Default for CorrelationIds {
    /// Returns a source of random ids.
    fn default() -> Self {
        Self::new(|| None)
    }
}

impl fmt::Debug for CorrelationIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CorrelationIds")
    }
}
