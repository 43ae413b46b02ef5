//! Records of source files: cursors and statistics.

use std::path::{Path, PathBuf};

use bridge_core::{
    ContentCategories, DamageCounts, Epoch, HostName, ProjectName, RuleRevision, SessionActivity, SessionId,
    Timestamp,
};

/// The state of one source file, for one session in it. Statistics are cumulative for
/// the file, never deltas, so writing a record again changes nothing. Cursor and statistics are one record,
/// so that one write moves both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// The machine that the file lies on.
    pub host: HostName,
    /// The path of the file, or the name of the [stream](Self::is_stream).
    pub path: PathBuf,
    /// The session.
    pub session: SessionId,
    /// The read position, the same in all records of a file.
    pub cursor: SourceCursor,
    /// The project of the session, if the file names one.
    pub project: Option<ProjectName>,
    /// Lines of the file, on the file's home session only, so that they add up over sessions.
    pub lines: u64,
    /// Damage of the file, on the file's home session only.
    pub damage: DamageCounts,
    /// Estimated tokens by category, on the file's home session only.
    pub content_categories: ContentCategories,
    /// Snapshots of this session in the file.
    pub snapshots: u64,
    /// Their tokens.
    pub snapshot_tokens: u64,
    /// The time of the session's first snapshot in the file.
    pub first_time: Option<Timestamp>,
    /// The time of the session's last snapshot in the file.
    pub last_time: Option<Timestamp>,
    /// The session's activity as far as the file records it; `None` if the file was read without activity.
    pub activity: Option<Box<SessionActivity>>,
    /// The program that read it, for information.
    pub analysis_version: String,
    /// The revision of the counting rule by which it was read. The cursor of an older one is void; that of
    /// [`RuleRevision::NONE`] always is.
    pub rule_revision: RuleRevision,
    /// When it was read.
    pub read_at: Timestamp,
    /// The epoch in which its rows were stored. A later rollback may have taken them back, so a cursor of
    /// another epoch than the store's is void.
    pub epoch: Epoch,
}

/// The read position in a file, and the file's state then. A lost or stale cursor costs a re-read and never a
/// wrong total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceCursor {
    /// The file's size when it was read, in bytes.
    pub size: u64,
    /// The file's modification time when it was read.
    pub modified: Timestamp,
    /// When the file's inode last changed, in nanoseconds since 1970.
    pub changed_nanos: u64,
    /// Identifies the state of the file's inode (device, number, size, times to the nanosecond).
    pub identity: u64,
    /// Identifies the content up to `size`.
    pub fingerprint: u128,
    /// The number of bytes read and accounted for, up to a last line that may still grow.
    pub offset: u64,
    /// The number of lines, blank ones included, that end before `offset`.
    pub line: u64,
    /// The last readable time before `carried_before`, for snapshots that have none of their own.
    pub carried_time: Option<Timestamp>,
    /// An offset up to which the times are known.
    pub carried_before: u64,
}

impl SourceRecord {
    /// Returns the record of a file of which nothing was read yet.
    #[must_use]
    pub fn new(host: HostName, path: PathBuf, session: SessionId) -> Self {
        Self {
            host,
            path,
            session,
            cursor: SourceCursor {
                size: 0,
                modified: Timestamp::MIN,
                changed_nanos: 0,
                identity: 0,
                fingerprint: 0,
                offset: 0,
                line: 0,
                carried_time: None,
                carried_before: 0,
            },
            project: None,
            lines: 0,
            damage: DamageCounts::default(),
            content_categories: ContentCategories::new(),
            snapshots: 0,
            snapshot_tokens: 0,
            first_time: None,
            last_time: None,
            activity: None,
            analysis_version: String::new(),
            rule_revision: RuleRevision::NONE,
            read_at: Timestamp::MIN,
            epoch: Epoch::default(),
        }
    }

    /// Returns whether the source is a stream, which was pushed or came from a reader. Unlike a file, it cannot be read
    /// again.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        is_stream(&self.path)
    }

    /// Returns the session that the record's one was forked from, as far as the file says.
    #[must_use]
    pub fn parent(&self) -> Option<&SessionId> {
        self.activity.as_ref().and_then(|activity| activity.parent.as_ref())
    }

    /// Sorts records of one (host, path, session): the newer revision of the rule wins, then the later epoch, then the
    /// later change of the file, then the larger offset. The last two are the file's own, so two readers with different
    /// clocks agree.
    ///
    /// From the highest bit down: 8 bits of revision (0 is the first, so that its records keep the versions that they
    /// were stored under), 16 of epoch, 64 of time, 40 of offset.
    #[must_use]
    pub fn version(&self) -> u128 {
        let offset = self.cursor.offset.min((1 << OFFSET_BITS) - 1);
        let epoch = u128::from(self.epoch.0.min(EPOCH_MAX));
        let revision = u128::from(self.rule_revision.0.saturating_sub(RuleRevision::FIRST.0));
        revision << REVISION_SHIFT
            | epoch << EPOCH_SHIFT
            | u128::from(self.cursor.changed_nanos) << OFFSET_BITS
            | u128::from(offset)
    }

    /// Returns a number that differs whenever version, content or time of reading do, for a
    /// [digest](crate::SourcesDigest) of many records.
    #[must_use]
    pub fn mark(&self) -> u128 {
        let read_at = u128::from(self.read_at.as_millis().cast_unsigned());
        self.version() ^ self.cursor.fingerprint ^ read_at
    }
}

const OFFSET_BITS: u32 = 40;
const EPOCH_SHIFT: u32 = OFFSET_BITS + u64::BITS;
const EPOCH_BITS: u32 = 16;
const EPOCH_MAX: u32 = (1 << EPOCH_BITS) - 1;
const REVISION_SHIFT: u32 = EPOCH_SHIFT + EPOCH_BITS;
const _: () = assert!(REVISION_SHIFT + u8::BITS == u128::BITS);

/// Prefixes of the names of streams. No path of a file begins with one.
pub const STREAM_PREFIXES: [&str; 2] = ["push:", "stream:"];

/// Returns whether a source of this name is a stream, not a file.
#[must_use]
pub fn is_stream(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    STREAM_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// A filter of sources by path or name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourcePaths {
    /// All files and streams.
    #[default]
    All,
    /// Only the file or stream with this path or name.
    Only(PathBuf),
    /// All streams ([`is_stream`]).
    Streams,
}

impl SourcePaths {
    /// Returns whether the filter admits this path or name.
    #[must_use]
    pub fn admit(&self, path: &Path) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == path,
            Self::Streams => is_stream(path),
        }
    }
}

/// A filter of records of source files. All conditions must hold; the default admits all.
///
/// ```
/// use bridge_core::{HostName, SessionId};
/// use bridge_storage::{SourceFilter, SourcePage, SourcePaths};
///
/// let filter = SourceFilter::on_host(HostName::new("laptop")?)
///     .of_paths(SourcePaths::default())
///     .of_sessions(vec![SessionId::new("s")?])
///     .page(SourcePage { after: None, records_max: 10_000 });
/// assert!(filter.paths.admit("/home/me/.claude/projects/app/s.jsonl".as_ref()));
/// // The sessions that were forked from one, and those that hit a limit.
/// let forks = SourceFilter::default().forked_from(SessionId::new("s")?);
/// let limited = SourceFilter::default().limited();
/// # assert_ne!(forks, limited);
/// # Ok::<(), bridge_core::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFilter {
    /// Only files on this machine.
    pub host: Option<HostName>,
    /// Only these files or streams.
    pub paths: SourcePaths,
    /// Only records of these sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// Only records of sessions that were forked from this one.
    pub parent: Option<SessionId>,
    /// Only records of sessions that hit a limit.
    pub limited: bool,
    /// Only one page of the records, of which there may be hundreds of thousands.
    pub page: Option<SourcePage>,
}

/// The first records, by path and session, after a certain one. Pages are of one host's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePage {
    /// The path and session of the last record of the previous page; `None` for the first page.
    pub after: Option<(PathBuf, SessionId)>,
    /// The maximum number of records. A page with fewer is the last one.
    pub records_max: usize,
}

impl SourceFilter {
    /// Returns a filter for the files on this machine.
    #[must_use]
    pub fn on_host(host: HostName) -> Self {
        Self { host: Some(host), ..Self::default() }
    }

    /// Returns the filter narrowed to these files or streams.
    #[must_use]
    pub fn of_paths(mut self, paths: SourcePaths) -> Self {
        self.paths = paths;
        self
    }

    /// Returns the filter narrowed to a page of the records.
    #[must_use]
    pub fn page(mut self, page: SourcePage) -> Self {
        self.page = Some(page);
        self
    }

    /// Returns the filter narrowed to sessions that were forked from this one.
    #[must_use]
    pub fn forked_from(mut self, parent: SessionId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Returns the filter narrowed to sessions that hit a limit.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.limited = true;
        self
    }

    /// Returns the filter narrowed to these sessions.
    #[must_use]
    pub fn of_sessions(mut self, sessions: Vec<SessionId>) -> Self {
        self.sessions = Some(sessions);
        self
    }
}
