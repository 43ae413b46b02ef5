//! The use cases of the facade.

pub(crate) mod append;
pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod background;
pub(crate) mod backup;
pub(crate) mod batch;
pub(crate) mod checkpoints;
pub(crate) mod client_settings;
pub(crate) mod expiring;
pub(crate) mod fallback;
pub(crate) mod health;
pub(crate) mod integrity;
pub(crate) mod lifetime;
pub(crate) mod monitor;
pub(crate) mod read_stream;
mod schedule;
pub(crate) mod sessions;
pub(crate) mod shutdown;
pub(crate) mod single_flight;
pub(crate) mod store;
pub(crate) mod summaries;
pub(crate) mod survive;
pub(crate) mod sync;
pub(crate) mod watch;
