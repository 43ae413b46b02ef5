//! The report for a terminal.

use bridge::Escaped;
use bridge_examples::number::number;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use unicode_width::UnicodeWidthStr;

use crate::column::Column;
use crate::grouping::Grouping;
use crate::layout::{Layout, shortened};
use crate::rows::Report;

/// A line below the header and no other borders.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Returns the width of the terminal: `COLUMNS`, or what the terminal says. `None` for a pipe or a file.
pub(crate) fn terminal_width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    columns.or_else(|| Some(usize::from(terminal_size::terminal_size()?.0.0)))
}

/// Formats the report for a terminal of this width.
pub(crate) fn text(report: &Report, width: Option<usize>) -> String {
    let lines = lines(report);
    let header = header(report);
    let names = lines.iter().map(|(name, _)| name.width()).chain([header.width()]);
    let width_of = |column: Column| {
        let cells = lines.iter().map(|(_, cells)| cell_text(column, cells).width());
        cells.chain([column.title().width()]).max().unwrap_or(0)
    };
    let layout = Layout::fitting(width, names.max().unwrap_or(0), width_of);
    let mut table = Table::new();
    let titles = layout.columns.iter().map(|column| column.title().to_owned());
    table.load_style(STYLE).set_header(std::iter::once(shortened(&header, layout.name_width)).chain(titles));
    for (name, cells) in &lines {
        let numbers = layout.columns.iter().map(|column| cell_text(*column, cells));
        table.add_row(std::iter::once(shortened(name, layout.name_width)).chain(numbers));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let body: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n\n{}\n{}", Escaped::text(&report.place), body.join("\n"), notes(report))
}

fn header(report: &Report) -> String {
    match report.by {
        Grouping::Calendar(_) | Grouping::Block(_) => format!("{} ({})", report.by, report.zone.name()),
        Grouping::By(_) => report.by.to_string(),
    }
}

/// The numbers of a line; of groups that are not listed only some are known.
type Cells = [Option<u64>; Column::ALL.len()];

fn cell_text(column: Column, cells: &Cells) -> String {
    let at = Column::ALL.iter().position(|known| *known == column).unwrap_or(0);
    cells[at].map(number).unwrap_or_default()
}

fn lines(report: &Report) -> Vec<(String, Cells)> {
    let cells = |sums| Column::ALL.map(|column| Some(column.value(sums)));
    let mut lines: Vec<_> = report.rows.iter().map(|row| (shown(&row.name), cells(&row.sums))).collect();
    if report.others.groups > 0 {
        let others = Column::ALL.map(|column| match column {
            Column::Responses => Some(report.others.responses),
            Column::Total => Some(report.others.tokens),
            _ => None,
        });
        lines.push((format!("({} more)", number(report.others.groups)), others));
    }
    lines.push(("total".to_owned(), cells(&report.totals)));
    lines
}

/// Returns the name as it is shown: escaped, and never empty.
pub(crate) fn shown(name: &str) -> String {
    if name.is_empty() { "(none)".to_owned() } else { Escaped::text(name).to_string() }
}

fn notes(report: &Report) -> String {
    let unfinished = report.totals.unfinished_responses;
    if unfinished == 0 {
        return String::new();
    }
    format!(
        "at least: {} of {} responses have only an unfinished snapshot\n",
        number(unfinished),
        number(report.totals.responses_worth_tokens)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::report_of;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let report = report_of(&["/home/user/日本語/a-project-with-a-long-name", "", "b\u{1b}[2J"]);
        for width in 40..140 {
            let text = text(&report, Some(width));
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{width}\n{text}");
            assert!(text.contains("total tokens") && text.contains("(none)"), "{text}");
        }
        assert!(text(&report, None).contains("/home/user/日本語/a-project-with-a-long-name"));
    }
}
