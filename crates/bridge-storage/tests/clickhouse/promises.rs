//! What every store promises.

use crate::fresh;

bridge_storage::conformance_tests!(fresh);

/// The same where the tables share a database with others: no statement misses the prefix.
mod under_a_prefix {
    use crate::fresh_with_prefix;

    bridge_storage::conformance_tests!(fresh_with_prefix);
}
