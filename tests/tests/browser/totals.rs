//! The totals on the page are those of the database and of the analyzer.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::storage::{ClickHouseOptions, ClickHouseStore, TokenStore};
use bridge::{BackfillOptions, Clock, DashboardQuery, EnhancedTokenDatabaseBridge, SystemClock, TimeRange};
use bridge_testkit::browser::Theme;
use bridge_testkit::engine::TestDatabase;
use bridge_testkit::fixtures::line_at;
use tempfile::TempDir;

use super::{Service, assert_content, browser};

const WIDTHS: [u32; 3] = [390, 1280, 3840];
/// As many sessions as the page has to show, and more than it lists.
const MANY: u64 = 100_000;

#[test]
fn the_total_is_that_of_the_database_and_of_the_analyzer() {
    for sessions in [0, 10, MANY] {
        let (_profile, mut browser) = browser();
        let transcripts = TempDir::new().unwrap();
        write_sessions(transcripts.path(), sessions);
        let database = TestDatabase::named(&format!("page_of_{sessions}_sessions"));
        let options = ClickHouseOptions::from_url(&database.writer_url()).unwrap();
        let store = Arc::new(ClickHouseStore::new(options).unwrap());
        let service = Service::of(Arc::clone(&store) as Arc<dyn TokenStore>, Arc::default());
        service.runtime.block_on(store.migrate()).unwrap();
        let total = service.runtime.block_on(stored_total(store, transcripts.path(), sessions));
        for width in WIDTHS {
            for theme in [Theme::Light, Theme::Dark] {
                browser.show_as(width, 900, theme);
                browser.open(&service.url("/?range=all"));
                if sessions == 0 {
                    let title = browser.evaluate("document.querySelector('.state h1').textContent");
                    assert_eq!(title, "Nothing is stored yet");
                    continue;
                }
                let shown =
                    browser.evaluate("document.querySelector('.total').textContent.replaceAll(',', '')");
                assert_eq!(shown.as_str(), Some(total.to_string().as_str()), "{width} pixels, {theme:?}");
                browser.wait_until("document.querySelector('[data-chart] canvas')?.width > 0");
            }
        }
        browser.open(&service.url("/sessions?range=all"));
        let of =
            r"document.querySelector('.pager').textContent.replaceAll(',', '').match(/of (\d+)|no rows/)";
        let pager = browser.evaluate(&format!("{{ const [text, rows] = {of}; rows ?? text }}"));
        let expected = if sessions == 0 { "no rows".to_owned() } else { sessions.to_string() };
        assert_eq!(pager.as_str(), Some(expected.as_str()));
        let listed = browser.evaluate("document.querySelectorAll('.note').length");
        assert_eq!(listed.as_u64(), Some(sessions.min(50)), "each listed session has its project");
        assert_content(&mut browser, &service);
    }
}

/// Writes a transcript with a response for each session.
fn write_sessions(folder: &Path, sessions: u64) {
    let project = folder.join("-home-user-project");
    std::fs::create_dir_all(&project).unwrap();
    let now = SystemClock.now();
    let mut lines = String::new();
    for session in 0..sessions {
        let time = now.saturating_sub(Duration::from_mins(session % 10_000));
        let line = line_at(&format!("session-{session:06}"), session, session % 977 + 1, &time.to_string());
        let line = line.replacen('{', r#"{"cwd":"/home/user/project","#, 1);
        lines.write_str(&line).unwrap();
    }
    std::fs::write(project.join("all.jsonl"), lines).unwrap();
}

/// Stores the transcripts, and returns the total that both the analyzer and the database have.
async fn stored_total(store: Arc<dyn TokenStore>, transcripts: &Path, sessions: u64) -> u64 {
    let bridge = EnhancedTokenDatabaseBridge::builder(store).sources([transcripts]).build();
    let stored = bridge.backfill_historical_data(BackfillOptions::default()).await.unwrap();
    assert!(stored.success && stored.total_sessions == sessions, "{stored:?}");
    let analyzed = bridge.analyze_historical_data(BackfillOptions::default()).await.unwrap();
    let dashboard = bridge.dashboard();
    let metrics = dashboard.get_dashboard_token_metrics(DashboardQuery::new(TimeRange::ALL)).await.unwrap();
    let database = metrics.total_tokens;
    assert_eq!(analyzed.counts().unwrap().total(), database);
    let expected: u64 = (0..sessions).map(|session| session % 977 + 1).sum();
    assert_eq!(database, expected);
    database
}
