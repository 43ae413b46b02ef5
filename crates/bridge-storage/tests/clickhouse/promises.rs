//! What every store promises.

use crate::fresh;

bridge_storage::conformance_tests!(fresh);
