//! From snapshots to totals: everything that does not depend on an agent's format.

pub(crate) mod activity;
pub(crate) mod batch;
pub(crate) mod candidate;
pub(crate) mod categories;
pub(crate) mod context;
pub(crate) mod history;
pub(crate) mod project;
pub(crate) mod request;
pub(crate) mod response;
mod row;
pub(crate) mod snapshot;
mod table;
pub(crate) mod time;
