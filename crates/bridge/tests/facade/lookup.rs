//! Reading stored summaries.

use bridge::{SessionId, StoreOptions, SummaryQuery};

use crate::facade::{analysis, in_memory};

#[tokio::test]
async fn summaries_are_cached_until_something_is_stored() {
    let (_, bridge) = in_memory();
    let _ = bridge.store_enhanced_analysis(&analysis("s", 1, &[5]), StoreOptions::default()).await.unwrap();
    for _ in 0..3 {
        let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
        assert_eq!(summaries.iter().map(|summary| summary.total_tokens).collect::<Vec<_>>(), [5]);
    }
    assert_eq!((bridge.stats().summaries.hits, bridge.stats().summaries.misses), (2, 1));
    let _ = bridge.store_enhanced_analysis(&analysis("s", 9, &[6]), StoreOptions::default()).await.unwrap();
    let summaries = bridge.get_stored_token_summaries(SummaryQuery::last_days(7)).await.unwrap();
    assert_eq!(summaries[0].total_tokens, 11);
}

#[tokio::test]
async fn recently_active_sessions_are_returned_whole() {
    let (_, bridge) = in_memory();
    let day = std::time::Duration::from_hours(24);
    let mut old = analysis("s", 1, &[5, 6]);
    old.responses[0].time = crate::facade::now().saturating_sub(day * 30);
    let mut older = analysis("t", 5, &[7]);
    older.responses[0].time = crate::facade::now().saturating_sub(day * 8);
    for analysis in [old, older] {
        let _ = bridge.store_enhanced_analysis(&analysis, StoreOptions::default()).await.unwrap();
    }
    let totals = |sessions: Option<&str>, days| {
        let mut query = SummaryQuery::last_days(days);
        query.sessions = sessions.map(|name| vec![SessionId::new(name).unwrap()]);
        let bridge = bridge.clone();
        async move {
            let summaries = bridge.get_stored_token_summaries(query).await.unwrap();
            summaries.iter().map(|summary| summary.total_tokens).collect::<Vec<_>>()
        }
    };
    assert_eq!(totals(None, 7).await, [11]);
    assert_eq!(totals(None, 9).await, [11, 7]);
    assert_eq!(totals(Some("t"), 9).await, [7]);
    assert_eq!(totals(Some("t"), 7).await, [0; 0]);
}
