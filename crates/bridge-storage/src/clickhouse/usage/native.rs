//! Rows in the database's `Native` format, column by column. The database need not split rows, and inserts them in
//! two thirds of the time of a row format.

use ::clickhouse::error::Result;
use ::clickhouse::insert_formatted::InsertFormatted;
use ::clickhouse::types::UInt256;

/// Rows per block: few enough for a core's cache, enough to make the overhead per block small.
const BLOCK_ROWS: usize = 8192;

/// A value of a column.
pub(crate) trait NativeValue {
    /// The database's name for the type.
    const TYPE: &'static str;

    fn put(&self, column: &mut NativeColumn);
}

/// The values of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct NativeColumn {
    /// Before them: a byte for each if they may be absent; of maps where each ends, as the number of pairs so far.
    front: Vec<u8>,
    /// The values; of maps the keys of the pairs.
    pub(crate) values: Vec<u8>,
    /// The values of the maps' pairs.
    map_values: Vec<u8>,
    map_pairs: u64,
}

/// A row that can be written into columns.
pub(crate) trait NativeRow {
    /// The columns' names and types.
    const COLUMNS: &'static [(&'static str, &'static str)];

    /// Appends each value to its column.
    fn put(&self, columns: &mut [NativeColumn]);
}

/// Inserts the rows into the table of this name.
pub(crate) async fn insert_rows<R: NativeRow>(
    begin: impl FnOnce(&str) -> InsertFormatted,
    table: &str,
    rows: &[R],
) -> Result<()> {
    let names: Vec<_> = R::COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut insert = begin(&format!("INSERT INTO {table} ({}) FORMAT Native", names.join(", ")));
    let mut columns = vec![NativeColumn::default(); R::COLUMNS.len()];
    for rows in rows.chunks(BLOCK_ROWS) {
        insert.send(block(rows, &mut columns).into()).await?;
    }
    insert.end().await
}

/// A block of rows: the numbers of columns and rows, and each column's name, type and values.
fn block<R: NativeRow>(rows: &[R], columns: &mut [NativeColumn]) -> Vec<u8> {
    columns.iter_mut().for_each(NativeColumn::clear);
    rows.iter().for_each(|row| row.put(columns));
    let mut block = Vec::with_capacity(columns.iter().map(|column| column.len() + 64).sum());
    put_length(columns.len(), &mut block);
    put_length(rows.len(), &mut block);
    for ((name, r#type), column) in R::COLUMNS.iter().zip(columns) {
        put_text(name, &mut block);
        put_text(r#type, &mut block);
        block.extend_from_slice(&column.front);
        block.extend_from_slice(&column.values);
        block.extend_from_slice(&column.map_values);
    }
    block
}

impl NativeColumn {
    fn clear(&mut self) {
        self.front.clear();
        self.values.clear();
        self.map_values.clear();
        self.map_pairs = 0;
    }

    fn len(&self) -> usize {
        self.front.len() + self.values.len() + self.map_values.len()
    }

    /// Appends a map of texts.
    pub(crate) fn put_map<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
        for (key, value) in pairs {
            put_text(key, &mut self.values);
            put_text(value, &mut self.map_values);
            self.map_pairs += 1;
        }
        self.front.extend_from_slice(&self.map_pairs.to_le_bytes());
    }
}

/// Appends a number as the format's `VarUInt`: seven bits per byte, lowest first.
fn put_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 0x80 {
        bytes.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    bytes.push(length.to_le_bytes()[0]);
}

macro_rules! native_numbers {
    ($($number:ty: $name:literal),+) => {
        $(impl NativeValue for $number {
            const TYPE: &'static str = $name;

            fn put(&self, column: &mut NativeColumn) {
                column.values.extend_from_slice(&self.to_le_bytes());
            }
        })+
    };
}

native_numbers!(i8: "Int8", u8: "UInt8", u32: "UInt32", u64: "UInt64", u128: "UInt128", UInt256: "UInt256");

impl NativeValue for bool {
    const TYPE: &'static str = "Bool";

    fn put(&self, column: &mut NativeColumn) {
        column.values.push(u8::from(*self));
    }
}

impl NativeValue for Option<u64> {
    const TYPE: &'static str = "Nullable(UInt64)";

    fn put(&self, column: &mut NativeColumn) {
        column.front.push(u8::from(self.is_none()));
        self.unwrap_or_default().put(column);
    }
}

impl NativeValue for &str {
    const TYPE: &'static str = "String";

    fn put(&self, column: &mut NativeColumn) {
        put_text(self, &mut column.values);
    }
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_length(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Triple(&'static str, u32, Option<u64>);

    impl NativeRow for Triple {
        const COLUMNS: &'static [(&'static str, &'static str)] =
            &[("a", <&str>::TYPE), ("b", u32::TYPE), ("c", <Option<u64>>::TYPE)];

        fn put(&self, columns: &mut [NativeColumn]) {
            self.0.put(&mut columns[0]);
            self.1.put(&mut columns[1]);
            self.2.put(&mut columns[2]);
        }
    }

    #[test]
    fn a_block_is_column_by_column() {
        let mut columns = vec![NativeColumn::default(); 3];
        columns[1].values = b"left from before".to_vec();
        let bytes = block(&[Triple("x", 1, Some(5)), Triple("", 258, None)], &mut columns);
        let texts = b"\x03\x02\x01a\x06String\x01x\x00";
        let numbers = b"\x01b\x06UInt32\x01\0\0\0\x02\x01\0\0";
        let absent = b"\x01c\x10Nullable(UInt64)\0\x01\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(bytes, [&texts[..], numbers, absent].concat());
    }

    #[test]
    fn maps_are_their_ends_their_keys_and_their_values() {
        let mut column = NativeColumn::default();
        for pairs in [vec![], vec![("a", "1"), ("bc", "")], vec![("a", "2")]] {
            column.put_map(pairs.into_iter());
        }
        let ends = [0_u64, 2, 3].map(u64::to_le_bytes).concat();
        assert_eq!((column.front, &*column.values), (ends, &b"\x01a\x02bc\x01a"[..]));
        assert_eq!(column.map_values, b"\x011\x00\x012");
    }

    #[test]
    fn lengths_have_seven_bits_per_byte() {
        let lengths = [0, 127, 128, 300, 1 << 21].map(|length| {
            let mut bytes = Vec::new();
            put_length(length, &mut bytes);
            bytes
        });
        let expected: [&[u8]; 5] = [&[0], &[127], &[0x80, 1], &[0xac, 2], &[0x80, 0x80, 0x80, 1]];
        assert_eq!(lengths.each_ref().map(Vec::as_slice), expected);
    }
}
