//! Suggestions for the value of the filter form.

use axum::response::Response;
use bridge_core::Escaped;
use bridge_storage::{Dimension, GroupPage};
use maud::{Markup, html};

use super::dimension::singular;
use super::layout::Frame;
use super::request::PageRequest;
use crate::dashboard::{Breakdown, DashboardTokenMetrics};

/// The path of the most used values of a dimension.
pub(super) const PATH: &str = "/suggestions";
/// Values of a dimension that are suggested.
const VALUES_MAX: u32 = 50;
/// Characters that the input of the filter form takes.
pub(super) const VALUE_LENGTH_MAX: usize = 512;

/// Returns the most used values of the dimension that the URL names, in the range and under the other filters of the URL. The
/// script asks for them when the filter form is opened.
pub(super) async fn suggestions(page: PageRequest) -> Response {
    let content = async {
        let dimension = &page.frame.view.by;
        // A condition on the dimension itself is replaced by the one that is being entered.
        let view = page.frame.view.without(dimension);
        let query = view.query(page.frame.now).list(dimension.clone(), GroupPage::top(VALUES_MAX));
        let metrics = page.counts(query).await?;
        let nothing = Breakdown::default();
        let list = metrics.breakdown(dimension).unwrap_or(&nothing);
        Ok(html! { datalist { (options(list, None)) } })
    };
    page.respond_part(content).await
}

/// Returns the list of the filter form: the values that the page shows anyway, each with its dimension. Without scripts it
/// is all that there is; the script replaces it by the most used values of the selected dimension.
pub(super) fn list(frame: &Frame, metrics: &DashboardTokenMetrics) -> Markup {
    html! {
        datalist #filter-values data-values=(frame.link(PATH, &frame.view.first_page())) {
            @for dimension in Dimension::ALL {
                @if let Some(list) = metrics.breakdown(dimension) { (options(list, Some(&singular(dimension)))) }
            }
        }
    }
}

fn options(list: &Breakdown, label: Option<&str>) -> Markup {
    html! {
        @for row in list.rows.iter().filter(|row| can_be_entered(&row.name)) {
            option value=(row.name) label=[label] {}
        }
    }
}

/// Returns whether the input can hold the value, and shows it as it is. It drops newlines, and control characters could
/// make one value look like another; links on the page lead to such values.
fn can_be_entered(value: &str) -> bool {
    !value.is_empty()
        && value.encode_utf16().count() <= VALUE_LENGTH_MAX
        && Escaped::text(value).to_string() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_the_input_holds_and_shows_as_it_is_can_be_entered() {
        for value in ["claude-opus-4-8", "<b>\"'&", "שלום", "/home/user/a b", &"x".repeat(VALUE_LENGTH_MAX)]
        {
            assert!(can_be_entered(value), "{value}");
        }
        let long = "é".repeat(VALUE_LENGTH_MAX + 1);
        for value in ["", "a\nb", "\u{202e}gpj.exe", "a\u{1b}[31m", &long] {
            assert!(!can_be_entered(value), "{value:?}");
        }
    }
}
