//! The source of correlation ids.

use std::fmt;

use bridge_core::CorrelationId;

/// Generates the correlation ids of operations.
pub(crate) struct CorrelationIds(Box<dyn Fn() -> CorrelationId + Send + Sync>);

impl CorrelationIds {
    pub(crate) fn new(source: impl Fn() -> CorrelationId + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }

    pub(crate) fn next(&self) -> CorrelationId {
        (self.0)()
    }
}

impl Default for CorrelationIds {
    /// Returns a source of random ids.
    fn default() -> Self {
        Self::new(|| CorrelationId(fastrand::u128(1..)))
    }
}

impl fmt::Debug for CorrelationIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CorrelationIds")
    }
}
