//! Events of the file system, and how [`keep_in_sync`](crate::EnhancedTokenDatabaseBridge::keep_in_sync) follows them.
//!
//! Events only say where to look: what is read, and from where, the cursors decide. So an event that is missing costs
//! time, until the next search of all transcripts, and never a wrong total.

mod changes;
#[cfg(feature = "live")]
mod file_system;
mod options;
mod recent;
mod status;

pub use changes::{ChangeSink, ChangeSource};
#[cfg(feature = "live")]
pub use file_system::FileSystemEvents;
pub use options::LiveOptions;
pub use status::{LiveProgress, LiveStatus, Watching};

pub(crate) use changes::{Changes, Work};
pub(crate) use recent::RecentFiles;
