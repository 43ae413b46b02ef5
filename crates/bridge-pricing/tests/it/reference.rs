//! A slow, obvious implementation of docs/pricing.md in fractions, on the catalog's text.

use bridge_core::{Origin, Timestamp};
use bridge_pricing::Usage;
use serde_json::Value;

/// An exact number: an integer over a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fraction {
    pub(crate) over: i128,
    pub(crate) decimals: u32,
}

impl Fraction {
    pub(crate) fn parse(text: &str) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let decimals = u32::try_from(fraction.len()).unwrap();
        Self { over: format!("{whole}{fraction}").parse().unwrap(), decimals }
    }

    pub(crate) fn times(self, other: Self) -> Self {
        Self { over: self.over * other.over, decimals: self.decimals + other.decimals }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let decimals = self.decimals.max(other.decimals);
        let scaled = |number: Self| number.over * 10_i128.pow(decimals - number.decimals);
        Self { over: scaled(self) + scaled(other), decimals }
    }

    pub(crate) fn equals(self, other: Self) -> bool {
        let zero = Self { over: 0, decimals: 0 };
        let (a, b) = (self.plus(zero), other.plus(zero));
        let decimals = a.decimals.max(b.decimals);
        a.over * 10_i128.pow(decimals - a.decimals) == b.over * 10_i128.pow(decimals - b.decimals)
    }
}

fn instant(text: &str) -> Timestamp {
    if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() }.parse().unwrap()
}

fn tokens(count: u64) -> Fraction {
    // A price is for a million.
    Fraction { over: count.into(), decimals: 6 }
}

/// Returns the entries of a catalog's text.
pub(crate) fn entries(catalog: &str) -> Vec<Value> {
    catalog.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the price by these entries, or the name of the reason why there is none.
pub(crate) fn price(entries: &[Value], usage: &Usage<'_>) -> Result<Fraction, &'static str> {
    let size = usage.input + usage.cache_read + usage.cache_creation;
    if size + usage.output + usage.web_searches == 0 {
        return Ok(Fraction { over: 0, decimals: 0 });
    }
    let model = usage.model.ok_or("no_model")?;
    let named = |entry: &&Value| {
        entry["model"] == model
            || entry["aliases"].as_array().is_some_and(|aliases| aliases.iter().any(|alias| alias == model))
    };
    let named: Vec<_> = entries.iter().filter(named).collect();
    if named.is_empty() {
        return Err("unknown_model");
    }
    let valid = |entry: &&&Value| {
        instant(entry["from"].as_str().unwrap()) <= usage.time
            && entry["to"].as_str().is_none_or(|to| usage.time < instant(to))
    };
    let entry = named.iter().find(valid).ok_or("date")?;
    priced(entry, usage, size)
}

fn priced(entry: &Value, usage: &Usage<'_>, size: u64) -> Result<Fraction, &'static str> {
    let all = entry["rates"].as_array().unwrap();
    let speed = usage.speed.filter(|speed| !speed.is_empty()).unwrap_or("standard");
    let all: Vec<_> =
        all.iter().filter(|rates| rates["speed"].as_str().unwrap_or("standard") == speed).collect();
    if all.is_empty() {
        return Err("speed");
    }
    let tier = match usage.service_tier {
        None | Some("" | "default") => "standard",
        Some("fast") => "priority",
        Some(tier) => tier,
    };
    let of_tier = |rates: &&&Value| rates["processing"].as_str().unwrap_or("standard") == tier;
    let all: Vec<_> = all.iter().filter(of_tier).collect();
    if all.is_empty() {
        return Err("service_tier");
    }
    let factor =
        match (usage.inference_geo, usage.inference_geo.and_then(|name| entry["geographies"][name].as_str()))
        {
            (_, Some(factor)) => Fraction::parse(factor),
            (None | Some("" | "global" | "not_available"), None) => Fraction { over: 1, decimals: 0 },
            _ => return Err("geography"),
        };
    let above = |rates: &Value| rates["above"].as_u64().unwrap_or(0);
    let rates =
        all.iter().filter(|rates| above(rates) == 0 || size > above(rates)).max_by_key(|rates| above(rates));
    let rates = rates.unwrap();
    if usage.origin == Origin::Summed && above(rates) > 0 {
        return Err("request_size");
    }
    let hour = usage.cache_creation_1h.min(usage.cache_creation);
    let mut sum = Fraction { over: 0, decimals: 0 };
    for (kind, count) in [
        ("input", usage.input),
        ("output", usage.output),
        ("cache_read", usage.cache_read),
        ("cache_write_5m", usage.cache_creation - hour),
        ("cache_write_1h", hour),
    ] {
        if count > 0 {
            let price = Fraction::parse(rates[kind].as_str().ok_or("token_kind")?);
            sum = sum.plus(tokens(count).times(price).times(factor));
        }
    }
    if usage.web_searches > 0 {
        let price = Fraction::parse(entry["web_search"].as_str().ok_or("web_search")?);
        sum = sum.plus(Fraction { over: usage.web_searches.into(), decimals: 3 }.times(price));
    }
    let off = entry["discount"].as_str().map_or(Fraction { over: 0, decimals: 0 }, Fraction::parse);
    // A hundred percent less the discount, over a hundred.
    let rest = Fraction { over: 100, decimals: 0 }.plus(Fraction { over: -off.over, ..off });
    Ok(sum.times(Fraction { decimals: rest.decimals + 2, ..rest }))
}
