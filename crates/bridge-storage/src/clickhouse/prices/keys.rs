//! The keys by which the view `token_costs` finds the prices of a response: numbers that a binary search or a small table
//! finds, in the order of what they are made of.
//!
//! - The period key of a name: its place among all names, then the first instant of the period.
//! - The size key of a mode in a period: the period's place among all, the mode, then the least size.
//! - The line key: the size key's place among all, then that of the geography.

use std::collections::BTreeSet;

use bridge_core::PriceRow;

/// Bits of an instant in milliseconds, and of a size.
const LOW_BITS: u32 = 44;
/// No request is larger; the view caps each counter at it.
const SIZE_MAX: u64 = 1 << 42;
const MODES: u64 = 32;
const PLACES: u64 = 16;

/// The keys of one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PriceKeys {
    pub(crate) period: u64,
    /// The first key after the period.
    pub(crate) period_end: u64,
    pub(crate) mode: u8,
    pub(crate) size: u64,
    pub(crate) line: u32,
}

/// Maximum number of limits of size: so many the statement of a dashboard tells apart.
const SIZES_MAX: usize = 7;

/// Returns the keys of each price; `None` if there are more names, periods, geographies, sizes or modes than the keys have
/// room for.
pub(crate) fn keys(rows: &[PriceRow]) -> Option<Vec<PriceKeys>> {
    let names = sorted(rows.iter().map(|row| &*row.name));
    let places = sorted(rows.iter().map(|row| &*row.geography));
    let instant = |name: u64, millis: i64| Some((name << LOW_BITS) | u64::try_from(millis).ok()?);
    let period = |row: &PriceRow| {
        let name = place(&names, &&*row.name)?;
        let end = row.to.map_or(Some((name + 1) << LOW_BITS), |to| instant(name, to.as_millis()))?;
        Some((instant(name, row.from.as_millis())?, end))
    };
    let periods = rows.iter().map(period).collect::<Option<Vec<_>>>()?;
    let starts = sorted(periods.iter().map(|(start, _)| *start));
    let size = |(row, (start, _)): (&PriceRow, &(u64, u64))| {
        let mode = mode(row)?;
        let least = if row.above == 0 { 0 } else { row.above.min(SIZE_MAX) + 1 };
        Some((mode, (place(&starts, start)? * MODES + u64::from(mode)) << LOW_BITS | least))
    };
    let sizes = rows.iter().zip(&periods).map(size).collect::<Option<Vec<_>>>()?;
    let all = sorted(sizes.iter().map(|(_, size)| *size));
    let limits = sorted(rows.iter().map(|row| row.above).filter(|above| *above > 0));
    let has_room =
        names.len() < 1 << 15 && starts.len() < 1 << 14 && places.len() < 12 && limits.len() <= SIZES_MAX;
    let line = |row: &PriceRow, size| {
        u32::try_from(place(&all, size)? * PLACES + place(&places, &&*row.geography)?).ok()
    };
    let keys = rows.iter().zip(&periods).zip(&sizes).map(|((row, (period, period_end)), (mode, size))| {
        let line = line(row, size)?;
        Some(PriceKeys { period: *period, period_end: *period_end, mode: *mode, size: *size, line })
    });
    keys.collect::<Option<Vec<_>>>().filter(|_| has_room)
}

/// Returns all different values, sorted.
fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the place of a value among all, from 1.
fn place<T: Ord>(all: &[T], value: &T) -> Option<u64> {
    all.binary_search(value).ok().and_then(|place| u64::try_from(place + 1).ok())
}

/// Returns the number of a mode, as the view computes it from what the API reported.
fn mode(row: &PriceRow) -> Option<u8> {
    let speed = match row.speed {
        "standard" => 0,
        "fast" => 8,
        _ => return None,
    };
    let processing =
        ["standard", "batch", "priority", "flex"].iter().position(|name| *name == row.processing)?;
    Some(speed + u8::try_from(processing).ok()?)
}

#[cfg(test)]
mod tests {
    use bridge_core::Timestamp;

    use super::*;

    #[test]
    fn a_list_has_as_many_limits_of_size_as_dashboards_tell_apart() {
        let row = |above| PriceRow {
            provider: "maker".to_owned(),
            model: "m".to_owned(),
            name: "m".to_owned(),
            from: Timestamp::from_millis(1).unwrap(),
            to: None,
            speed: "standard",
            processing: "standard",
            above,
            geography: String::new(),
            input: Some(1),
            output: Some(1),
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
            web_search: None,
            discount: 0,
            source: "a test".to_owned(),
        };
        let rows: Vec<_> = (0..=8).map(|limit| row(limit * 1_000)).collect();
        assert!(keys(&rows[..8]).is_some());
        assert_eq!(keys(&rows), None);
    }
}
