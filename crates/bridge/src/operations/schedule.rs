//! The times at which `keep_in_sync` searches, polls, stores and watches next. It only calculates: the time comes from
//! the caller.

use std::time::Duration;

use tokio::time::Instant;

use crate::live::LiveOptions;

/// Searches of all transcripts that take longer than this are spread over time.
const LONG_SEARCH: Duration = Duration::from_millis(100);
/// A long search, and a poll, take at most this share of the time.
const SEARCH_SHARE: u32 = 20;
/// First wait before what failed is tried again; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// Longest wait before what failed is tried again.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Interval of the attempts to watch what could not be watched.
const WATCH_RETRY: Duration = Duration::from_mins(1);

/// The detection of changes between full searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noticing {
    /// By events.
    Events,
    /// By polling the recent files.
    Polls,
    /// Not at all: full searches are the polls.
    Searches,
}

/// When what is done next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    poll_interval: Duration,
    search_interval: Duration,
    /// Time of the next full search.
    next_search: Instant,
    /// Time of the next poll of the recent files, if they are polled.
    next_poll: Instant,
    /// Time of the next attempt to watch.
    next_watch: Instant,
    /// Earliest time of a full search that a source of changes asks for.
    no_search_before: Instant,
    /// Earliest time of the next update.
    no_update_before: Instant,
}

impl Schedule {
    /// Returns a schedule in which everything is due.
    pub(super) fn new(options: &LiveOptions, now: Instant) -> Self {
        Self {
            poll_interval: options.poll_interval,
            search_interval: options.search_interval,
            next_search: now,
            next_poll: now,
            next_watch: now,
            no_search_before: now,
            no_update_before: now,
        }
    }

    pub(super) fn is_search_due(&self, now: Instant) -> bool {
        now >= self.next_search
    }

    pub(super) fn is_poll_due(&self, now: Instant) -> bool {
        now >= self.next_poll
    }

    pub(super) fn is_watch_due(&self, now: Instant) -> bool {
        now >= self.next_watch
    }

    pub(super) fn next_search(&self) -> Instant {
        self.next_search
    }

    pub(super) fn next_poll(&self) -> Instant {
        self.next_poll
    }

    /// Returns the earliest time at which reported changes are stored. If it is unknown what changed, that takes a full
    /// search.
    pub(super) fn earliest_work(&self, takes_search: bool) -> Instant {
        if takes_search { self.no_search_before } else { self.no_update_before }
    }

    /// Plans what follows a full search that took this long. One that found changes was worth its time, and is not
    /// delayed.
    pub(super) fn after_search(
        &mut self,
        now: Instant,
        took: Duration,
        found_changes: bool,
        noticing: Noticing,
    ) {
        let interval = match noticing {
            Noticing::Events => self.search_interval,
            Noticing::Polls => self.search_interval.max(self.poll_interval),
            Noticing::Searches => self.poll_interval,
        };
        let is_vain = took > LONG_SEARCH && !found_changes;
        let pause = if is_vain { took * (SEARCH_SHARE - 1) } else { Duration::ZERO };
        self.next_poll = now + self.poll_interval;
        self.no_search_before = now + pause;
        self.next_search = now + interval.max(pause);
    }

    /// Plans what follows the failure of a full search, the last of this many in a row.
    pub(super) fn after_failed_search(&mut self, now: Instant, failures: u64) {
        self.no_search_before = now + self.retry_wait(failures);
        self.next_search = self.no_search_before;
    }

    /// Plans what follows an update that took this long: half of the time is left to others.
    pub(super) fn after_update(&mut self, now: Instant, took: Duration) {
        self.no_update_before = now + took;
    }

    /// Plans what follows the failure of an update, the last of this many in a row.
    pub(super) fn after_failed_update(&mut self, now: Instant, failures: u64) {
        self.no_update_before = now + self.retry_wait(failures);
    }

    /// Plans what follows a poll of the recent files that took this long.
    pub(super) fn after_poll(&mut self, now: Instant, took: Duration) {
        self.next_poll = now + self.poll_interval.max(took * (SEARCH_SHARE - 1));
    }

    /// Plans what follows a poll that failed: the recent files are unknown until the next search.
    pub(super) fn after_failed_poll(&mut self, now: Instant) {
        self.next_search = now + self.poll_interval;
    }

    /// Plans what follows the end of the events.
    pub(super) fn after_lost_events(&mut self, now: Instant, polls_recent: bool) {
        self.next_watch = now + WATCH_RETRY;
        if !polls_recent {
            self.next_search = self.next_search.min(now + self.poll_interval);
        }
    }

    fn retry_wait(&self, failures: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(10);
        FIRST_RETRY.saturating_mul(1 << doublings).min(RETRY_MAX).min(self.poll_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule() -> (Schedule, Instant) {
        let mut options = LiveOptions::polling(5 * SECOND);
        options.search_interval = 300 * SECOND;
        let now = Instant::now();
        (Schedule::new(&options, now), now)
    }

    #[test]
    fn everything_is_due_at_the_start() {
        let (schedule, now) = schedule();
        assert!(schedule.is_search_due(now) && schedule.is_poll_due(now) && schedule.is_watch_due(now));
        assert_eq!([true, false].map(|takes_search| schedule.earliest_work(takes_search)), [now, now]);
    }

    #[test]
    fn the_next_search_depends_on_how_changes_are_noticed() {
        let next = |noticing| {
            let (mut schedule, now) = schedule();
            schedule.after_search(now, SECOND / 100, false, noticing);
            assert_eq!(schedule.next_poll() - now, 5 * SECOND);
            (schedule.next_search() - now).as_secs()
        };
        assert_eq!([Noticing::Events, Noticing::Polls, Noticing::Searches].map(next), [300, 300, 5]);
    }

    #[test]
    fn long_searches_in_vain_take_a_twentieth_of_the_time() {
        let waits = |took, found_changes| {
            let (mut schedule, now) = schedule();
            schedule.after_search(now, took, found_changes, Noticing::Searches);
            [schedule.next_search(), schedule.earliest_work(true)].map(|time| time - now)
        };
        assert_eq!(waits(2 * SECOND, false), [38 * SECOND; 2]);
        assert_eq!(waits(2 * SECOND, true), [5 * SECOND, Duration::ZERO]);
        assert_eq!(waits(SECOND / 10, false), [5 * SECOND, Duration::ZERO], "it is short");
        let (mut schedule, now) = schedule();
        schedule.after_poll(now, SECOND);
        assert_eq!(schedule.next_poll() - now, 19 * SECOND);
        schedule.after_poll(now, SECOND / 1000);
        assert_eq!(schedule.next_poll() - now, 5 * SECOND);
    }

    #[test]
    fn waits_double_with_each_failure_up_to_the_poll_interval() {
        let (mut schedule, now) = schedule();
        let waits = [1, 2, 3, 5, 6, 7, u64::MAX].map(|failures| {
            schedule.after_failed_update(now, failures);
            schedule.after_failed_search(now, failures);
            assert_eq!(schedule.next_search(), schedule.earliest_work(false));
            assert_eq!(schedule.next_search(), schedule.earliest_work(true));
            (schedule.next_search() - now).as_millis()
        });
        assert_eq!(waits, [250, 500, 1000, 4000, 5000, 5000, 5000]);
    }

    #[test]
    fn an_update_leaves_half_of_the_time_and_does_not_delay_searches() {
        let (mut schedule, now) = schedule();
        schedule.after_update(now, 3 * SECOND);
        assert_eq!(schedule.earliest_work(false) - now, 3 * SECOND);
        assert!(schedule.is_search_due(now));
    }

    #[test]
    fn lost_events_bring_the_next_search_forward_unless_recent_files_are_polled() {
        let (mut schedule, now) = schedule();
        schedule.after_search(now, SECOND, true, Noticing::Events);
        schedule.after_lost_events(now, true);
        assert_eq!(schedule.next_search() - now, 300 * SECOND);
        assert!(!schedule.is_watch_due(now + 59 * SECOND) && schedule.is_watch_due(now + 60 * SECOND));
        schedule.after_lost_events(now, false);
        assert_eq!(schedule.next_search() - now, 5 * SECOND);
        schedule.after_lost_events(now + SECOND, false);
        assert_eq!(schedule.next_search() - now, 5 * SECOND, "it is not put off");
    }

    #[test]
    fn a_failed_poll_is_followed_by_a_search() {
        let (mut schedule, now) = schedule();
        schedule.after_search(now, SECOND, true, Noticing::Polls);
        schedule.after_failed_poll(now);
        assert_eq!(schedule.next_search() - now, 5 * SECOND);
    }
}
