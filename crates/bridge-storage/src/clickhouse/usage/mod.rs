//! The table `token_usage`: one row per response key.

mod activity;
mod cover;
pub(crate) mod group_commit;
mod integrity;
pub(crate) mod native;
pub(crate) mod read;
pub(crate) mod rows;
pub(crate) mod saturating;
mod summaries;
pub(crate) mod write;
