//! What every store promises.

use crate::{fresh, other};

bridge_storage::conformance_tests!(fresh: audit, checkpoints, integrity, probes; backup into other);

/// The same where the tables share a database with others: no statement misses the prefix.
mod under_a_prefix {
    use crate::{fresh_with_prefix, other_with_prefix};

    bridge_storage::conformance_tests!(
        fresh_with_prefix: audit, checkpoints, integrity, probes; backup into other_with_prefix
    );
}
