//! The causes of the difference.

use std::collections::{BTreeMap, HashMap};

use bridge::pricing::{Catalog, Money};
use bridge::{ModelName, Origin, ResponseKey, ResponseUsage, TokenCounts};

use super::counter::Counter;
use super::figures::{OtherFigures, canonical};
use super::price::{Cost, PriceFactor, Prices};
use super::reading::{Counted, Read, Seen};
use super::skip::Skip;

/// The reason why the other counter has other tokens of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// An iteration that is a response of its own, by its origin.
    Iteration(Origin),
    /// The response's iterations say more than its top level.
    Raised,
    /// It stands in `progress` records only.
    NestedOnly,
    /// The counter skips its lines.
    Skipped(Skip),
    /// No line of it is a single valid JSON object.
    Unreadable,
    /// The counter takes another snapshot of it.
    OtherSnapshot,
    /// The counter counts it for another model, which another snapshot of it names.
    OtherModel,
    /// The counter counts it again, for another request or session.
    Repeated,
    /// It is not counted here.
    NotHere,
}

/// The tokens and the money that a cause adds to the other counter's figures, or takes from them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Effect {
    pub(crate) responses: u64,
    pub(crate) tokens: i128,
    /// At the prices here, before there is one at the model's first price; responses without any add nothing.
    pub(crate) money: Money,
}

impl Effect {
    fn add(&mut self, tokens: i128, money: Money) {
        self.responses += 1;
        self.tokens += tokens;
        self.money = self.money.saturating_add(money);
    }
}

/// The comparison of one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ModelComparison {
    pub(crate) own_tokens: u64,
    pub(crate) own_cost: Money,
    /// Tokens without a price here at their time.
    pub(crate) own_unpriced: u64,
    /// Cost of those at their model's first price.
    pub(crate) own_at_first_price: Money,
    /// Those that have no price at all.
    own_never_priced: u64,
    pub(crate) other_tokens: u64,
    pub(crate) other_cost: Money,
    pub(crate) causes: BTreeMap<Cause, Effect>,
    /// [`other_cost`](Self::other_cost) at the prices here without each of their factors.
    without: [Money; PriceFactor::ALL.len()],
}

/// Where a difference of money comes from that the tokens do not explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PriceCause {
    /// The other counter has no price.
    NoPriceThere,
    /// This many tokens have no price here at their time. The amount is at their model's first price.
    NoPriceYet(u64),
    /// This many tokens have no price here at all.
    NoPriceHere(u64),
    /// The other counter leaves out what makes another price.
    LeftOut(PriceFactor),
    /// The prices differ.
    Price,
}

impl ModelComparison {
    /// Returns the tokens that no cause explains.
    pub(crate) fn unexplained_tokens(&self) -> i128 {
        let explained: i128 = self.causes.values().map(|effect| effect.tokens).sum();
        i128::from(self.other_tokens) - i128::from(self.own_tokens) - explained
    }

    /// Returns the money that the causes of the tokens do not explain.
    pub(crate) fn unexplained_money(&self) -> Money {
        let explained =
            self.causes.values().fold(self.own_cost, |sum, effect| sum.saturating_add(effect.money));
        self.other_cost.saturating_sub(explained)
    }

    /// Returns the causes of that money, without what is nothing but rounding. There are none if tokens are
    /// unexplained.
    pub(crate) fn price_causes(&self) -> Vec<(PriceCause, Money)> {
        let difference = self.unexplained_money();
        if self.unexplained_tokens() != 0 {
            return Vec::new();
        }
        if self.other_cost == Money::ZERO && !is_nothing(difference) {
            return vec![(PriceCause::NoPriceThere, difference)];
        }
        let yet =
            (PriceCause::NoPriceYet(self.own_unpriced - self.own_never_priced), self.own_at_first_price);
        let rest = (self.rest_cause(), difference.saturating_sub(self.own_at_first_price));
        [yet, rest].into_iter().filter(|(_, money)| !is_nothing(*money)).collect()
    }

    fn rest_cause(&self) -> PriceCause {
        if self.own_never_priced > 0 {
            return PriceCause::NoPriceHere(self.own_never_priced);
        }
        self.left_out().map_or(PriceCause::Price, PriceCause::LeftOut)
    }

    /// Returns the factor without which the prices here give the other counter's cost.
    fn left_out(&self) -> Option<PriceFactor> {
        let is_cost =
            |(_, without): &(PriceFactor, Money)| is_nothing(self.other_cost.saturating_sub(*without));
        PriceFactor::ALL.into_iter().zip(self.without).find(is_cost).map(|(factor, _)| factor)
    }
}

fn is_nothing(money: Money) -> bool {
    money.attodollars().unsigned_abs() < ROUNDING_ATTODOLLARS
}

/// Sums of floating-point amounts differ by less than a hundredth of a cent.
const ROUNDING_ATTODOLLARS: u128 = 100_000_000_000_000;

/// The comparison of all models.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) counter: Counter,
    pub(crate) models: BTreeMap<String, ModelComparison>,
}

impl Comparison {
    /// Compares the responses counted here with what the counter reads and with the figures that it states.
    pub(crate) fn new(catalog: &Catalog, own: &[ResponseUsage], read: &Read, figures: &OtherFigures) -> Self {
        let prices = Prices::new(catalog);
        let mut comparison = Self { counter: figures.counter, models: BTreeMap::new() };
        for (name, stated) in &figures.models {
            let model = comparison.model(name.clone());
            (model.other_tokens, model.other_cost) = (stated.counts.total(), stated.cost);
        }
        let (mut counted, without_key) = group_by_key(&read.counted);
        for row in own {
            let theirs = counted.remove(&row.key).unwrap_or_default();
            comparison.compare(&prices, row, theirs, read.seen.get(&row.key));
        }
        for response in counted.into_values().flatten().chain(without_key) {
            let tokens = i128::from(response.counts.total());
            comparison.model(name_of(response.model.as_deref())).add(Cause::NotHere, tokens, Money::ZERO);
        }
        let has_effect = |effect: &Effect| effect.tokens != 0 || !is_nothing(effect.money);
        for model in comparison.models.values_mut() {
            model.causes.retain(|_, effect| has_effect(effect));
        }
        comparison
    }

    fn model(&mut self, name: String) -> &mut ModelComparison {
        self.models.entry(name).or_default()
    }

    /// Adds the comparison of one response, of which the counter has these entries.
    fn compare(
        &mut self,
        prices: &Prices<'_>,
        row: &ResponseUsage,
        theirs: Vec<&Counted>,
        seen: Option<&Seen>,
    ) {
        let name = name_of(row.model.as_ref().map(|model| model.as_str()));
        let (same, moved): (Vec<_>, Vec<_>) =
            theirs.into_iter().partition(|other| name_of(other.model.as_deref()) == name);
        let model = self.model(name);
        model.add_own(prices, row);
        if !same.is_empty() || moved.is_empty() {
            return model.add_causes(prices, row, &[same, moved].concat(), seen);
        }
        model.move_away(prices, row);
        for other in moved {
            self.add_moved(prices, row, other);
        }
    }

    /// Adds an entry of a response that the counter has under another model's name.
    fn add_moved(&mut self, prices: &Prices<'_>, row: &ResponseUsage, other: &Counted) {
        let name = other.model.as_deref().unwrap_or_default();
        let renamed = ResponseUsage { model: ModelName::new(name).ok(), ..row.clone() };
        let cost = prices.cost(&renamed, other.counts).amount();
        let model = self.model(canonical(name));
        model.add(Cause::OtherModel, i128::from(other.counts.total()), cost);
        model.add_without(prices, &renamed, other.counts);
    }
}

/// Groups the counter's responses by their key, and returns those without one apart.
fn group_by_key(counted: &[Counted]) -> (HashMap<ResponseKey, Vec<&Counted>>, Vec<&Counted>) {
    let mut groups: HashMap<ResponseKey, Vec<&Counted>> = HashMap::new();
    let mut without_key = Vec::new();
    for response in counted {
        match response.key {
            Some(key) => groups.entry(key).or_default().push(response),
            None => without_key.push(response),
        }
    }
    (groups, without_key)
}

fn name_of(model: Option<&str>) -> String {
    model.map(canonical).unwrap_or_default()
}

impl ModelComparison {
    /// Adds the comparison of another model.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.own_tokens += other.own_tokens;
        self.own_unpriced += other.own_unpriced;
        self.own_never_priced += other.own_never_priced;
        self.other_tokens += other.other_tokens;
        for (sum, more) in [
            (&mut self.own_cost, other.own_cost),
            (&mut self.own_at_first_price, other.own_at_first_price),
            (&mut self.other_cost, other.other_cost),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (sum, more) in self.without.iter_mut().zip(other.without) {
            *sum = sum.saturating_add(more);
        }
        for (cause, effect) in &other.causes {
            let sum = self.causes.entry(*cause).or_default();
            sum.responses += effect.responses;
            sum.tokens += effect.tokens;
            sum.money = sum.money.saturating_add(effect.money);
        }
    }

    fn add_own(&mut self, prices: &Prices<'_>, row: &ResponseUsage) {
        let tokens = row.counts.total();
        self.own_tokens += tokens;
        match prices.cost(row, row.counts) {
            Cost::Known(cost) => self.own_cost = self.own_cost.saturating_add(cost),
            Cost::AtFirstPrice(cost) => {
                self.own_unpriced += tokens;
                self.own_at_first_price = self.own_at_first_price.saturating_add(cost);
            }
            Cost::Unpriced => {
                self.own_unpriced += tokens;
                self.own_never_priced += tokens;
            }
        }
    }

    fn add(&mut self, cause: Cause, tokens: i128, money: Money) {
        self.causes.entry(cause).or_default().add(tokens, money);
    }

    /// Adds what the counter counts of a response to what it costs without each factor of the price.
    fn add_without(&mut self, prices: &Prices<'_>, row: &ResponseUsage, counts: TokenCounts) {
        for (sum, factor) in self.without.iter_mut().zip(PriceFactor::ALL) {
            *sum = sum.saturating_add(prices.cost_without(factor, row, counts).amount());
        }
    }

    /// Takes away a response that the counter has under another model's name.
    fn move_away(&mut self, prices: &Prices<'_>, row: &ResponseUsage) {
        let cost = prices.cost(row, row.counts).amount();
        self.add(Cause::OtherModel, -i128::from(row.counts.total()), Money::ZERO.saturating_sub(cost));
    }

    /// Adds the effects of one response, of which the counter has these entries.
    fn add_causes(
        &mut self,
        prices: &Prices<'_>,
        row: &ResponseUsage,
        theirs: &[&Counted],
        seen: Option<&Seen>,
    ) {
        let own = (i128::from(row.counts.total()), prices.cost(row, row.counts).amount());
        let equal = theirs.iter().position(|other| other.counts == row.counts);
        let first = equal.or_else(|| (0..theirs.len()).max_by_key(|at| theirs[*at].counts.total()));
        let Some(first) = first else {
            return self.add(absence(row, seen), -own.0, Money::ZERO.saturating_sub(own.1));
        };
        // The web searches of a response are not repeated with its tokens.
        let repeated = ResponseUsage { web_search_requests: None, ..row.clone() };
        for (at, other) in theirs.iter().enumerate() {
            let row = if at == first { row } else { &repeated };
            self.add_without(prices, row, other.counts);
            let (tokens, money) = (i128::from(other.counts.total()), prices.cost(row, other.counts).amount());
            if at != first {
                self.add(Cause::Repeated, tokens, money);
            } else if other.counts != row.counts {
                let is_raised = seen.is_some_and(|seen| seen.greatest < row.counts.total());
                let cause = if is_raised { Cause::Raised } else { Cause::OtherSnapshot };
                self.add(cause, tokens - own.0, money.saturating_sub(own.1));
            }
        }
    }
}

/// Returns the reason why the counter has nothing of a response.
fn absence(row: &ResponseUsage, seen: Option<&Seen>) -> Cause {
    if matches!(row.origin, Origin::Advisor | Origin::Compaction | Origin::Declined | Origin::Other) {
        return Cause::Iteration(row.origin);
    }
    match seen {
        None => Cause::Unreadable,
        Some(Seen { skipped: Some(reason), .. }) => Cause::Skipped(*reason),
        Some(seen) if seen.nested && !seen.direct => Cause::NestedOnly,
        Some(_) => Cause::Unreadable,
    }
}
