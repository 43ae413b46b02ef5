//! In place of the entries, in a build without `moka`: nothing is cached.

use std::sync::Arc;

use bridge_core::{EnhancedTokenAnalysis, SessionId, Timestamp, TokenSummaryRecord};

use crate::{CacheGeneration, CacheKey, CacheOptions};

#[derive(Debug)]
pub(crate) struct Summaries;

impl Summaries {
    pub(crate) fn new(_: &CacheOptions) -> Self {
        Self
    }

    pub(crate) async fn get(&self, _: &CacheKey, _: Timestamp) -> Option<Arc<Vec<TokenSummaryRecord>>> {
        None
    }

    pub(crate) async fn insert(&self, _: CacheKey, _: Arc<Vec<TokenSummaryRecord>>, _: Timestamp) {}

    pub(crate) fn clear(&self) {}
}

#[derive(Debug)]
pub(crate) struct Analyses;

impl Analyses {
    pub(crate) fn new(_: &CacheOptions) -> Self {
        Self
    }

    pub(crate) async fn insert(&self, _: CacheGeneration, _: EnhancedTokenAnalysis, _: Timestamp) {}

    pub(crate) async fn get(&self, _: &SessionId, _: Timestamp) -> Option<Arc<EnhancedTokenAnalysis>> {
        None
    }

    pub(crate) fn remove_before(&self, _: CacheGeneration) {}
}
