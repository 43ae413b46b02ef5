//! Domain models of the Enhanced Token Bridge: identifiers, checked token counts, the response and
//! the order that decides which of its snapshots counts, analyses, results, errors and the validator.
//!
//! The crate does no I/O and knows no async runtime and no database client. Everything above it
//! (analysis, storage, cache, facade) uses these types.
//!
//! # The merge
//!
//! One API response is one [`ResponseUsage`], identified by its [`ResponseKey`]. Of two versions of it
//! the one with the greater [`ResponseVersion`] counts. That is a maximum under a total order, so the
//! result cannot depend on the order, repetition or place in which the versions were read:
//!
//! ```
//! use bridge_core::{ResponseKey, ResponseUsage, SessionId, Timestamp, TokenCounts};
//!
//! let key = ResponseKey::of_message("msg_01ABCDEFGHIJKLMNOPQRSTUV", "req_1");
//! let session = SessionId::new("5e2c1c52-0b6f-4a8f-9d0c-3a9f6a1f9e11")?;
//! let time: Timestamp = "2026-01-31T12:00:00Z".parse()?;
//! let mut partial = ResponseUsage::new(key, session, time);
//! partial.counts = TokenCounts { input: 10, output: 1, cache_creation: 0, cache_read: 500 };
//! let mut last = partial.clone();
//! last.counts.output = 250;
//! last.finished = true;
//!
//! assert!(last.version() > partial.version());
//! assert_eq!(partial.merge(last.clone()), last);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Architecture invariant: no conversation text fits into any type of this crate. Texts are
//! identifiers and names of at most [`TEXT_BYTES_MAX`] bytes.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod active_time;
mod activity;
mod actor;
mod analysis;
mod analysis_source;
mod analysis_summary;
mod assignment;
mod attribution;
mod audit;
mod calendar;
mod category;
mod checkpoint;
mod clock;
mod correlation;
mod cost;
mod counts;
mod damage;
mod error;
mod escaped;
mod extra_counts;
mod facts;
mod health;
mod hex;
mod id;
mod integrity;
mod invalid;
mod key;
mod model;
mod money;
mod price_kind;
mod price_mode;
mod price_row;
mod project;
mod receipt;
mod response;
mod result;
mod revision;
pub mod seconds;
mod shared;
#[cfg(feature = "proptest")]
pub mod strategy;
mod stream;
mod summary;
mod superseded;
mod sync;
mod time;
mod time_range;
mod time_zone;
mod unpriced;
mod validate;
mod version;

pub use active_time::ActiveTime;
pub use activity::{
    ActivityFacts, LIMITS_MAX, LimitEvent, LimitKind, SessionActivity, TOOLS_MAX, ToolCalls, ToolName,
};
pub use actor::Actor;
pub use analysis::{ANALYSIS_VERSION, EnhancedTokenAnalysis};
pub use analysis_source::{AnalysisSource, AnalysisWithSource};
pub use analysis_summary::AnalysisSummary;
pub use assignment::{Assignment, LabelName, Labels, SharedAssignment};
pub use attribution::{Attribution, AttributionValue, RequestId, SharedAttribution};
pub use audit::{AuditFilter, AuditId, AuditOutcome, AuditRecord};
pub use calendar::CalendarUnit;
pub use category::{ContentCategories, ContentCategory};
pub use checkpoint::{
    Checkpoint, CheckpointComparison, CheckpointName, CheckpointTotals, Epoch, RollbackResult,
    SessionDifference, StoreMode, StoreState,
};
pub use clock::{Clock, ManualClock, Stopwatch, SystemClock};
pub use correlation::CorrelationId;
pub use cost::{Cost, CostChange, unpriced_percent};
pub use counts::{CountOverflow, TokenCounts, saturating_sum};
pub use damage::{DamageKind, DamagedLine};
pub use error::{BridgeError, ConnectionKind, ErrorContext, PositionUnit, StorageKind};
pub use escaped::Escaped;
pub use extra_counts::ExtraCounts;
pub use facts::{AnalysisFacts, AnalysisNote};
pub use health::{HealthState, HealthStatus, Probe, ProbeResult};
pub use id::{
    AgentId, AnalysisId, HostName, ModelName, OperationName, ProjectName, ServiceTier, SessionId,
    TEXT_BYTES_MAX,
};
pub use integrity::{
    DifferenceKind, IntegrityDifference, IntegrityResult, IntegrityTally, RepairAction, RepairReport,
};
pub use invalid::InvalidValue;
pub use key::ResponseKey;
pub use model::{CanonicalModel, ModelProvider, ModelRoute, price_names};
pub use money::Money;
pub use price_kind::PriceKind;
pub use price_mode::{Processing, Speed, UNRESTRICTED_GEOGRAPHIES};
pub use price_row::PriceRow;
pub use project::{LinkedWorktree, ProjectRecord};
pub use receipt::{DamageCounts, Receipt, ReceiptLine, StoreReceipt};
pub use response::{Origin, ResponseUsage};
pub use result::{BackfillResult, BridgeResult};
pub use revision::RuleRevision;
pub use shared::{Shared, SharedValue};
pub use stream::{StreamPosition, StreamResult};
pub use summary::{SummaryMetadata, TokenSummaryRecord};
pub use superseded::SupersededKey;
pub use sync::{SyncResult, SyncStatus, TokenChange, TokenChanges};
pub use time::Timestamp;
pub use time_range::TimeRange;
pub use time_zone::TimeZone;
pub use unpriced::Unpriced;
pub use validate::{AnalysisValidator, COUNTER_MAX, ValidationResult, ValidatorOptions, Violation};
pub use version::{ResponseRank, ResponseVersion};
