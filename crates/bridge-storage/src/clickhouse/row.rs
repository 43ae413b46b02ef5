//! Rows of tables, each defined once.
//!
//! To add a column: add the field to the record, a line to the table's [`table_row!`], and a migration.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::clickhouse::types::UInt256;
use bridge_core::{
    ActiveTime, Actor, AgentId, AnalysisNote, AttributionValue, AuditId, AuditOutcome, ContentCategories,
    ContentCategory, CorrelationId, Epoch, HostName, Labels, LimitEvent, LimitKind, ModelName, OperationName,
    Origin, ProjectName, RequestId, ResponseKey, ResponseVersion, RuleRevision, ServiceTier, SessionId,
    Timestamp, ToolCalls, ToolName,
};
use xxhash_rust::xxh3::xxh3_64;

use super::usage::native::{NativeColumn, NativeValue};

/// The form of a record's field in a column.
pub(crate) trait ColumnValue: Sized {
    /// The form in which the client reads and writes it.
    type Stored;

    fn store(&self) -> Self::Stored;

    /// # Errors
    ///
    /// The bridge did not write it.
    fn load(stored: Self::Stored) -> Result<Self, Box<dyn Error + Send + Sync>>;
}

/// Defines the row of a table: each column with its type and the field of the record that it holds.
///
/// `new` lists the columns that the record's constructor takes, `extra` those that no field holds. A row that is
/// `written natively` has a second type, which is written column by column.
macro_rules! table_row {
    (
        $(#[$doc:meta])*
        row $row:ident of $record:ident, columns $columns:ident;
        new($first:ident: $first_type:ty = $($first_field:ident).+,
            $($key:ident: $key_type:ty = $($key_field:ident).+,)*)
        fields { $($column:ident: $type:ty = $($field:ident).+,)+ }
        extra { $($extra:ident: $extra_type:ty,)* }
        $(written natively as $written:ident)?
    ) => {
        /// The columns of the row, as a list.
        pub(crate) const $columns: &str = concat!(
            stringify!($first) $(, ", ", stringify!($key))* $(, ", ", stringify!($column))+
            $(, ", ", stringify!($extra))*
        );

        $(#[$doc])*
        #[derive(Debug, ::clickhouse::Row, serde::Serialize, serde::Deserialize)]
        #[allow(dead_code, reason = "readers do not use every column")]
        pub(crate) struct $row {
            $first: <$first_type as $crate::clickhouse::row::ColumnValue>::Stored,
            $($key: <$key_type as $crate::clickhouse::row::ColumnValue>::Stored,)*
            $($column: <$type as $crate::clickhouse::row::ColumnValue>::Stored,)+
            $($extra: <$extra_type as $crate::clickhouse::row::ColumnValue>::Stored,)*
        }

        impl $row {
            /// Returns the record of this row, or the first unreadable column and the reason.
            fn into_record(self) -> Result<$record, String> {
                fn load<T: $crate::clickhouse::row::ColumnValue>(
                    column: &str,
                    stored: T::Stored,
                ) -> Result<T, String> {
                    T::load(stored).map_err(|error| format!("{column}: {error}"))
                }
                let mut record = $record::new(
                    load::<$first_type>(stringify!($first), self.$first)?,
                    $(load::<$key_type>(stringify!($key), self.$key)?,)*
                );
                $(record.$($field).+ = load::<$type>(stringify!($column), self.$column)?;)+
                Ok(record)
            }
        }

        $crate::clickhouse::row::written! {
            $($written)? $row $record [
                $first: $first_type = $($first_field).+, $($key: $key_type = $($key_field).+,)*
                $($column: $type = $($field).+,)+
            ] [$($extra: $extra_type,)*]
        }
    };
}

/// The written form of a row: `store` of the row itself, or a type of its own that is written natively.
macro_rules! written {
    ($row:ident $record:ident [$($column:ident: $type:ty = $($field:ident).+,)+] [$($extra:ident: $extra_type:ty,)*]) => {
        impl $row {
            pub(crate) fn store(record: &$record $(, $extra: $extra_type)*) -> Self {
                use $crate::clickhouse::row::ColumnValue;
                Self {
                    $($column: record.$($field).+.store(),)+
                    $($extra: $extra.store(),)*
                }
            }
        }
    };
    ($written:ident $row:ident $record:ident [$($column:ident: $type:ty = $($field:ident).+,)+] [$($extra:ident: $extra_type:ty,)*]) => {
        /// The written row, without what the database adds.
        #[derive(Debug)]
        pub(crate) struct $written<'a> {
            pub(crate) record: &'a $record,
            $(pub(crate) $extra: $extra_type,)*
        }

        impl $crate::clickhouse::usage::native::NativeRow for $written<'_> {
            const COLUMNS: &'static [(&'static str, &'static str)] = &[
                $((stringify!($column), <$type as $crate::clickhouse::usage::native::NativeValue>::TYPE),)+
                $((stringify!($extra), <$extra_type as $crate::clickhouse::usage::native::NativeValue>::TYPE),)*
            ];

            fn put(&self, columns: &mut [$crate::clickhouse::usage::native::NativeColumn]) {
                use $crate::clickhouse::usage::native::NativeValue;
                let mut columns = columns.iter_mut();
                let mut column = || columns.next().expect("a column for each value");
                $(self.record.$($field).+.put(column());)+
                $(self.$extra.put(column());)*
            }
        }
    };
}

pub(crate) use {table_row, written};

type Unreadable = Box<dyn Error + Send + Sync>;

/// Conversions of values to and from one form.
macro_rules! values {
    ($($(#[$doc:meta])* $type:ty: $stored:ty { $value:ident => $store:expr, $from:ident => $load:expr $(,)? })+) => { $(
        impl ColumnValue for $type {
            $(#[$doc])*
            type Stored = $stored;

            fn store(&self) -> $stored {
                let $value = self;
                $store
            }

            fn load($from: $stored) -> Result<Self, Unreadable> {
                $load
            }
        }
    )+ };
}

values! {
    bool: bool { value => *value, stored => Ok(stored) }
    u8: u8 { value => *value, stored => Ok(stored) }
    u32: u32 { value => *value, stored => Ok(stored) }
    u64: u64 { value => *value, stored => Ok(stored) }
    Option<u64>: Option<u64> { value => *value, stored => Ok(stored) }
    u128: u128 { value => *value, stored => Ok(stored) }
    String: String { value => value.clone(), stored => Ok(stored) }

    /// Milliseconds since 1970.
    Timestamp: i64 { time => time.as_millis(), millis => Ok(Self::from_millis(millis)?) }
    Option<Timestamp>: Option<i64> {
        time => time.map(Timestamp::as_millis),
        millis => Ok(millis.map(Timestamp::from_millis).transpose()?),
    }
    /// Microseconds.
    Duration: u64 {
        time => u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
        micros => Ok(Self::from_micros(micros)),
    }
    ResponseVersion: UInt256 {
        version => UInt256::from_le_bytes(version.to_le_bytes()),
        stored => Ok(Self::from_le_bytes(stored.to_le_bytes())),
    }
    AuditOutcome: String {
        outcome => outcome.name().to_owned(),
        name => Self::ALL
            .into_iter()
            .find(|outcome| outcome.name() == name)
            .ok_or_else(|| format!("there is no outcome {name:?}").into()),
    }
    CorrelationId: String { id => id.to_string(), stored => Ok(stored.parse()?) }
    Option<AnalysisNote>: String {
        note => note.as_ref().map(|note| note.as_str().to_owned()).unwrap_or_default(),
        text => Ok(Some(text).filter(|text| !text.is_empty()).map(AnalysisNote::from_stored)),
    }
    PathBuf: String { path => stored_path(path), stored => Ok(stored.into()) }
    ContentCategories: HashMap<String, u64> {
        categories => categories.iter().map(|(category, tokens)| (category.to_string(), *tokens)).collect(),
        stored => Ok(known_categories(stored)),
    }
    Labels: HashMap<String, String> {
        labels => labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        stored => Ok(Self::new(stored)?),
    }
    /// Calls of tools without a kept name are under an empty one.
    ToolCalls: Vec<(String, u64)> {
        calls => {
            let named = calls.by_name().map(|(name, calls)| (name.to_string(), calls));
            named.chain((calls.other() > 0).then(|| (String::new(), calls.other()))).collect()
        },
        stored => {
            let mut calls = Self::default();
            for (name, number) in stored {
                calls.add(ToolName::new(name).ok(), number);
            }
            Ok(calls)
        },
    }
    /// Time, kind and end of each limit.
    BTreeSet<LimitEvent>: Vec<(i64, String, Option<i64>)> {
        limits => {
            let stored = |limit: &LimitEvent| {
                let resets_at = limit.resets_at.map(Timestamp::as_millis);
                (limit.time.as_millis(), limit.kind.to_string(), resets_at)
            };
            limits.iter().map(stored).collect()
        },
        stored => stored.into_iter().map(|(time, kind, resets_at)| Ok(LimitEvent {
            time: Timestamp::from_millis(time)?,
            kind: LimitKind::new(kind)?,
            resets_at: resets_at.map(Timestamp::from_millis).transpose()?,
        })).collect(),
    }
    /// Start and end of each run of steps.
    ActiveTime: Vec<(u32, u32)> {
        active => active.runs().to_vec(),
        stored => Ok(Self::of_runs(stored)),
    }
    BTreeMap<String, u64>: Vec<(String, u64)> {
        map => map.iter().map(|(name, number)| (name.clone(), *number)).collect(),
        stored => Ok(stored.into_iter().collect()),
    }
}

/// Numbers with their own types.
macro_rules! numbers {
    ($($type:ident: $number:ty),+) => { $(
        impl ColumnValue for $type {
            type Stored = $number;

            fn store(&self) -> $number {
                self.0
            }

            fn load(stored: $number) -> Result<Self, Unreadable> {
                Ok(Self(stored))
            }
        }

        impl NativeValue for $type {
            const TYPE: &'static str = <$number>::TYPE;

            fn put(&self, column: &mut NativeColumn) {
                self.0.put(column);
            }
        }
    )+ };
}

numbers!(ResponseKey: u128, AuditId: u128, RuleRevision: u8, Epoch: u32);

/// Names. An absent one is stored as an empty text.
macro_rules! names {
    ($($type:ident),+) => { $(
        impl ColumnValue for $type {
            type Stored = String;

            fn store(&self) -> String {
                self.as_str().to_owned()
            }

            fn load(stored: String) -> Result<Self, Unreadable> {
                Ok(Self::new(stored)?)
            }
        }

        impl NativeValue for $type {
            const TYPE: &'static str = <&str>::TYPE;

            fn put(&self, column: &mut NativeColumn) {
                self.as_str().put(column);
            }
        }

        impl ColumnValue for Option<$type> {
            type Stored = String;

            fn store(&self) -> String {
                self.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default()
            }

            fn load(stored: String) -> Result<Self, Unreadable> {
                if stored.is_empty() { Ok(None) } else { Ok(Some($type::new(stored)?)) }
            }
        }

        impl NativeValue for Option<$type> {
            const TYPE: &'static str = <&str>::TYPE;

            fn put(&self, column: &mut NativeColumn) {
                self.as_ref().map_or("", |name| name.as_str()).put(column);
            }
        }
    )+ };
}

names!(
    Actor,
    AgentId,
    AttributionValue,
    HostName,
    ModelName,
    OperationName,
    ProjectName,
    RequestId,
    ServiceTier,
    SessionId
);

impl NativeValue for Labels {
    const TYPE: &'static str = "Map(String, String)";

    fn put(&self, column: &mut NativeColumn) {
        column.put_map(self.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
}

impl NativeValue for Timestamp {
    const TYPE: &'static str = "DateTime64(3, 'UTC')";

    fn put(&self, column: &mut NativeColumn) {
        column.values.extend_from_slice(&self.as_millis().to_le_bytes());
    }
}

impl NativeValue for ResponseVersion {
    const TYPE: &'static str = UInt256::TYPE;

    fn put(&self, column: &mut NativeColumn) {
        self.store().put(column);
    }
}

/// The origins with the numbers of their `Enum8`.
macro_rules! origins {
    ($($origin:ident = $number:literal,)+) => {
        impl ColumnValue for Origin {
            type Stored = i8;

            fn store(&self) -> i8 {
                match self {
                    $(Self::$origin => $number,)+
                }
            }

            fn load(stored: i8) -> Result<Self, Unreadable> {
                match stored {
                    $($number => Ok(Self::$origin),)+
                    other => Err(format!("no origin has number {other}").into()),
                }
            }
        }
    };
}

origins! {
    Assistant = 0,
    Nested = 1,
    Iterations = 2,
    Advisor = 3,
    Summed = 4,
    Compaction = 5,
    Declined = 6,
    Other = 7,
    Covered = 8,
    Analysis = 9,
}

impl NativeValue for Origin {
    // The database converts it to the `Enum8` with these numbers.
    const TYPE: &'static str = i8::TYPE;

    fn put(&self, column: &mut NativeColumn) {
        self.store().put(column);
    }
}

impl NativeValue for Option<AnalysisNote> {
    const TYPE: &'static str = <&str>::TYPE;

    fn put(&self, column: &mut NativeColumn) {
        self.as_ref().map_or("", AnalysisNote::as_str).put(column);
    }
}

/// Returns the stored form of a path. One that is not UTF-8 gets a mark, so that different paths stay different.
pub(crate) fn stored_path(path: &Path) -> String {
    match path.to_str() {
        Some(path) => path.to_owned(),
        None => format!("{}#{:016x}", path.to_string_lossy(), xxh3_64(path.as_os_str().as_encoded_bytes())),
    }
}

/// Returns the categories that this version knows. A newer one may have written others.
pub(crate) fn known_categories(stored: HashMap<String, u64>) -> ContentCategories {
    let known = |(name, tokens): (String, u64)| Some((ContentCategory::from_name(&name)?, tokens));
    stored.into_iter().filter_map(known).collect()
}
