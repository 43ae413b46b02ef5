//! Cuts a table into slices of about equal size, so that memory does not grow with it.

use super::copies::copy_name;
use crate::clickhouse::schema::topology::SHARDING;

/// The slices of a table, cut as it is spread over shards, so that all versions of a row are in one slice, and a
/// price list is never imported in part.
#[derive(Debug)]
pub(crate) struct Slices {
    pub(crate) table: &'static str,
    pub(crate) sorting_key: String,
}

/// Some rows of a copied table.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) table: &'static str,
    pub(crate) rows: u64,
    sorting_key: String,
    condition: String,
}

impl Slices {
    /// Returns the number of key bits that yield enough slices for this many rows.
    pub(crate) fn bits(rows: u64, slice_rows: u64) -> u32 {
        rows.div_ceil(slice_rows).max(1).next_power_of_two().trailing_zeros()
    }

    /// Returns a query for the slices that hold rows, with their numbers of rows.
    pub(crate) fn counting(&self, bits: u32) -> String {
        let number = match (bits, self.is_by_key()) {
            (0, _) => "toUInt64(0)".to_owned(),
            (_, true) => format!("toUInt64(bitShiftRight({}, {}))", self.sorting_key, 128 - bits),
            (_, false) => self.hash(bits),
        };
        let table = copy_name(self.table);
        format!("SELECT {number} AS slice, count() FROM {table} FINAL GROUP BY slice ORDER BY slice")
    }

    pub(crate) fn slice(&self, bits: u32, number: u64, rows: u64) -> Slice {
        let condition = match (bits, self.is_by_key()) {
            (0, _) => "true".to_owned(),
            (_, true) => {
                let first = u128::from(number) << (128 - bits);
                let last = first | (u128::MAX >> bits);
                format!("{} BETWEEN toUInt128('{first}') AND toUInt128('{last}')", self.sorting_key)
            }
            (_, false) => format!("{} = {number}", self.hash(bits)),
        };
        Slice { table: self.table, rows, sorting_key: self.sorting_key.clone(), condition }
    }

    /// Keys are hashes, so ranges of them are equally full, and the database finds one without reading the others.
    fn is_by_key(&self) -> bool {
        self.sorting_key == "key"
    }

    fn hash(&self, bits: u32) -> String {
        let spread = SHARDING.iter().find(|(table, _)| *table == self.table);
        format!("bitShiftRight({}, {})", spread.map_or("toUInt64(0)", |(_, hash)| hash), 64 - bits)
    }
}

impl Slice {
    /// Returns a query for its rows, each once, in order.
    pub(crate) fn reading(&self) -> String {
        let Self { table, condition, sorting_key, .. } = self;
        format!("SELECT * FROM {} FINAL WHERE {condition} ORDER BY {sorting_key}", copy_name(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_grow_in_number_and_not_in_size() {
        let bits = [0, 1, 250_000, 250_001, 100_000_000].map(|rows| Slices::bits(rows, 250_000));
        assert_eq!(bits, [0, 0, 0, 1, 9]);
    }

    #[test]
    fn a_price_list_is_never_cut() {
        let slices = Slices { table: "token_prices", sorting_key: "digest, line_key".to_owned() };
        assert_eq!(slices.slice(1, 1, 1).condition, "bitShiftRight(cityHash64(digest), 63) = 1");
    }

    #[test]
    fn ranges_of_keys_meet_without_a_gap() {
        let slices = Slices { table: "token_usage", sorting_key: "key".to_owned() };
        let conditions: Vec<_> = (0..4).map(|number| slices.slice(2, number, 1).condition).collect();
        let ends: Vec<u128> = conditions
            .iter()
            .flat_map(|text| text.split('\'').skip(1).step_by(2))
            .map(|n| n.parse().unwrap())
            .collect();
        assert_eq!((ends[0], ends[7]), (0, u128::MAX));
        assert!((1..7).step_by(2).all(|end| ends[end] + 1 == ends[end + 1]), "{ends:?}");
    }
}
