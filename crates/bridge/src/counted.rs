//! Numbers with the noun that they count.

use std::fmt::Display;

/// Returns the form of the noun for this number.
pub(crate) fn noun<'a>(number: impl From<u8> + PartialEq, one: &'a str, many: &'a str) -> &'a str {
    if number == 1.into() { one } else { many }
}

/// Returns the number and the noun's form for it.
pub(crate) fn counted(number: impl From<u8> + PartialEq + Copy + Display, one: &str, many: &str) -> String {
    format!("{number} {}", noun(number, one, many))
}

/// Returns the end of a list of which only the first is named: nothing if there are no others.
pub(crate) fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" and {}", counted(others, "other", "others")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_singular() {
        assert_eq!(
            [0_u64, 1, 2].map(|number| counted(number, "file", "files")),
            ["0 files", "1 file", "2 files"]
        );
        assert_eq!([0, 1, 2].map(and_others), ["", " and 1 other", " and 2 others"]);
    }
}
