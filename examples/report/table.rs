//! The report for a terminal.

use bridge::{Escaped, UsageSums};
use bridge_examples::number::number;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use unicode_width::UnicodeWidthStr;

use crate::column::Column;
use crate::grouping::Grouping;
use crate::layout::{Layout, shortened, wrapped};
use crate::notes;
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
    let names = lines.iter().map(|line| line.name.width()).chain([header.width()]);
    let width_of = |column: Column| {
        let cells = lines.iter().map(|line| line.cell(column).width());
        cells.chain([column.title().width()]).max().unwrap_or(0)
    };
    let name_width = names.max().unwrap_or(0);
    let layout = Layout::fitting(width, report.columns(), &Column::DISPENSABLE, name_width, width_of);
    let mut table = Table::new();
    let titles = layout.columns.iter().map(|column| column.title().to_owned());
    table.load_style(STYLE).set_header(std::iter::once(shortened(&header, layout.name_width)).chain(titles));
    for line in &lines {
        let cells = layout.columns.iter().map(|column| line.cell(*column));
        table.add_row(std::iter::once(shortened(&line.name, layout.name_width)).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let body: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n\n{}\n{}", Escaped::text(&report.source), body.join("\n"), notes(report, width))
}

fn header(report: &Report) -> String {
    match report.by {
        Grouping::Calendar(_) | Grouping::Block(_) => format!("{} ({})", report.by, report.zone.name()),
        Grouping::By(_) => report.by.to_string(),
    }
}

/// A line of the table.
struct Line<'r> {
    name: String,
    sums: &'r UsageSums,
    kind: LineKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Row,
    /// Of groups that are not listed only some amounts are known.
    Others,
    Total,
}

impl Line<'_> {
    fn cell(&self, column: Column) -> String {
        match self.kind {
            LineKind::Others if !column.is_known_of_others() => String::new(),
            LineKind::Row | LineKind::Others => column.text(self.sums),
            LineKind::Total => column.total_text(self.sums),
        }
    }
}

fn lines(report: &Report) -> Vec<Line<'_>> {
    let line = |name, sums, kind| Line { name, sums, kind };
    let mut lines: Vec<_> =
        report.rows.iter().map(|row| line(row.label(), &row.sums, LineKind::Row)).collect();
    if report.others.groups > 0 {
        let name = format!("({} more)", number(report.others.groups));
        lines.push(line(name, &report.others.sums, LineKind::Others));
    }
    lines.push(line("total".to_owned(), &report.totals, LineKind::Total));
    lines
}

/// Returns the name as it is shown: escaped, and never empty.
pub(crate) fn shown(name: &str) -> String {
    if name.is_empty() { "(none)".to_owned() } else { Escaped::text(name).to_string() }
}

fn notes(report: &Report, width: Option<usize>) -> String {
    let lines = notes::of(report).into_iter().flat_map(|note| wrapped(&note, width.unwrap_or(usize::MAX)));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::tests::report_of;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut report = report_of(&["/home/user/日本語/a-project-with-a-long-name", "", "b\u{1b}[2J"]);
        (report.is_incomplete, report.totals.unfinished_responses) = (true, 1);
        for width in 40..140 {
            let text = text(&report, Some(width));
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width), "{width}\n{text}");
            assert!(text.contains("total tokens") && text.contains("(none)"), "{text}");
        }
        assert!(text(&report, None).contains("/home/user/日本語/a-project-with-a-long-name"));
    }
}
