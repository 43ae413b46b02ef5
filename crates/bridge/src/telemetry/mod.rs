//! Audit, log, metrics and error rate of the operations.

pub(crate) mod audit;
pub(crate) mod audit_summary;
pub(crate) mod error_rate;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod operation;
pub(crate) mod panics;
pub(crate) mod process_memory;
pub(crate) mod run;
