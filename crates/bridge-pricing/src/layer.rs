//! A catalog with a user's own entries on top.

use crate::{
    Alias, Catalog, CustomPrice, CustomPrices, Discount, Entry, Period, Problem, ProblemKind, catalog,
    problem,
};

/// A catalog under construction: each layer cuts the entries at the bounds of its period.
#[derive(Debug)]
struct Layered {
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Catalog {
    /// Returns this catalog with a user's own prices, names and discounts on top, in this order. Its digest covers all.
    ///
    /// - Own prices take the place of all prices of the model, by any of its names, in their period.
    /// - A name gets the prices of a model. It must not have any of its own, nor be another form of a name that has.
    /// - A discount applies to own prices too, and to web searches. Two discounts on the same prices are an error.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the user's entries.
    ///
    /// ```
    /// use bridge_pricing::{Alias, Catalog, CustomPrices, Usage};
    ///
    /// let name = Alias { name: "gateway/opus".to_owned(), model: "claude-opus-4-6".to_owned(), ..Alias::default() };
    /// let custom = CustomPrices { aliases: vec![name], ..CustomPrices::default() };
    /// let catalog = Catalog::shipped().with(&custom).unwrap();
    ///
    /// let usage = Usage { output: 1_000, ..Usage::new("gateway/opus", "2026-06-01T00:00:00Z".parse()?) };
    /// assert!(Catalog::shipped().price(&usage).is_err());
    /// assert_eq!(catalog.price(&usage)?.amount.exact(), "0.025");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with(&self, custom: &CustomPrices) -> Result<Self, Vec<Problem>> {
        let mut layered = Layered { entries: self.entries().to_vec(), problems: Vec::new() };
        layered.prices(&custom.prices);
        custom.aliases.iter().for_each(|alias| layered.alias(alias));
        layered.discounts(&custom.discounts);
        if layered.problems.is_empty() { Self::new(layered.entries) } else { Err(layered.problems) }
    }
}

fn has_variety(price: &CustomPrice) -> bool {
    !price.geographies.is_empty() || price.rates.iter().any(|rates| rates.above > 0)
}

impl Discount {
    /// Returns whether it is on the prices of an entry, at some time.
    fn applies_to(&self, entry: &Entry) -> bool {
        entry.period().and(&self.period).is_some()
            && self.model.as_ref().is_none_or(|model| entry.names().any(|name| name == model))
            && self.provider.as_ref().is_none_or(|provider| *provider == entry.provider)
    }
}

impl Layered {
    fn prices(&mut self, prices: &[CustomPrice]) {
        let new: Vec<_> = prices.iter().map(|price| self.entry(price)).collect();
        for (place, (price, entry)) in prices.iter().zip(&new).enumerate() {
            let earlier = prices.iter().zip(&new).take(place);
            let overlaps = |(_, other): &(_, &Entry)| {
                other.model == entry.model && other.period().and(&entry.period()).is_some()
            };
            if let Some((other, _)) = earlier.clone().find(overlaps) {
                self.problem(&price.place, ProblemKind::Overlap(other.place.to_string()));
            }
        }
        for (price, entry) in prices.iter().zip(new) {
            for kind in problem::of_entry(&entry) {
                self.problem(&price.place, kind);
            }
            self.cut(&entry.period(), |old| old.model == entry.model, |_| None);
            self.entries.push(entry);
        }
        // The shipped prices alone have few enough.
        if let Some(last) = prices.iter().rfind(|price| has_variety(price)) {
            let kinds = problem::of_variety(self.entries.iter());
            kinds.into_iter().for_each(|kind| self.problem(&last.place, kind));
        }
    }

    /// Returns the name by which the entries have the prices of a model, as [`Catalog::entry`] finds them.
    fn own_name(&self, name: &str) -> Option<String> {
        let is_known = |name: &&str| self.entries.iter().any(|entry| entry.names().any(|own| own == *name));
        if is_known(&name) {
            return Some(name.to_owned());
        }
        catalog::other_form(name).filter(|other| is_known(&other.as_str()))
    }

    /// Returns the entry of own prices, with all names of the model.
    fn entry(&self, price: &CustomPrice) -> Entry {
        let own_name = self.own_name(&price.model);
        let named = |entry: &&Entry| entry.names().any(|name| Some(name) == own_name.as_deref());
        let known = self.entries.iter().rfind(named);
        let provider = price.provider.clone().or(known.map(|entry| entry.provider.clone()));
        Entry {
            provider: provider.unwrap_or_default(),
            model: known.map_or(&price.model, |entry| &entry.model).clone(),
            aliases: known.map(|entry| entry.aliases.clone()).unwrap_or_default(),
            from: price.period.start(),
            to: price.period.to,
            web_search: price.web_search,
            geographies: price.geographies.iter().cloned().collect(),
            discount: None,
            rates: price.rates.clone(),
            source: price.place.name.clone(),
            dated: price.period.start(),
        }
    }

    fn alias(&mut self, alias: &Alias) {
        if alias.period.is_empty() {
            return self.problem(&alias.place, ProblemKind::EmptyPeriod);
        }
        if alias.name.is_empty() {
            return self.problem(&alias.place, ProblemKind::Empty("its name"));
        }
        let in_period = |entry: &&Entry| entry.period().and(&alias.period).is_some();
        let named = |name: &str| {
            self.entries.iter().filter(in_period).any(|entry| entry.names().any(|own| own == name))
        };
        // Another form of a known name has that one's prices. As a name of its own it would have no others, at any time.
        let is_other_form = self.own_name(&alias.name).is_some_and(|own| own != alias.name);
        if is_other_form || named(&alias.name) {
            return self.problem(&alias.place, ProblemKind::NameTaken(alias.name.clone()));
        }
        let model = self.own_name(&alias.model).filter(|model| named(model));
        let Some(model) = model else {
            return self.problem(&alias.place, ProblemKind::Unknown(alias.model.clone()));
        };
        let add = |mut entry: Entry| {
            entry.aliases.push(alias.name.clone());
            entry.aliases.sort();
            Some(entry)
        };
        self.cut(&alias.period, |entry| entry.names().any(|name| name == model), add);
    }

    fn discounts(&mut self, discounts: &[Discount]) {
        let named = |discount: &Discount| Discount {
            model: discount.model.as_ref().map(|model| self.own_name(model).unwrap_or_else(|| model.clone())),
            ..discount.clone()
        };
        let discounts: Vec<_> = discounts.iter().map(named).collect();
        for (place, discount) in discounts.iter().enumerate() {
            if discount.period.is_empty() {
                self.problem(&discount.place, ProblemKind::EmptyPeriod);
                continue;
            }
            let mut found = self.entries.iter().filter(|entry| discount.applies_to(entry)).peekable();
            if found.peek().is_none() {
                let what = discount.model.as_ref().or(discount.provider.as_ref());
                let what = what.map_or("any price", String::as_str).to_owned();
                self.problem(&discount.place, ProblemKind::Unknown(what));
                continue;
            }
            if let Some(taken) = found.find(|entry| entry.discount.is_some()) {
                let other = discounts[..place].iter().find(|other| other.applies_to(taken));
                let other = other.map_or(taken.source.clone(), |other| other.place.to_string());
                self.problem(&discount.place, ProblemKind::Overlap(other));
                continue;
            }
            let percent = discount.percent;
            self.cut(
                &discount.period,
                |entry| discount.applies_to(entry),
                |entry| Some(Entry { discount: Some(percent), ..entry }),
            );
        }
    }

    /// Replaces the parts of these entries that lie in a period.
    fn cut(
        &mut self,
        cut: &Period,
        applies: impl Fn(&Entry) -> bool,
        replace: impl Fn(Entry) -> Option<Entry>,
    ) {
        for entry in std::mem::take(&mut self.entries) {
            let Some(inside) = entry.period().and(cut).filter(|_| applies(&entry)) else {
                self.entries.push(entry);
                continue;
            };
            let (start, to) = (inside.start(), entry.to);
            if entry.from < start {
                self.entries.push(Entry { to: Some(start), ..entry.clone() });
            }
            if let Some(end) = inside.to.filter(|end| to.is_none_or(|to| *end < to)) {
                self.entries.push(Entry { from: end, ..entry.clone() });
            }
            self.entries.extend(replace(Entry { from: start, to: inside.to, ..entry }));
        }
    }

    fn problem(&mut self, place: &crate::Place, kind: ProblemKind) {
        self.problems.push(Problem { place: place.clone(), kind });
    }
}
