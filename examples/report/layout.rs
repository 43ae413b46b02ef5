//! The columns and the width of names that fit a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A name is not shortened below this while there is a column to go without.
const NAME_WIDTH_MIN: usize = 24;
/// The least width of a name at all.
const NAME_WIDTH_LEAST: usize = 10;
/// The spaces around the text of a cell.
const PADDING: usize = 2;
/// The space between two cells.
const SEPARATOR: usize = 1;

/// The columns beside that of the names, and the width of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout<C> {
    pub(crate) columns: Vec<C>,
    pub(crate) name_width: usize,
}

impl<C: Copy + PartialEq> Layout<C> {
    /// Returns the layout for names and columns of these widths in a terminal that is this wide; `None` is any width. A
    /// narrow one goes without the dispensable columns, the first one first.
    pub(crate) fn fitting(
        terminal: Option<usize>,
        columns: &[C],
        dispensable: &[C],
        name_width: usize,
        width_of: impl Fn(C) -> usize,
    ) -> Self {
        let mut columns = columns.to_vec();
        let Some(terminal) = terminal else { return Self { columns, name_width } };
        let room = |columns: &[C]| {
            let cells: usize = columns.iter().map(|column| SEPARATOR + width_of(*column) + PADDING).sum();
            terminal.saturating_sub(cells + PADDING)
        };
        let wanted = name_width.min(NAME_WIDTH_MIN);
        for column in dispensable {
            if room(&columns) >= wanted {
                break;
            }
            columns.retain(|kept| kept != column);
        }
        let name_width = name_width.min(room(&columns).max(NAME_WIDTH_LEAST));
        Self { columns, name_width }
    }
}

/// Shortens a text to this many columns of a terminal. The end is kept, because paths differ there.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        let Some(rest) = room.checked_sub(c.width().unwrap_or(0)) else { break };
        (room, start) = (rest, at);
    }
    format!("…{}", &text[start..])
}

/// Breaks a text between words into lines of at most this many columns. A longer word is shortened.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').map(|word| shortened(word, width)) {
        match lines.last_mut() {
            Some(line) if line.width().saturating_add(1 + word.width()) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Column;

    fn fitting(terminal: usize, name_width: usize) -> Layout<Column> {
        let columns = Column::all(false);
        Layout::fitting(Some(terminal), columns, &Column::DISPENSABLE, name_width, |_| 12)
    }

    #[test]
    fn a_narrow_terminal_goes_without_columns_and_never_without_the_total() {
        assert_eq!(fitting(200, 40), Layout { columns: Column::all(false).to_vec(), name_width: 40 });
        let medium = fitting(80, 40);
        assert_eq!(medium.columns, [Column::Output, Column::CacheRead, Column::Total]);
        assert_eq!(medium.name_width, 80 - 3 * 15 - 2);
        assert_eq!(fitting(40, 40), Layout { columns: vec![Column::Total], name_width: 23 });
        assert_eq!(fitting(5, 40), Layout { columns: vec![Column::Total], name_width: 10 });
    }

    #[test]
    fn the_cost_stays_as_long_as_the_total() {
        let layout = Layout::fitting(Some(30), Column::all(true), &Column::DISPENSABLE, 40, |_| 12);
        assert_eq!(layout.columns, [Column::Total, Column::Cost]);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for terminal in 30..250 {
            for name in 1..60 {
                let layout = fitting(terminal, name);
                assert!(layout.name_width + 2 + 15 * layout.columns.len() <= terminal, "{terminal} {name}");
            }
        }
    }

    #[test]
    fn a_shortened_text_keeps_its_end_and_fits() {
        assert_eq!(shortened("/home/user/app", 20), "/home/user/app");
        assert_eq!(shortened("/home/user/app", 8), "…ser/app");
        // Each of these is two columns wide.
        assert_eq!(shortened("日本語", 5), "…本語");
        assert_eq!(shortened("日本語", 4), "…語");
        assert_eq!(shortened("日本語", 1), "…");
    }

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one two three", usize::MAX), ["one two three"]);
        assert_eq!(wrapped("a 日本語日本語", 6), ["a", "…本語"]);
    }
}
