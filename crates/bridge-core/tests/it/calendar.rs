//! The calendar's steps against a slow reading of the local clock, minute by minute.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use bridge_core::{CalendarUnit, TimeZone, Timestamp};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const STEPS: [CalendarUnit; 5] =
    [CalendarUnit::Minute, CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month];

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    name.parse().unwrap()
}

/// Zones and instants near which their clocks, or dates, do something odd.
const ODD: [(&str, &str); 16] = [
    ("UTC", "2026-01-01T00:00:00Z"),
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Asia/Kolkata", "2026-02-28T18:30:00Z"),
    ("Asia/Kathmandu", "2026-03-01T18:15:00Z"),
    ("Australia/Eucla", "2026-05-31T15:15:00Z"),
    // Half an hour of daylight saving.
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    // Midnight is skipped, or comes twice.
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"),
    // A day is skipped, or (1969 is out of range) almost.
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    // 45 minutes ahead since a year's first instant.
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
];

/// `2026-03-29T03:10:00+02:00`, cut to what is the same throughout a step.
fn local(zone: &TimeZone, time: Timestamp, step: CalendarUnit) -> String {
    let text = zone.local(time);
    match step {
        CalendarUnit::Minute => format!("{}{}", &text[..16], &text[19..]),
        CalendarUnit::Hour => format!("{}{}", &text[..13], &text[19..]),
        CalendarUnit::Day => text[..10].to_owned(),
        CalendarUnit::Week => {
            let days: jiff::civil::Date = text[..10].parse().unwrap();
            let monday = days.iso_week_date();
            format!("{}-{}", monday.year(), monday.week())
        }
        CalendarUnit::Month => text[..7].to_owned(),
    }
}

/// The starts of the steps in these minutes: where the local label changes to one that was not there before.
fn slow_starts(zone: &TimeZone, step: CalendarUnit, minutes: impl Iterator<Item = i64>) -> Vec<Timestamp> {
    let mut starts = Vec::new();
    let mut greatest: Option<String> = None;
    for time in minutes.map(at) {
        let label = local(zone, time, step);
        // Hours come again with another offset; a date that comes again belongs to the day that has begun.
        let begins = match (&greatest, step) {
            (None, _) => true,
            (Some(known), CalendarUnit::Minute | CalendarUnit::Hour) => *known != label,
            (Some(known), _) => *known < label,
        };
        if begins {
            starts.push(time);
            greatest = Some(label);
        }
    }
    starts
}

#[test]
fn steps_begin_where_the_local_clock_says() {
    for (name, around) in ODD {
        let zone = zone(name);
        let middle = time(around).as_millis();
        let (from, to) = (middle - 3 * 1440 * MINUTE, middle + 3 * 1440 * MINUTE);
        for step in [CalendarUnit::Minute, CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Month] {
            let expected = slow_starts(&zone, step, (from..=to).step_by(60_000));
            let bounds = step.bounds(at(from), at(to), &zone, 10_000).unwrap();
            // The first step began before the first of the minutes.
            assert_eq!(bounds[1..bounds.len() - 1], expected[1..], "{step:?} in {name} around {around}");
            assert!(bounds[0] <= at(from) && bounds[bounds.len() - 1] > at(to), "{step:?} in {name}");
        }
    }
}

#[test]
fn weeks_begin_on_mondays() {
    for (name, around) in ODD {
        let zone = zone(name);
        let middle = time(around).as_millis();
        let bounds =
            CalendarUnit::Week.bounds(at(middle), at(middle + 40 * 1440 * MINUTE), &zone, 100).unwrap();
        for start in bounds {
            let date: jiff::civil::Date = zone.local(start)[..10].parse().unwrap();
            let skipped = date.weekday() == jiff::civil::Weekday::Tuesday;
            assert!(date.weekday() == jiff::civil::Weekday::Monday || skipped, "{name}: {start}");
            assert_eq!(CalendarUnit::Day.start_of(start, &zone), start, "{name}: {start}");
        }
    }
}

fn hours(from: &str, to: &str, name: &str) -> usize {
    let last = at(time(to).as_millis() - 1);
    CalendarUnit::Hour.bounds(time(from), last, &zone(name), 1_000).unwrap().len() - 1
}

#[test]
fn days_have_their_hours() {
    assert_eq!(hours("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "Europe/Berlin"), 23);
    assert_eq!(hours("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "Europe/Berlin"), 25);
    assert_eq!(hours("2026-01-30T18:30:00Z", "2026-01-31T18:30:00Z", "Asia/Kolkata"), 24);
    // 24.5 hours, and the hour from 1:30 to 2:00 stands alone.
    assert_eq!(hours("2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "Australia/Lord_Howe"), 25);
}

#[test]
fn a_skipped_day_is_no_day() {
    let bounds = CalendarUnit::Day
        .bounds(time("2011-12-29T20:00:00Z"), time("2011-12-30T20:00:00Z"), &zone("Pacific/Apia"), 10)
        .unwrap();
    let expected = ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"].map(time);
    assert_eq!(bounds, expected);
}

/// At 0:01 the clocks went back to 23:01: the day that had begun goes on.
#[test]
fn a_date_that_comes_again_is_no_second_day() {
    let (zone, again) = (zone("America/St_Johns"), time("2010-11-07T03:00:00Z"));
    assert_eq!(zone.local(again), "2010-11-06T23:30:00-03:30");
    assert_eq!(CalendarUnit::Day.start_of(again, &zone), time("2010-11-07T02:30:00Z"));
    assert_eq!(CalendarUnit::Day.end_of(again, &zone), time("2010-11-08T03:30:00Z"));
}

#[test]
fn the_ends_of_time_are_ends() {
    for name in ["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati"] {
        for step in STEPS {
            let zone = zone(name);
            assert_eq!(step.start_of(Timestamp::MIN, &zone), Timestamp::MIN);
            assert_eq!(step.end_of(Timestamp::MAX, &zone), Timestamp::MAX);
            let bounds = step.bounds(Timestamp::MAX, Timestamp::MAX, &zone, 3).unwrap();
            assert_eq!(bounds.len(), 2);
        }
    }
    let all = CalendarUnit::Month.bounds(Timestamp::MIN, Timestamp::MAX, &TimeZone::UTC, 4_000).unwrap();
    assert_eq!(all.len(), 330 * 12 + 1);
}

proptest! {
    /// Every instant lies in its step, and there is no gap between the steps.
    #[test]
    fn consecutive_steps_share_a_bound(millis in 0..Timestamp::MAX.as_millis(), place in 0..ODD.len(), step in 0_usize..4) {
        let (step, zone) = (STEPS[step], zone(ODD[place].0));
        let time = at(millis);
        let (start, end) = (step.start_of(time, &zone), step.end_of(time, &zone));
        prop_assert!(start <= time && time < end);
        prop_assert_eq!(step.start_of(start, &zone), start);
        prop_assert_eq!(step.end_of(start, &zone), end);
        prop_assert_eq!(step.start_of(end, &zone), end.min(Timestamp::MAX));
        prop_assert_eq!(step.end_of(at(end.as_millis() - 1), &zone), end);
    }
}
