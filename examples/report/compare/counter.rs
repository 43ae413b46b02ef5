//! The other counters, and what they read.

use std::fmt;

/// A counter whose figures are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// <https://github.com/ccusage/ccusage>, version 20: `ccusage claude daily --json`
    Ccusage,
    /// <https://github.com/junhoyeo/tokscale>, version 4: `tokscale --json`
    Tokscale,
}

/// What a counter does otherwise than this project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Reads `data.message` of `progress` records.
    pub(crate) reads_progress: bool,
    /// Skips lines for the reasons of [`Skip`](super::skip::Skip).
    pub(crate) skips_lines: bool,
    /// Takes a record of the main chain before one of a sidechain, whatever their counters.
    pub(crate) prefers_main_chain: bool,
    /// Counts the advisor's iterations.
    pub(crate) reads_advisors: bool,
}

impl Counter {
    pub(crate) fn rules(self) -> Rules {
        match self {
            Self::Ccusage => Rules {
                reads_progress: true,
                skips_lines: true,
                prefers_main_chain: true,
                reads_advisors: true,
            },
            Self::Tokscale => Rules {
                reads_progress: false,
                skips_lines: false,
                prefers_main_chain: false,
                reads_advisors: false,
            },
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ccusage => "ccusage",
            Self::Tokscale => "tokscale",
        })
    }
}
