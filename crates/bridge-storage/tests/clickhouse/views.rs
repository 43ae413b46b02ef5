//! The views for SQL of one's own and for tools such as Grafana.

use bridge_core::{AttributionValue, ProjectRecord, ResponseUsage, Timestamp};
use bridge_storage::{Dimension, ResponseFilter, StoreCapabilities, TokenStore, UpsertOptions};
use bridge_testkit::engine::TestDatabase;

use crate::{client, fresh, fresh_with_prefix, response};

fn attributed(key: u128, branch: &str) -> ResponseUsage {
    let mut row = response(key, 10);
    row.attribution.branch = AttributionValue::new(branch).ok();
    row
}

/// A row for each response that counts, though the table holds replaced versions, markers and notes, too.
#[tokio::test]
async fn a_view_has_one_row_for_each_response_that_counts() {
    let store = fresh().await;
    for rows in [[attributed(1, "old"), attributed(2, "b")], [attributed(1, "a"), attributed(3, "b")]] {
        store.upsert(&rows, &UpsertOptions::default().forced()).await.unwrap();
    }
    let database = client(&TestDatabase::of_this_test());
    let query = "SELECT toString(branch), sum(total_tokens), count() FROM counted_responses GROUP BY branch ORDER BY branch";
    let rows: Vec<(String, u64, u64)> = database.query(query).fetch_all().await.unwrap();
    assert_eq!(rows, [("a".to_owned(), 10, 1), ("b".to_owned(), 20, 2)]);
    let totals = store.totals(&ResponseFilter::default()).await.unwrap();
    assert_eq!((totals.responses, totals.counts.output), (3, 30));
    let query = "SELECT response FROM counted_responses WHERE branch = 'a'";
    assert_eq!(database.query(query).fetch_one::<String>().await.unwrap(), format!("{:032x}", 1));
}

/// The view of costs has the project that a response counts for beside the recorded one.
#[tokio::test]
async fn costs_are_of_the_project_that_a_response_counts_for() {
    let store = fresh_with_prefix().await;
    let of = |key, project: &str| ResponseUsage { project: project.parse().ok(), ..response(key, 10) };
    store.upsert(&[of(1, "old"), of(2, "new"), response(3, 10)], &UpsertOptions::default()).await.unwrap();
    let projects = async || {
        let query = "SELECT toString(project), toString(current_project) FROM etb_token_costs ORDER BY key";
        let database = client(&TestDatabase::of_this_test());
        database.query(query).fetch_all::<(String, String)>().await.unwrap()
    };
    let pairs = |all: [(&str, &str); 3]| all.map(|(name, current)| (name.to_owned(), current.to_owned()));
    assert_eq!(projects().await, pairs([("old", "old"), ("new", "new"), ("", "")]));
    let old = ProjectRecord::new("old".parse().unwrap(), Timestamp::MIN);
    let old = ProjectRecord { current: "new".parse().unwrap(), ..old };
    store.projects().unwrap().put_project_records(&[old]).await.unwrap();
    assert_eq!(projects().await, pairs([("old", "new"), ("new", "new"), ("", "")]));
}

/// Who knows a dimension's name knows the column's. A day is that of `time`.
#[tokio::test]
async fn a_view_has_a_column_for_each_dimension() {
    let _store = fresh_with_prefix().await;
    let database = client(&TestDatabase::of_this_test());
    let query = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'etb_counted_responses'";
    let columns: Vec<String> = database.query(query).fetch_all().await.unwrap();
    for dimension in Dimension::ALL.iter().filter(|dimension| **dimension != Dimension::Day) {
        let column = match dimension {
            Dimension::Session => "session_id".to_owned(),
            _ => dimension.to_string(),
        };
        assert!(columns.contains(&column), "{column} is not among {columns:?}");
    }
    for hidden in ["analysis", "version", "run_id", "epoch"] {
        assert!(!columns.contains(&hidden.to_owned()), "{hidden}");
    }
}
