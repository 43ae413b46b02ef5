//! The page in a real browser: headless Chromium.
//!
//! `cargo test -p bridge-tests --features browser --test browser`; the gate installs Debian's package `chromium`.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod accessibility;
mod layout;
mod live;
mod screenshots;
mod totals;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::budgets::{Budget, BudgetAmount, BudgetPeriod, Budgets};
use bridge::pricing::Catalog;
use bridge::storage::{
    ClickHouseOptions, ClickHouseStore, InMemoryStore, PriceStore, RetryPolicy, SourceRecord, TokenStore,
    UpsertOptions,
};
use bridge::web::{self, AllowedHosts, PageOptions, WebOptions};
use bridge::{
    Clock, EnhancedTokenDatabaseBridge, HostName, ManualClock, ModelName, ProjectName, ResponseUsage,
    SessionId, SyncOptions, SystemClock,
};
use bridge_core::SessionActivity;
use bridge_testkit::browser::Browser;
use bridge_testkit::fixtures::response;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Names as somebody would choose them who wants to break the page.
const HOSTILE: [&str; 4] = [
    "<img src=x onerror=alert(1)>",
    "\u{202e}gpj.exe",
    "</script><script>alert(1)</script>",
    "a\u{1b}[31m\"'&",
];

/// A service with the page, over a store in memory.
struct Service {
    address: SocketAddr,
    store: Arc<InMemoryStore>,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
}

impl Service {
    fn start() -> Self {
        let store = Arc::new(InMemoryStore::default());
        let service = Self::of(Arc::clone(&store) as Arc<dyn TokenStore>, store);
        let (digest, rows) =
            (Catalog::shipped().digest().to_string(), Catalog::shipped().rows().collect::<Vec<_>>());
        let stored = service.store.use_prices(&digest, &rows, SystemClock.now());
        service.runtime.block_on(stored).unwrap();
        service
    }

    /// Starts a service whose database cannot be reached.
    fn without_database() -> Self {
        // Nothing listens on this port: it is reserved.
        let options = ClickHouseOptions::from_url("http://127.0.0.1:1/bridge").unwrap();
        let database = ClickHouseStore::new(options.with_retry(RetryPolicy::once())).unwrap();
        Self::of(Arc::new(database), Arc::default())
    }

    /// Starts a service that synchronized this folder of transcripts 20 minutes ago, and not since.
    fn stopped_synchronizing(transcripts: &Path) -> Self {
        let store = Arc::new(InMemoryStore::default());
        let clock = Arc::new(ManualClock::new(SystemClock.now().saturating_sub(Duration::from_mins(20))));
        let bridge = EnhancedTokenDatabaseBridge::builder(Arc::clone(&store) as Arc<dyn TokenStore>)
            .sources([transcripts])
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .build();
        let service = Self::of_bridge(bridge.clone(), store);
        let _ = service.runtime.block_on(bridge.sync_all_sessions(SyncOptions::default())).unwrap();
        clock.set(SystemClock.now());
        service
    }

    fn of(served: Arc<dyn TokenStore>, store: Arc<InMemoryStore>) -> Self {
        Self::of_bridge(EnhancedTokenDatabaseBridge::builder(served).budgets(budgets()).build(), store)
    }

    fn of_bridge(bridge: EnhancedTokenDatabaseBridge, store: Arc<InMemoryStore>) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = runtime.block_on(async {
            let listener = web::listen("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let page = PageOptions::default().with_refresh(Duration::from_secs(1));
            let router = web::router(bridge, WebOptions::default().with_page(page));
            let router = web::protect(router, AllowedHosts::of_listener(address));
            tokio::spawn(web::serve(listener, router, async { drop(stopped.await) }));
            address
        });
        Self { address, store, runtime, stop: Some(stop) }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    fn put(&self, rows: &[ResponseUsage]) {
        self.runtime.block_on(self.store.upsert(rows, &UpsertOptions::default())).unwrap();
    }

    /// Stores a transcript of this session, and one of its subagent with a damaged line.
    fn put_files(&self, session: &str) {
        let session = SessionId::new(session).unwrap();
        let file = |name: &str, depth, bad_lines| {
            let host = HostName::new("host").unwrap();
            let mut record = SourceRecord::new(host, name.into(), session.clone());
            let (first, last) =
                (SystemClock.now().saturating_sub(Duration::from_hours(2)), SystemClock.now());
            (record.first_time, record.last_time) = (Some(first), Some(last));
            (record.lines, record.damage.bad_lines) = (10, bad_lines);
            record.activity = Some(Box::new(SessionActivity { depth, ..SessionActivity::default() }));
            record
        };
        let records = [file("/projects/p/session.jsonl", 0, 0), file(HOSTILE[0], 1, 1)];
        self.runtime.block_on(self.store.put_sources(&records)).unwrap();
    }

    /// Stops serving, as if the service had ended.
    fn stop(&mut self) {
        drop(self.stop.take());
    }
}

/// Returns a budget of tokens that a few sessions exceed, with a hostile name, and one of money.
fn budgets() -> Budgets {
    let tokens = Budget::new(HOSTILE[0], BudgetAmount::Tokens(100_000), BudgetPeriod::Rolling { days: 30 });
    let money = Budget::new("all", BudgetAmount::Money("1000".parse().unwrap()), BudgetPeriod::Month);
    Budgets::new([tokens.unwrap(), money.unwrap()]).unwrap()
}

/// Returns this number of sessions of three models and a few projects over the last days.
fn sessions(number: u32) -> Vec<ResponseUsage> {
    let now = SystemClock.now();
    let row = |index: u32| {
        let mut row =
            response(&format!("session-{index:06}"), u128::from(index) + 1, u64::from(index % 977) * 31);
        row.time = now.saturating_sub(Duration::from_secs(u64::from(index % 600) * 3600));
        row.counts.cache_read = u64::from(index % 89) * 4_099;
        row.model =
            ModelName::new(["claude-opus-4-8", "claude-sonnet-4-5", "gpt-5"][index as usize % 3]).ok();
        row.project = ProjectName::new(format!("/home/user/project-{}", index % 7)).ok();
        row
    };
    (0..number).map(row).collect()
}

fn hostile() -> Vec<ResponseUsage> {
    let named = |(key, name): (u128, &str)| {
        let mut row = response(name, key, 10);
        row.time = SystemClock.now();
        row.model = ModelName::new(name).ok();
        row.project = ProjectName::new(name.repeat(500 / name.len())).ok();
        row
    };
    (1_000_000..).zip(HOSTILE).map(named).collect()
}

fn browser() -> (TempDir, Browser) {
    let profile = TempDir::new().unwrap();
    let browser = Browser::start(profile.path());
    (profile, browser)
}

/// Asserts that nothing went wrong so far, and that the page asked nobody but the service.
fn assert_content(browser: &mut Browser, service: &Service) {
    assert_eq!(browser.complaints(), [] as [&str; 0]);
    let own = service.url("/");
    let others: Vec<_> = browser.requests().iter().filter(|url| !url.starts_with(&own)).collect();
    assert!(others.iter().all(|url| url.starts_with("about:") || url.starts_with("data:")), "{others:?}");
}
