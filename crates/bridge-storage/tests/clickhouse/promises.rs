//! The conformance suite for the ClickHouse store.

use crate::{fresh, other};

bridge_storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects; backup into other);

/// The same suite with a table prefix: no statement omits it.
mod under_a_prefix {
    use crate::{fresh_with_prefix, other_with_prefix};

    bridge_storage::conformance_tests!(
        fresh_with_prefix: audit, checkpoints, hosts, integrity, prices, probes, projects; backup into other_with_prefix
    );
}
