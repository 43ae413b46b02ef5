//! The step that shows what the tokens cost.

use std::error::Error;

use bridge::pricing::{Catalog, Cost};
use bridge::storage::GroupPage;
use bridge::{
    BackfillOptions, DashboardQuery, EnhancedTokenDatabaseBridge, Escaped, SummaryQuery, TimeRange,
};

use crate::print;
use crate::promises::Promises;

/// Puts the shipped prices in use, by which the later steps state costs, too.
pub(crate) async fn show_costs(
    bridge: &EnhancedTokenDatabaseBridge,
    promises: &mut Promises,
) -> Result<(), Box<dyn Error>> {
    promises.step("What the tokens cost", "DashboardQuery::with_cost");
    let dashboard = bridge.dashboard();
    let _ = dashboard.use_prices(Catalog::shipped()).await?;
    let query = DashboardQuery::new(TimeRange::ALL).list_models(GroupPage::top(u32::MAX)).with_cost();
    let shown = dashboard.get_dashboard_token_metrics(query).await?;
    let total = shown.totals.cost.unwrap_or_default();
    for row in &shown.models.rows {
        let name = if row.name.is_empty() { Escaped::text("(none)") } else { Escaped::text(&row.name) };
        print::line(&name.to_string(), row.sums.cost.unwrap_or_default().to_string());
    }
    print::line("total at list prices", total.to_string());
    print::line("without the cache it had been more by", total.cache_savings());
    print::line("tokens without a price", total.unpriced_percent());

    let mut of_models = Cost::default();
    shown.models.rows.iter().filter_map(|row| row.sums.cost).for_each(|cost| of_models.add(&cost));
    promises.check(
        "the models' costs add up to the last digit",
        of_models == total,
        of_models.amount.exact(),
    );
    let tokens = total.priced_tokens + total.unpriced_tokens;
    promises.check_equal("no token is without a price and unstated", tokens, shown.total_tokens);
    let query = SummaryQuery::last_days(u32::MAX).with_cost();
    let mut of_sessions = Cost::default();
    let summaries = bridge.get_stored_token_summaries(query).await?;
    summaries.iter().filter_map(|summary| summary.cost).for_each(|cost| of_sessions.add(&cost));
    promises.check("and so do the sessions'", of_sessions == total, of_sessions.amount.exact());
    let again = bridge.backfill_historical_data(BackfillOptions::default()).await?;
    let cost = again.cost.unwrap_or_default();
    promises.check("a backfill states the same", cost == total, cost.amount.exact());
    Ok(())
}
