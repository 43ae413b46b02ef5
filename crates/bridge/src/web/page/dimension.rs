//! The presentation of dimensions on pages.

use std::borrow::Cow;

use bridge_storage::Dimension;

use super::layout::{Frame, Tab};
use super::view::Span;

/// The dimensions that the overview shows as cards.
pub(super) const OVERVIEW_CARDS: [Dimension; 9] = [
    Dimension::Project,
    Dimension::Model,
    Dimension::Developer,
    Dimension::Session,
    Dimension::Branch,
    Dimension::Host,
    Dimension::AgentType,
    Dimension::Skill,
    Dimension::McpServer,
];

/// The dimensions that the page of a session shows as cards.
pub(super) const SESSION_CARDS: [Dimension; 6] = [
    Dimension::Model,
    Dimension::Branch,
    Dimension::AgentType,
    Dimension::Skill,
    Dimension::McpServer,
    Dimension::McpTool,
];

/// The dimensions that the trend offers to be split by.
pub(super) const SPLITS: [Dimension; 4] =
    [Dimension::Model, Dimension::Project, Dimension::Host, Dimension::Origin];

const UUID_LENGTH: usize = 36;
/// The first two groups of digits.
const UUID_START: usize = 13;

/// Returns the dimension as the heading of a column.
pub(super) fn singular(dimension: &Dimension) -> Cow<'static, str> {
    match dimension {
        Dimension::McpServer => "MCP server".into(),
        Dimension::McpTool => "MCP tool".into(),
        Dimension::InferenceGeo => "Geography".into(),
        other => {
            let name = other.to_string().replace('_', " ");
            let (first, rest) = name.split_at_checked(1).unwrap_or(("", &name));
            format!("{}{rest}", first.to_uppercase()).into()
        }
    }
}

/// Returns the dimension as the title of a list.
pub(super) fn plural(dimension: &Dimension) -> Cow<'static, str> {
    match dimension {
        Dimension::Branch => "Branches".into(),
        Dimension::InferenceGeo => "Geographies".into(),
        Dimension::Effort => "Effort".into(),
        other => format!("{}s", singular(other)).into(),
    }
}

/// Returns the link to all values.
pub(super) fn page_of(frame: &Frame, dimension: &Dimension) -> String {
    match dimension {
        Dimension::Session => frame.link(Tab::Sessions.path(), &frame.view.first_page()),
        other => frame.link(Tab::Breakdown.path(), &frame.view.broken_down_by(other.clone())),
    }
}

/// Returns the link to a value: a session's page, or this page narrowed to the value.
pub(super) fn detail_of(frame: &Frame, dimension: &Dimension, value: &str) -> String {
    match dimension {
        Dimension::Session => {
            let id: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            // Within a path a blank is not `+`.
            let path = format!("/sessions/{}", id.replace('+', "%20"));
            frame.link(&path, &frame.view.cleared().with_span(Span::default()))
        }
        other => frame.link(frame.narrowed_path(), &frame.view.only(other, value)),
    }
}

/// Returns what fits a narrow column: the end of a path, the start of a long id.
pub(super) fn short<'a>(dimension: &Dimension, shown: &'a str) -> &'a str {
    match dimension {
        Dimension::Project => {
            let mut separators = shown.trim_end_matches(['/', '\\']).rmatch_indices(['/', '\\']);
            separators.nth(1).map_or(shown, |(at, separator)| &shown[at + separator.len()..])
        }
        Dimension::Session if shown.len() == UUID_LENGTH => shown.get(..UUID_START).unwrap_or(shown),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_has_a_title() {
        let titles: Vec<_> = Dimension::ALL.iter().map(plural).collect();
        assert!(titles.iter().all(|title| title.starts_with(char::is_uppercase)), "{titles:?}");
        assert_eq!(plural(&Dimension::ClientVersion), "Client versions");
    }

    #[test]
    fn a_path_is_shortened_to_its_end_and_an_id_to_its_start() {
        for (path, end) in [
            ("/home/user/projects/game", "projects/game"),
            (r"C:\work\game\", r"work\game\"),
            ("game", "game"),
            ("/game", "/game"),
            ("/a/é", "a/é"),
        ] {
            assert_eq!(short(&Dimension::Project, path), end);
        }
        let id = "e375320d-b6c0-4f1c-8d2a-0123456789ab";
        assert_eq!(short(&Dimension::Session, id), "e375320d-b6c0");
        assert_eq!(short(&Dimension::Model, id), id);
    }
}
