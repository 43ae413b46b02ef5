//! Promises of the records of projects.

use std::collections::BTreeMap;

use bridge_core::{AttributionValue, LinkedWorktree, ProjectName, ProjectRecord, ResponseUsage};

use super::{at, host, project, projects, response, session};
use crate::{
    DashboardFilter, Dimension, GroupPage, ResponseFilter, SummaryFilter, TokenStore, UpsertOptions,
};

pub(super) fn name(text: &str) -> ProjectName {
    ProjectName::new(text).expect("a short name")
}

fn value(text: &str) -> AttributionValue {
    AttributionValue::new(text).expect("a short name")
}

pub(super) fn record(of: &str, current: &str, group: Option<&str>) -> ProjectRecord {
    ProjectRecord { current: name(current), group: group.map(value), ..ProjectRecord::new(name(of), at(0)) }
}

pub(super) fn row(key: u128, of: &str, worktree: &str) -> ResponseUsage {
    let mut row = ResponseUsage { session: session("s"), project: project(of), ..response(key, 10) };
    row.attribution.worktree = AttributionValue::new(worktree).ok();
    row
}

async fn put(store: &dyn TokenStore, rows: &[ResponseUsage]) {
    store.upsert(rows, &UpsertOptions::default()).await.unwrap();
}

async fn breakdown(store: &dyn TokenStore, dimension: Dimension) -> BTreeMap<String, u64> {
    let rows = store.breakdown(dimension, &ResponseFilter::default(), None).await.unwrap();
    rows.into_iter().map(|row| (row.name, row.totals.responses)).collect()
}

fn groups<const N: usize>(expected: [(&str, u64); N]) -> BTreeMap<String, u64> {
    expected.into_iter().map(|(name, responses)| (name.to_owned(), responses)).collect()
}

/// The later of two records of a name stays, whichever was stored first; other projects count for themselves.
pub async fn the_latest_record_of_a_project_stays(store: &dyn TokenStore) {
    let (records, all) = (projects(store), ResponseFilter::default());
    let of_host = all.clone().with_values(Dimension::Host, ["there"]);
    assert_eq!(records.project_records().await.unwrap(), []);
    assert_eq!(records.recorded_projects(&all).await.unwrap(), []);
    let there = ResponseUsage { host: Some(host("there")), ..row(3, "/other", "") };
    put(store, &[row(1, "/old", ""), row(2, "/new", ""), there]).await;
    assert_eq!(records.recorded_projects(&of_host).await.unwrap(), ["/other"].map(name));
    assert_eq!(records.recorded_projects(&all).await.unwrap(), ["/new", "/old", "/other"].map(name));
    let late = ProjectRecord { recorded_at: at(2), ..record("/old", "/new", Some("web")) };
    let early = ProjectRecord { recorded_at: at(1), ..record("/old", "/other", None) };
    records.put_project_records(&[]).await.unwrap();
    records.put_project_records(std::slice::from_ref(&late)).await.unwrap();
    records.put_project_records(&[early, record("/new", "/new", Some("web"))]).await.unwrap();
    let stored = records.project_records().await.unwrap();
    assert_eq!(stored, [record("/new", "/new", Some("web")), late]);
    assert_eq!(breakdown(store, Dimension::Project).await, groups([("/new", 2), ("/other", 1)]));
    assert_eq!(breakdown(store, Dimension::ProjectGroup).await, groups([("web", 2), ("", 1)]));
    // What responses name does not change.
    assert_eq!(records.recorded_projects(&all).await.unwrap(), ["/new", "/old", "/other"].map(name));
    let stored = store.responses(&ResponseFilter::default()).await.unwrap();
    let named: Vec<_> = stored.into_iter().filter_map(|row| row.project).collect();
    assert_eq!(named, ["/old", "/new", "/other"].map(name));
}

/// Breakdowns, filters, dashboards and summaries agree on the project, the group and the worktree.
pub async fn records_of_projects_apply_wherever_responses_are_read(store: &dyn TokenStore) {
    let rows = [row(1, "/app", ""), row(2, "/app-fix", ""), row(3, "/app-fix", "own"), row(4, "/it's", "")];
    put(store, &rows).await;
    let unnamed = ResponseUsage { project: None, ..response(5, 10) };
    put(store, &[unnamed]).await;
    let worktree = LinkedWorktree { repository: name("/app"), name: value("fix") };
    let linked = ProjectRecord { worktree: Some(worktree), ..record("/app-fix", "/app", Some("web")) };
    let quoted = record("/it's", "/it\\s", Some("a, b'"));
    projects(store).put_project_records(&[linked, quoted]).await.unwrap();

    let expected = [
        (Dimension::Project, groups([("/app", 3), ("/it\\s", 1), ("", 1)])),
        (Dimension::ProjectGroup, groups([("web", 2), ("a, b'", 1), ("", 2)])),
        (Dimension::Worktree, groups([("fix", 1), ("own", 1), ("", 3)])),
    ];
    let filter = expected.iter().fold(DashboardFilter::default(), |filter, (dimension, _)| {
        filter.with_breakdown(dimension.clone(), GroupPage::top(10))
    });
    let data = store.dashboard(&filter).await.unwrap();
    for (dimension, expected) in expected {
        assert_eq!(breakdown(store, dimension.clone()).await, expected, "{dimension}");
        let listed = data.breakdowns[&dimension].rows.iter();
        let listed: BTreeMap<_, _> = listed.map(|row| (row.name.clone(), row.sums.responses)).collect();
        assert_eq!(listed, expected, "{dimension}");
        for (value, responses) in expected {
            let only = ResponseFilter::default().with_values(dimension.clone(), [&value]);
            assert_eq!(store.totals(&only).await.unwrap().responses, responses, "{dimension} {value}");
            let others = ResponseFilter::default().without_values(dimension.clone(), [&value]);
            assert_eq!(store.totals(&others).await.unwrap().responses, 5 - responses, "{dimension} {value}");
        }
    }

    let summaries = store.summaries(&SummaryFilter::default().with_metadata(true)).await.unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].projects, ["/app", "/it\\s"].map(name));
    let attribution = &summaries[0].metadata.as_ref().unwrap().attribution;
    assert_eq!(attribution["project_group"], ["a, b'", "web"]);
    assert_eq!(attribution["worktree"], ["fix", "own"]);
}
