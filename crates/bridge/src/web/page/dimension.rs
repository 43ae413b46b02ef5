//! The dimensions by which pages break sums down, and filter.

use bridge_storage::GroupPage;

use super::layout::{Frame, Tab};
use super::view::Span;
use crate::dashboard::{Breakdown, DashboardQuery, DashboardTokenMetrics};
use crate::web::parameters::Parameters;

const UUID_LENGTH: usize = 36;
/// The first two groups of digits.
const UUID_START: usize = 13;

/// A dimension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Dimension {
    #[default]
    Model,
    Project,
    Host,
    Session,
}

impl Dimension {
    /// Those that the overview shows.
    pub(super) const CARDS: [Self; 4] = [Self::Project, Self::Model, Self::Session, Self::Host];

    /// Those that the page of a session shows.
    pub(super) const SESSION_CARDS: [Self; 1] = [Self::Model];

    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(_, dimension)| dimension)
    }

    pub(super) const ALL: [(&str, Self); 4] = [
        ("project", Self::Project),
        ("model", Self::Model),
        ("host", Self::Host),
        ("session", Self::Session),
    ];

    pub(super) fn name(&self) -> &'static str {
        Self::ALL.iter().find(|(_, dimension)| dimension == self).map_or("", |(name, _)| name)
    }

    pub(super) fn singular(&self) -> &'static str {
        match self {
            Self::Model => "Model",
            Self::Project => "Project",
            Self::Host => "Host",
            Self::Session => "Session",
        }
    }

    pub(super) fn plural(&self) -> &'static str {
        match self {
            Self::Model => "Models",
            Self::Project => "Projects",
            Self::Host => "Hosts",
            Self::Session => "Sessions",
        }
    }

    /// Returns the link to all of its groups.
    pub(super) fn page(&self, frame: &Frame) -> String {
        match self {
            Self::Session => frame.link(Tab::Sessions.path(), &frame.view.first_page()),
            other => frame.link(Tab::Breakdown.path(), &frame.view.first_page().with_stack(other.clone())),
        }
    }

    /// Returns the link to one of its groups: a session's page, or this page narrowed to the group.
    pub(super) fn detail(&self, frame: &Frame, value: &str) -> String {
        match self {
            Self::Session => {
                let id: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                // Within a path a blank is not `+`.
                frame.link(
                    &format!("/sessions/{}", id.replace('+', "%20")),
                    &frame.view.cleared().with_span(Span::default()),
                )
            }
            other => frame.link(frame.narrowed_path(), &frame.view.only(other, value)),
        }
    }

    /// Returns the end of a path, and the start of a long id.
    pub(super) fn short(&self, shown: &str) -> String {
        match self {
            Self::Project => {
                let parts: Vec<_> =
                    shown.rsplit(['/', '\\']).filter(|part| !part.is_empty()).take(2).collect();
                parts.into_iter().rev().collect::<Vec<_>>().join("/")
            }
            Self::Session if shown.len() == UUID_LENGTH && shown.is_ascii() => shown[..UUID_START].to_owned(),
            _ => shown.to_owned(),
        }
    }

    pub(super) fn take(parameters: &mut Parameters, name: &str) -> Option<Self> {
        let word = parameters.text(name)?;
        let known = Self::ALL.into_iter().find(|(name, _)| *name == word);
        if known.is_none() {
            parameters.reject(name, "must be a dimension");
        }
        known.map(|(_, dimension)| dimension)
    }

    pub(super) fn take_filters(parameters: &mut Parameters) -> Vec<(Self, String)> {
        let value = |(name, dimension)| Some((dimension, parameters.text(name)?));
        Self::ALL.into_iter().filter_map(value).collect()
    }

    pub(super) fn only(&self, query: DashboardQuery, value: &str) -> DashboardQuery {
        match self {
            Self::Model => query.of_models([value]),
            Self::Project => query.of_projects([value]),
            Self::Host => query.of_hosts([value]),
            Self::Session => query.of_sessions(bridge_core::SessionId::new(value).ok()),
        }
    }

    pub(super) fn list(&self, query: DashboardQuery, page: GroupPage) -> DashboardQuery {
        match self {
            Self::Model => query.list_models(page),
            Self::Project => query.list_projects(page),
            Self::Host => query.list_hosts(page),
            Self::Session => query.list_sessions(page),
        }
    }

    pub(super) fn of<'m>(&self, metrics: &'m DashboardTokenMetrics) -> &'m Breakdown {
        match self {
            Self::Model => &metrics.models,
            Self::Project => &metrics.projects,
            Self::Host => &metrics.hosts,
            Self::Session => &metrics.sessions,
        }
    }
}
