//! The promises of [`TokenStore`], as checks that every implementation and decorator can be held to.
//!
//! Each check takes a store that is empty and migrated, and panics where a promise is broken. The macro
//! [`conformance_tests!`](crate::conformance_tests) makes a test of each (it needs `tokio` with `macros` and `rt`):
//!
//! ```
//! use bridge_storage::InMemoryStore;
//!
//! async fn fresh() -> InMemoryStore {
//!     InMemoryStore::default()
//! }
//!
//! bridge_storage::conformance_tests!(fresh: audit, checkpoints, hosts, integrity, prices, probes, projects);
//! ```

#![allow(clippy::unwrap_used, reason = "a check panics where a promise is broken")]

mod activity;
mod audit;
mod backup;
mod checkpoints;
#[cfg(feature = "clickhouse")]
mod cluster;
mod cover;
mod dashboard;
mod extremes;
mod hosts;
mod integrity;
mod prices;
mod probes;
mod projects;
mod reading;
mod sequences;
mod sources;
mod sums;
mod writing;

use std::pin::Pin;

use bridge_core::strategy::response_usage;
use bridge_core::{
    AnalysisId, EnhancedTokenAnalysis, HostName, ProjectName, ResponseKey, ResponseUsage, SessionId,
    Timestamp, TokenCounts,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{
    AuditStore, BackupStore, CheckpointStore, HealthProbes, HostStore, IntegrityStore, PriceStore,
    ProjectStore, StoredResponse, StoredScope, TokenStore,
};

pub use activity::*;
pub use audit::*;
pub use backup::*;
pub use checkpoints::*;
#[cfg(feature = "clickhouse")]
pub use cluster::cluster_statements;
pub use cover::*;
pub use dashboard::*;
pub use extremes::*;
pub use hosts::*;
pub use integrity::*;
pub use prices::*;
pub use probes::*;
pub use projects::*;
pub use reading::*;
pub use sequences::*;
pub use sources::*;
pub use sums::*;
pub use writing::*;

/// Makes a test of every check. Takes the name of an `async fn` that returns an empty, migrated store, and the
/// capabilities that the store offers: `audit`, `checkpoints`, `hosts`, `integrity`, `prices`, `probes` and
/// `projects`. Backups need an `async fn` of another such store besides: `; backup into other`.
#[macro_export]
macro_rules! conformance_tests {
    ($fresh:path $(: $($capability:ident),+)? $(; backup into $other:path)?) => {
        $crate::conformance_tests! { @core @each $fresh; }
        $($($crate::conformance_tests! { @$capability @each $fresh; })+)?
        $($crate::conformance_tests! { @backup @pairs $fresh, $other; })?

        #[tokio::test]
        async fn exactly_the_tested_capabilities_are_offered() {
            let tested = [$($(stringify!($capability),)+)? $({ let _ = $other; "backup" },)?];
            $crate::conformance::assert_offers(&$fresh().await, &tested);
        }
    };
    (@core $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            a_new_store_is_empty
            migrating_again_changes_nothing
            outcomes_say_what_was_done
            replaced_rows_come_back_if_asked_for
            superseded_keys_are_covered
            the_store_is_the_join_of_what_was_stored
            force_lowers_a_total_until_a_greater_snapshot_comes
            writers_at_once_end_in_the_same_store
            many_rows_are_stored_in_one_call
            whatever_a_name_holds_comes_back
            large_counters_are_summed_exactly
            sums_end_at_the_greatest_number
            sums_of_any_counters_are_the_models
            a_time_filter_never_brings_back_a_replaced_row
            breakdowns_are_ordered_and_limited
            filters_without_sessions_admit_nothing
            the_latest_record_of_a_source_stays
            records_of_sources_come_back
            streams_are_told_from_files
            summaries_join_responses_and_sources
            activity_counts_each_file_once
            forks_and_limits_are_found
            pages_of_summaries_add_up_to_the_list
            sums_of_a_session_are_one_row_of_the_newest_analysis
            responses_alone_count_whichever_came_first
            a_marker_tells_what_it_covered
            sums_that_race_with_responses_count_nothing
            what_an_analysis_says_comes_back
            any_sequence_gives_what_the_model_gives
            an_empty_store_has_an_empty_dashboard
            breakdowns_of_a_dashboard_are_sorted_and_paged
            steps_of_a_trend_begin_inside
            times_at_the_ends_of_types_are_kept_as_they_are
            the_receipt_of_a_store_adds_up
            any_dashboard_is_what_the_model_gives
            one_answer_is_consistent_while_writers_write
        }
    };
    (@audit $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            audit_records_come_back_newest_first
            an_audit_record_that_is_written_again_stays_one
            audit_pages_add_up_to_the_list
            audit_filters_admit_what_they_name
            an_audit_record_that_is_written_anew_is_replaced
        }
    };
    (@checkpoints $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            totals_of_a_checkpoint_end_at_the_greatest_number
            a_rollback_brings_back_the_exact_state
            a_store_that_was_rolled_back_takes_nothing_until_it_is_resumed
            what_began_before_a_rollback_is_refused_for_ever
            what_a_rollback_took_is_stored_again
            a_rollback_can_be_rolled_back
            checkpoints_are_listed_and_dropped
            a_name_that_cannot_be_used_changes_nothing
            similar_names_are_different_checkpoints
            a_comparison_says_what_a_rollback_would_change
            any_sequence_of_rollbacks_gives_what_the_model_gives
        }
    };
    (@hosts $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            the_digest_of_sources_is_that_of_their_records
            the_activity_of_hosts_is_the_latest
        }
    };
    (@integrity $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            stored_rows_come_with_versions_that_vouch_for_them
            exactly_the_named_versions_are_removed
            what_has_no_retention_keeps_everything
        }
    };
    (@prices $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            the_list_put_in_use_last_prices_everything
            a_list_is_in_use_whatever_the_clock_of_its_host_says
            whatever_has_no_price_is_listed
            prices_change_on_any_number_of_dates
            summaries_have_the_costs_of_their_responses
            any_cost_is_what_the_model_gives
            costs_end_at_the_greatest_amount
        }
    };
    (@probes $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            health_probes_are_read_only
            the_newest_source_is_of_its_machine
        }
    };
    (@projects $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            the_latest_record_of_a_project_stays
            records_of_projects_apply_wherever_responses_are_read
        }
    };
    (@backup $($before:tt)*) => {
        $crate::conformance_tests! { $($before)*
            a_backup_brings_the_same_store_back
            a_backup_is_joined_into_a_filled_store
            an_empty_store_has_an_empty_backup
            cursors_that_a_rollback_took_back_stay_so
            a_backup_of_the_server_is_whole_or_refused
            sums_of_an_older_version_are_taken_in_as_one_row
            an_import_gives_the_same_costs_and_projects
            the_later_price_list_and_record_of_a_project_stay
            a_backup_without_price_lists_and_projects_changes_neither
        }
    };
    (@each $fresh:path; $($check:ident)*) => { $(
        #[tokio::test]
        async fn $check() {
            $crate::conformance::$check(&$fresh().await).await;
        }
    )* };
    (@pairs $fresh:path, $other:path; $($check:ident)*) => { $(
        #[tokio::test]
        async fn $check() {
            $crate::conformance::$check(&$fresh().await, &$other().await).await;
        }
    )* };
    (@list $($check:ident)*) => {
        &[$((stringify!($check), |store| Box::pin($check(store)))),*]
    };
}

/// A check of the suite: it panics where the store breaks a promise.
pub type Check = for<'a> fn(&'a dyn TokenStore) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// All checks of one store with their names, by capability, for a harness other than
/// [`conformance_tests!`](crate::conformance_tests).
pub const CHECKS: [(&str, &[(&str, Check)]); 8] = [
    ("core", crate::conformance_tests!(@core @list)),
    ("audit", crate::conformance_tests!(@audit @list)),
    ("checkpoints", crate::conformance_tests!(@checkpoints @list)),
    ("hosts", crate::conformance_tests!(@hosts @list)),
    ("integrity", crate::conformance_tests!(@integrity @list)),
    ("prices", crate::conformance_tests!(@prices @list)),
    ("probes", crate::conformance_tests!(@probes @list)),
    ("projects", crate::conformance_tests!(@projects @list)),
];

/// Panics unless the store offers these capabilities and no other.
pub fn assert_offers(store: &dyn TokenStore, capabilities: &[&str]) {
    let offered = [
        ("audit", store.audit().is_some()),
        ("backup", store.backup().is_some()),
        ("checkpoints", store.checkpoints().is_some()),
        ("hosts", store.hosts().is_some()),
        ("integrity", store.integrity().is_some()),
        ("prices", store.prices().is_some()),
        ("probes", store.probes().is_some()),
        ("projects", store.projects().is_some()),
    ];
    for (name, is_offered) in offered {
        assert_eq!(is_offered, capabilities.contains(&name), "{name}");
    }
}

fn audit(store: &dyn TokenStore) -> &dyn AuditStore {
    store.audit().expect("the store has an audit")
}

fn backup(store: &dyn TokenStore) -> &dyn BackupStore {
    store.backup().expect("the store has backups")
}

fn checkpoints(store: &dyn TokenStore) -> &dyn CheckpointStore {
    store.checkpoints().expect("the store has checkpoints")
}

fn hosts(store: &dyn TokenStore) -> &dyn HostStore {
    store.hosts().expect("the store summarizes hosts")
}

fn integrity(store: &dyn TokenStore) -> &dyn IntegrityStore {
    store.integrity().expect("the store shows stored versions")
}

fn prices(store: &dyn TokenStore) -> &dyn PriceStore {
    store.prices().expect("the store has price lists")
}

fn probes(store: &dyn TokenStore) -> &dyn HealthProbes {
    store.probes().expect("the store has probes")
}

fn projects(store: &dyn TokenStore) -> &dyn ProjectStore {
    store.projects().expect("the store has records of projects")
}

/// All rows as they are stored; `None` where the store does not show them.
async fn all_stored(store: &dyn TokenStore) -> Option<Vec<StoredResponse>> {
    match store.integrity() {
        Some(integrity) => Some(integrity.stored(&StoredScope::all()).await.unwrap()),
        None => None,
    }
}

/// The same rows for the same seed.
struct Rows(TestRunner);

impl Rows {
    fn new(seed: u8) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.0).expect("the strategies reject nothing").current()
    }

    /// Responses, sums of sessions, and what analyses say besides.
    fn mixed(&mut self, number: usize) -> Vec<ResponseUsage> {
        (0..number)
            .map(|_| {
                let row = self.draw(&response_usage());
                match self.draw(&(0..8)) {
                    0 | 1 => analysis_of(&row).rows().remove(0),
                    2 => analysis_of(&row).note(),
                    _ => row,
                }
            })
            .collect()
    }

    fn rows(&mut self, number: usize) -> Vec<ResponseUsage> {
        (0..number).map(|_| self.draw(&response_usage())).collect()
    }
}

/// An analysis of the row's session that knows its counters only.
fn analysis_of(row: &ResponseUsage) -> EnhancedTokenAnalysis {
    let id = AnalysisId::new(row.key.to_string()).expect("32 characters are an id");
    let sums = vec![row.clone()];
    let mut analysis = EnhancedTokenAnalysis::from_responses(id, row.session.clone(), row.time, sums)
        .expect("the counters of one response can be summed");
    analysis.responses.clear();
    analysis
}

fn session(name: &str) -> SessionId {
    SessionId::new(name).expect("a short name")
}

fn project(name: &str) -> Option<ProjectName> {
    Some(ProjectName::new(name).expect("a short name"))
}

fn host(name: &str) -> HostName {
    HostName::new(name).expect("a short name")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_750_000_000_000 + millis).expect("a time in range")
}

/// A finished response of session `s` with this many output tokens.
fn response(key: u128, output: u64) -> ResponseUsage {
    let mut row = ResponseUsage::new(ResponseKey(key), session("s"), at(0));
    row.counts = TokenCounts { output, ..TokenCounts::ZERO };
    row.finished = true;
    row
}
