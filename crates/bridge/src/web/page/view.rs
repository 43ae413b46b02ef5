//! The state of a page, which is its URL: it can be bookmarked, shared and gone back to.

use bridge_core::{CalendarUnit, InvalidValue, TimeRange, TimeZone, Timestamp};
use bridge_storage::{Dimension, Direction, GroupOrder, GroupPage};

use crate::dashboard::DashboardQuery;
use crate::web::dashboard::{DIRECTIONS, ORDERS, STEPS};
use crate::web::parameters::Parameters;

/// Rows of a page of groups.
pub(super) const ROWS: u32 = 50;
const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// The longest ranges that the trend shows by minutes, hours, days and weeks: bars stay wider than a pixel on a phone.
const MINUTES_UP_TO: i64 = 2 * HOUR_MILLIS;
const HOURS_UP_TO: i64 = 3 * DAY_MILLIS;
const DAYS_UP_TO: i64 = 120 * DAY_MILLIS;
const WEEKS_UP_TO: i64 = 800 * DAY_MILLIS;

/// A time range that moves along with the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Preset {
    Today,
    ThisWeek,
    ThisMonth,
    Days7,
    #[default]
    Days30,
    Days90,
    Days365,
    All,
}

impl Preset {
    /// The presets, under the words of the parameter `range`.
    pub(super) const BY_WORD: [(&str, Self); 8] = [
        ("today", Self::Today),
        ("week", Self::ThisWeek),
        ("month", Self::ThisMonth),
        ("7d", Self::Days7),
        ("30d", Self::Days30),
        ("90d", Self::Days90),
        ("365d", Self::Days365),
        ("all", Self::All),
    ];

    /// Returns the label in three parts. A narrow screen has room for the middle one only.
    pub(super) fn label(self) -> [&'static str; 3] {
        match self {
            Self::Today => ["", "Today", ""],
            Self::ThisWeek => ["This ", "week", ""],
            Self::ThisMonth => ["This ", "month", ""],
            Self::Days7 => ["", "7 d", "ays"],
            Self::Days30 => ["", "30 d", "ays"],
            Self::Days90 => ["", "90 d", "ays"],
            Self::Days365 => ["", "365 d", "ays"],
            Self::All => ["", "All", ""],
        }
    }

    /// Returns the range as the end of a sentence.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::ThisWeek => "this week",
            Self::ThisMonth => "this month",
            Self::Days7 => "last 7 days",
            Self::Days30 => "last 30 days",
            Self::Days90 => "last 90 days",
            Self::Days365 => "last 365 days",
            Self::All => "all time",
        }
    }

    fn range(self, now: Timestamp, zone: &TimeZone) -> TimeRange {
        let of = |unit: CalendarUnit| TimeRange {
            start: Some(unit.start_of(now, zone)),
            end: Some(unit.end_of(now, zone)),
        };
        let last = |days| TimeRange::last_calendar_days(now, days, zone);
        match self {
            Self::Today => of(CalendarUnit::Day),
            Self::ThisWeek => of(CalendarUnit::Week),
            Self::ThisMonth => of(CalendarUnit::Month),
            Self::Days7 => last(7),
            Self::Days30 => last(30),
            Self::Days90 => last(90),
            Self::Days365 => last(365),
            Self::All => TimeRange::ALL,
        }
    }
}

/// The time range of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Preset(Preset),
    Fixed(TimeRange),
}

impl Default for Span {
    fn default() -> Self {
        Self::Preset(Preset::default())
    }
}

impl Span {
    pub(super) const EVER: Self = Self::Preset(Preset::All);

    pub(super) fn range(self, now: Timestamp, zone: &TimeZone) -> TimeRange {
        match self {
            Self::Preset(preset) => preset.range(now, zone),
            Self::Fixed(range) => range,
        }
    }
}

/// The amount that the trend shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Unit {
    #[default]
    Tokens,
    Cost,
}

impl Unit {
    /// The units, under the words of the parameter `unit`.
    pub(super) const BY_WORD: [(&str, Self); 2] = [("tokens", Self::Tokens), ("cost", Self::Cost)];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Tokens => "Tokens",
            Self::Cost => "Cost",
        }
    }
}

/// A condition on a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) dimension: Dimension,
    /// Only responses with one of the values, or only the others.
    pub(super) only: bool,
    pub(super) values: Vec<String>,
}

/// The conditions of the filter form: whether only the responses with the value are admitted, or only the others.
const CONDITIONS: [(&str, bool); 2] = [("is", true), ("is-not", false)];

/// The dimension that the trend is split by, unless the URL names another one.
const SPLIT: Dimension = Dimension::Model;
/// The dimension of the breakdown, unless the URL names another one.
const BREAKDOWN: Dimension = Dimension::Project;

/// The state of a page.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) span: Span,
    pub(super) zone: TimeZone,
    /// The zone of a URL that names none.
    default_zone: TimeZone,
    /// The steps of the trend; `None` for those that suit the range.
    pub(super) step: Option<CalendarUnit>,
    /// The unit of the trend.
    pub(super) unit: Unit,
    /// The dimension that the trend is split by.
    pub(super) split: Dimension,
    /// The dimension of the breakdown.
    pub(super) by: Dimension,
    pub(super) conditions: Vec<Condition>,
    pub(super) order: GroupOrder,
    pub(super) direction: Direction,
    pub(super) offset: u32,
}

impl View {
    /// Takes the state from the parameters, which note what is wrong with them.
    pub(super) fn take(parameters: &mut Parameters, default_zone: &TimeZone) -> Self {
        let zone = parameters.value("zone").unwrap_or_else(|| default_zone.clone());
        let range = TimeRange {
            start: bound(parameters, "from", |date| zone.start_of(date)),
            end: bound(parameters, "to", |date| zone.end_of(date)),
        };
        if range.validated().is_err() {
            parameters.reject("to", "must not be before from");
        }
        let preset = parameters.choice("range", &Preset::BY_WORD);
        let span = match preset {
            None if !range.is_all() => Span::Fixed(range),
            preset => Span::Preset(preset.unwrap_or_default()),
        };
        let conditions = parameters.conditions().into_iter();
        let conditions = conditions.map(|(dimension, only, values)| Condition { dimension, only, values });
        // The filter form sends its condition in three parts.
        let added = parameters.value("filter").zip(parameters.text("value"));
        if let Some((dimension, value)) = &added {
            parameters.check_values("value", dimension, std::slice::from_ref(value));
        }
        let only = parameters.choice("condition", &CONDITIONS).unwrap_or(true);
        let view = Self {
            span,
            zone,
            default_zone: default_zone.clone(),
            step: parameters.choice("step", &STEPS),
            unit: parameters.choice("unit", &Unit::BY_WORD).unwrap_or_default(),
            split: parameters.value("split").unwrap_or(SPLIT),
            by: parameters.value("by").unwrap_or(BREAKDOWN),
            conditions: conditions.collect(),
            order: parameters.choice("order", &ORDERS).unwrap_or_default(),
            direction: parameters.choice("direction", &DIRECTIONS).unwrap_or_default(),
            offset: parameters.number("offset", 0..=u32::MAX).unwrap_or_default(),
        };
        match added {
            Some((dimension, value)) => view.with_condition(&dimension, only, &value),
            None => view,
        }
    }

    /// Returns the query of the responses that the page shows, with their trend.
    pub(super) fn trend_query(&self, now: Timestamp) -> DashboardQuery {
        self.query(now).trend_by(self.split.clone())
    }

    /// Returns the query of the responses that the page shows. It lists no groups, and makes no receipt.
    pub(super) fn query(&self, now: Timestamp) -> DashboardQuery {
        let range = self.span.range(now, &self.zone);
        let query = DashboardQuery::new(range).by(self.step_of(range, now), self.zone.clone());
        let query = query.without_receipt().without_lists();
        self.conditions.iter().fold(query, |query, Condition { dimension, only, values }| match only {
            true => query.with_values(dimension.clone(), values),
            false => query.without_values(dimension.clone(), values),
        })
    }

    /// Returns the asked for or the suitable steps of a trend over this range.
    fn step_of(&self, range: TimeRange, now: Timestamp) -> CalendarUnit {
        let suitable = || {
            let Some(start) = range.start else { return CalendarUnit::Month };
            let length = range.end.unwrap_or(now).as_millis().saturating_sub(start.as_millis());
            let units = [
                (MINUTES_UP_TO, CalendarUnit::Minute),
                (HOURS_UP_TO, CalendarUnit::Hour),
                (DAYS_UP_TO, CalendarUnit::Day),
                (WEEKS_UP_TO, CalendarUnit::Week),
            ];
            units
                .into_iter()
                .find(|(up_to, _)| length <= *up_to)
                .map_or(CalendarUnit::Month, |(_, unit)| unit)
        };
        self.step.unwrap_or_else(suitable)
    }

    /// Returns the page of groups that the state asks for.
    pub(super) fn groups(&self) -> GroupPage {
        GroupPage::top(ROWS).sorted(self.order, self.direction).after(self.offset)
    }

    /// Returns the state on the first page.
    pub(super) fn first_page(&self) -> Self {
        Self { offset: 0, ..self.clone() }
    }

    pub(super) fn at(&self, offset: u32) -> Self {
        Self { offset, ..self.clone() }
    }

    pub(super) fn with_span(&self, span: Span) -> Self {
        Self { span, step: None, ..self.first_page() }
    }

    pub(super) fn with_step(&self, step: Option<CalendarUnit>) -> Self {
        Self { step, ..self.clone() }
    }

    pub(super) fn with_unit(&self, unit: Unit) -> Self {
        Self { unit, ..self.clone() }
    }

    pub(super) fn with_split(&self, split: Dimension) -> Self {
        Self { split, ..self.clone() }
    }

    /// Returns the state of the first page of another breakdown.
    pub(super) fn broken_down_by(&self, by: Dimension) -> Self {
        Self { by, ..self.first_page() }
    }

    /// Returns the state sorted by this; by the other direction if it is already.
    pub(super) fn sorted_by(&self, order: GroupOrder) -> Self {
        let direction = match (self.order == order, self.direction) {
            (true, Direction::Descending) => Direction::Ascending,
            (true, Direction::Ascending) => Direction::Descending,
            (false, _) if order == GroupOrder::Name => Direction::Ascending,
            (false, _) => Direction::Descending,
        };
        Self { order, direction, ..self.first_page() }
    }

    /// Returns the state narrowed to this value of a dimension.
    pub(super) fn only(&self, dimension: &Dimension, value: &str) -> Self {
        self.with_condition(dimension, true, value)
    }

    fn with_condition(&self, dimension: &Dimension, only: bool, value: &str) -> Self {
        let mut view = self.without(dimension);
        let values = vec![value.to_owned()];
        view.conditions.push(Condition { dimension: dimension.clone(), only, values });
        view
    }

    /// Returns the state without conditions on this dimension.
    pub(super) fn without(&self, dimension: &Dimension) -> Self {
        let mut view = self.first_page();
        view.conditions.retain(|condition| condition.dimension != *dimension);
        view
    }

    /// Returns the state without conditions.
    pub(super) fn cleared(&self) -> Self {
        Self { conditions: Vec::new(), ..self.first_page() }
    }

    /// Returns the query of a URL with this state: only what differs from the default, with `?` unless that is nothing.
    pub(super) fn search(&self) -> String {
        let mut search = form_urlencoded::Serializer::new(String::new());
        match self.span {
            Span::Preset(preset) if preset == Preset::default() => {}
            Span::Preset(preset) => {
                search.append_pair("range", word(&Preset::BY_WORD, preset));
            }
            Span::Fixed(TimeRange { start, end }) => {
                for (name, time) in [("from", start), ("to", end)] {
                    if let Some(time) = time {
                        search.append_pair(name, &time.to_string());
                    }
                }
            }
        }
        if self.zone != self.default_zone {
            search.append_pair("zone", self.zone.name());
        }
        if let Some(step) = self.step {
            search.append_pair("step", word(&STEPS, step));
        }
        if self.unit != Unit::default() {
            search.append_pair("unit", word(&Unit::BY_WORD, self.unit));
        }
        for (name, dimension, default) in [("split", &self.split, SPLIT), ("by", &self.by, BREAKDOWN)] {
            if *dimension != default {
                search.append_pair(name, &dimension.to_string());
            }
        }
        for Condition { dimension, only, values } in &self.conditions {
            let name = if *only { dimension.to_string() } else { format!("{dimension}!") };
            values.iter().for_each(|value| {
                search.append_pair(&name, value);
            });
        }
        if self.order != GroupOrder::default() {
            search.append_pair("order", word(&ORDERS, self.order));
        }
        if self.direction != Direction::default() {
            search.append_pair("direction", word(&DIRECTIONS, self.direction));
        }
        if self.offset > 0 {
            search.append_pair("offset", &self.offset.to_string());
        }
        let search = search.finish();
        if search.is_empty() { search } else { format!("?{search}") }
    }

    /// Returns all parameters but these, for the hidden inputs of a form.
    pub(super) fn hidden(&self, except: &[&str]) -> Vec<(String, String)> {
        let search = self.search();
        let pairs = form_urlencoded::parse(search.trim_start_matches('?').as_bytes());
        pairs.into_owned().filter(|(name, _)| !except.contains(&name.as_str())).collect()
    }
}

/// Takes an instant, or a date, which has a start and an end.
fn bound(
    parameters: &mut Parameters,
    name: &str,
    of_date: impl Fn(&str) -> Result<Timestamp, InvalidValue>,
) -> Option<Timestamp> {
    let text = parameters.text(name).filter(|text| !text.is_empty())?;
    let time = if text.len() == DATE_LENGTH { of_date(&text) } else { text.parse() };
    time.map_err(|error| parameters.reject(name, &error.to_string())).ok()
}

/// `2026-03-01`
const DATE_LENGTH: usize = 10;

fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}
