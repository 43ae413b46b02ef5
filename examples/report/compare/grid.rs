//! Tables of the comparison for people.

use bridge::pricing::Money;
use bridge_examples::number::number;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use unicode_width::UnicodeWidthStr;

use crate::documents::markdown_text;
use crate::layout::{Layout, shortened};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// The greatest width of another column in a terminal. Names of models come from transcripts.
const CELL_WIDTH_MAX: usize = 28;

/// Rows of texts, the first of which is a name or a sentence, and the others amounts.
pub(super) struct Grid {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// The columns that a narrow terminal goes without, the first one first.
    pub(super) dispensable: &'static [usize],
}

impl Grid {
    /// Formats the table for a terminal of this width.
    pub(super) fn table(&self, width: Option<usize>) -> String {
        let Layout { columns, name_width } = self.layout(width);
        let cell = |row: &Vec<String>, at: usize| match width {
            Some(_) => shortened(&row[at], CELL_WIDTH_MAX),
            None => row[at].clone(),
        };
        let shown = |row: &Vec<String>| -> Vec<_> {
            std::iter::once(row[0].clone()).chain(columns.iter().map(|at| cell(row, *at))).collect()
        };
        let mut table = Table::new();
        table.load_style(STYLE).set_header(shown(&self.header));
        for row in &self.rows {
            table.add_row(shown(row));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if let (Some(_), Some(text)) = (width, table.column_mut(0)) {
            let cell = u16::try_from(name_width.saturating_add(2)).unwrap_or(u16::MAX);
            text.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(cell)));
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    /// Returns the columns of amounts that fit this width, and the width that they leave for the first one.
    fn layout(&self, width: Option<usize>) -> Layout<usize> {
        let widest = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].width());
            cells.chain([self.header[at].width()]).max().unwrap_or(0)
        };
        let amounts: Vec<_> = (1..self.header.len()).collect();
        let width_of = |at| widest(at).min(CELL_WIDTH_MAX);
        Layout::fitting(width, &amounts, self.dispensable, widest(0), width_of)
    }

    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<_> =
            (0..self.header.len()).map(|at| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
        let escaped = |row: &Vec<String>| row.iter().map(|cell| markdown_text(cell)).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|row| line(&escaped(row)));
        line(&self.header) + &line(&rule) + &rows.collect::<String>()
    }
}

/// Formats a number with its sign.
pub(super) fn signed(count: i128) -> String {
    let size = number(u64::try_from(count.unsigned_abs()).unwrap_or(u64::MAX));
    match count.signum() {
        0 => "0".to_owned(),
        1 => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

/// Formats an amount with its sign in four digits. What is less than their last one has the sign of comparison.
pub(super) fn signed_money(money: Money) -> String {
    let size = Money::from_attodollars(money.attodollars().saturating_abs());
    let text = format!("{size:.4}");
    match money.attodollars().signum() {
        0 => "$0".to_owned(),
        1 if text.starts_with('<') => text,
        1 => format!("+{text}"),
        _ if text.starts_with('<') => format!("{money:.4}"),
        _ => format!("−{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let rows = ["a sentence that needs more than a line of a narrow terminal", "日本語日本語"]
            .map(|text| [text, "1,234,567", "−$1.2345", "$12.0000"].map(str::to_owned).to_vec());
        let header = ["cause", "tokens", "difference", "dollars"].map(str::to_owned).to_vec();
        Grid { header, rows: rows.to_vec(), dispensable: &[1, 3] }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 46..120 {
            let mut grid = grid();
            grid.rows[1][2] = "a-name".repeat(99);
            let text = grid.table(Some(width));
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{width}\n{text}");
            assert!(text.contains("difference") && text.contains("…"), "{text}");
        }
    }

    #[test]
    fn a_narrow_terminal_goes_without_columns_and_a_pipe_has_all() {
        let has = |width, title| grid().table(width).lines().next().unwrap().contains(title);
        assert!(has(Some(80), "tokens") && has(Some(80), "dollars"));
        assert!(!has(Some(50), "tokens") && has(Some(50), "dollars"));
        assert!(!has(Some(40), "dollars"));
        assert!(grid().table(None).contains("that needs more than a line of a narrow terminal"));
    }

    #[test]
    fn an_amount_has_one_sign() {
        let of = |text: &str| signed_money(text.parse().unwrap());
        assert_eq!(
            ["0", "1.5", "-1.5", "0.00001", "-0.00001"].map(of),
            ["$0", "+$1.5000", "−$1.5000", "<$0.0001", ">-$0.0001"]
        );
        assert_eq!([0, 1234, -1234].map(signed), ["0", "+1,234", "−1,234"]);
    }
}
