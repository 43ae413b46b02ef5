//! What must hold of the shipped catalog.

use bridge_core::Timestamp;
use bridge_pricing::Catalog;

#[test]
fn every_entry_has_a_page_and_a_day_and_begins_since_2024() {
    let (first, last): (Timestamp, Timestamp) =
        ("2024-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
    for entry in Catalog::shipped().entries() {
        assert!(entry.source.starts_with("https://"), "{entry:?}");
        assert!((first..=last).contains(&entry.dated) && (first..=last).contains(&entry.from), "{entry:?}");
        assert!(["anthropic", "google", "openai"].contains(&&*entry.provider), "{entry:?}");
        assert_eq!(entry.discount, None, "{entry:?}");
    }
}

/// No period of a name overlaps with another; stated here in its own way, though parsing checks it.
#[test]
fn no_name_has_two_prices_at_once() {
    let entries = Catalog::shipped().entries();
    for (place, entry) in entries.iter().enumerate() {
        for other in &entries[..place] {
            let shares_name = entry.names().any(|name| other.names().any(|own| own == name));
            let apart =
                other.to.is_some_and(|to| to <= entry.from) || entry.to.is_some_and(|to| to <= other.from);
            assert!(!shares_name || apart, "{entry:?} and {other:?}");
        }
    }
}

/// Published rules, for all entries of Anthropic.
#[test]
fn hour_long_cache_writes_cost_twice_the_input_and_batches_half() {
    let mut batches = 0;
    for entry in Catalog::shipped().entries().iter().filter(|entry| entry.provider == "anthropic") {
        for rates in &entry.rates {
            let doubled = rates.input.map(|price| price.micros() * 2);
            if let Some(hour) = rates.cache_write_1h {
                assert_eq!(Some(hour.micros()), doubled, "{entry:?}");
            }
            if rates.processing == bridge_pricing::Processing::Batch {
                let same = |other: &&bridge_pricing::Rates| {
                    other.above == rates.above
                        && other.speed == rates.speed
                        && other.processing != rates.processing
                };
                let standard = entry.rates.iter().find(same).unwrap();
                assert_eq!(doubled, standard.input.map(bridge_pricing::Price::micros), "{entry:?}");
                batches += 1;
            }
        }
    }
    assert!(batches > 20, "{batches}");
}

#[test]
fn the_header_names_the_data_sets_and_their_licenses() {
    let text = Catalog::shipped().to_string();
    let header = text.lines().next().unwrap();
    for part in ["genai-prices", "model-prices", "litellm", "MIT", "sha256", "USD"] {
        assert!(header.contains(part), "{part}");
    }
}
