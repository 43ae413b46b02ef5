//! The columns of the report.

use bridge::{TokenCounts, UsageSums};

/// A column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Responses,
    Input,
    Output,
    CacheCreation,
    CacheRead,
    Total,
}

impl Column {
    /// All columns, in the order of the output.
    pub(crate) const ALL: [Self; 6] =
        [Self::Responses, Self::Input, Self::Output, Self::CacheCreation, Self::CacheRead, Self::Total];

    /// Those that a narrow terminal goes without, the first one first.
    pub(crate) const DISPENSABLE: [Self; 5] =
        [Self::Input, Self::Responses, Self::CacheCreation, Self::CacheRead, Self::Output];

    /// Returns the name for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheCreation => "cache creation",
            Self::CacheRead => "cache read",
            Self::Total => "total tokens",
        }
    }

    /// Returns the name for programs.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::CacheCreation => "cache_creation_tokens",
            Self::CacheRead => "cache_read_tokens",
            Self::Total => "total_tokens",
        }
    }

    /// Returns the number.
    pub(crate) fn value(self, sums: &UsageSums) -> u64 {
        let TokenCounts { input, output, cache_creation, cache_read } = sums.counts;
        match self {
            Self::Responses => sums.responses,
            Self::Input => input,
            Self::Output => output,
            Self::CacheCreation => cache_creation,
            Self::CacheRead => cache_read,
            Self::Total => sums.counts.total(),
        }
    }
}
