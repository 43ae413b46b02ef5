//! Assesses health, with advice for operators. Pure functions of the facts and the limits.

use std::time::Duration;

use bridge_core::{BridgeError, Escaped, HealthState, StoreMode};
use bridge_storage::{CircuitState, DiskSpace, NewestSource, PoolStatus};

use super::limits::HealthLimits;
use super::sources::{EXPIRING_WITHIN, Transcripts};
use crate::budgets::{BudgetState, BudgetStatus};
use crate::counted::{and_others, counted};
use crate::dashboard::hosts::HostFreshness;
use crate::dashboard::priced_tokens::PricedTokens;
use crate::ingest::SkippedSources;
use crate::telemetry::error_rate::Outcomes;
use crate::telemetry::panics::Panicked;

/// A state and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) state: HealthState,
    pub(super) detail: String,
}

impl Assessment {
    pub(super) fn healthy(detail: impl Into<String>) -> Self {
        Self { state: HealthState::Healthy, detail: detail.into() }
    }

    pub(super) fn degraded(detail: String) -> Self {
        Self { state: HealthState::Degraded, detail }
    }

    pub(super) fn unhealthy(detail: String) -> Self {
        Self { state: HealthState::Unhealthy, detail }
    }

    pub(super) fn failed(error: &BridgeError) -> Self {
        Self::unhealthy(format!("{error}; {}", crate::advice(error)))
    }
}

pub(super) fn sources(transcripts: &Transcripts) -> Assessment {
    let files = transcripts.files();
    if transcripts.roots == 0 {
        return Assessment::degraded("no folder with transcripts was found; set sources.paths".to_owned());
    }
    let Some(first) = transcripts.errors.first() else {
        return Assessment::healthy(counted(files, "transcript is readable", "transcripts are readable"));
    };
    let others = and_others(transcripts.errors.len() - 1);
    let found = counted(files, "transcript", "transcripts");
    let detail = format!("{first}{others}; {found} found; check that sources.paths exist and are readable");
    if files == 0 { Assessment::unhealthy(detail) } else { Assessment::degraded(detail) }
}

/// `unread` is how long a change has been waiting to be stored; `None` if all are stored.
pub(super) fn sync_lag(
    unread: Option<Duration>,
    left_out: Option<SkippedSources>,
    newest: Option<NewestSource>,
    limits: &HealthLimits,
) -> Assessment {
    let read_at = newest.map_or_else(
        || "nothing from this machine has been stored yet".to_owned(),
        |newest| format!("last stored at {}", newest.read_at),
    );
    let is_old = unread.is_some_and(|unread| unread > limits.sync_lag_max);
    if let Some(SkippedSources { unread, refused, first }) = left_out.filter(|_| !is_old) {
        let unread = counted(unread, "unreadable source", "unreadable sources");
        let refused = counted(refused, "invalid session", "invalid sessions");
        return Assessment::degraded(format!(
            "the last run skipped {unread} and {refused}, including {first}; {read_at}; the next run retries them"
        ));
    }
    match unread {
        None => Assessment::healthy(format!("everything is stored; {read_at}")),
        Some(unread) if unread <= limits.sync_lag_max => {
            Assessment::healthy(format!("changes of the last {} are not stored yet; {read_at}", span(unread)))
        }
        Some(unread) => Assessment::degraded(format!(
            "a changed transcript has been waiting to be stored for {}, longer than {}; {read_at}; run a synchronization, or \
             find out why it does not run",
            span(unread),
            span(limits.sync_lag_max)
        )),
    }
}

/// Adds the number of transcripts that are not stored and will be deleted soon.
pub(super) fn expiring(lag: Assessment, transcripts: usize) -> Assessment {
    if transcripts == 0 {
        return lag;
    }
    Assessment::degraded(format!(
        "{} will be deleted by the client within {}; {}",
        counted(transcripts, "transcript that is not stored", "transcripts that are not stored"),
        span(EXPIRING_WITHIN),
        lag.detail
    ))
}

pub(super) fn error_rate(outcomes: Outcomes, limits: &HealthLimits) -> Assessment {
    let Outcomes { operations, failures } = outcomes;
    let detail = format!(
        "{failures} of {operations} storage operations failed in {}: {}, with a limit of {}",
        span(limits.error_rate_window),
        percent(outcomes.rate()),
        percent(limits.error_rate_max)
    );
    if outcomes.rate() > limits.error_rate_max {
        Assessment::degraded(format!("{detail}; look up the errors in the audit or the log"))
    } else {
        Assessment::healthy(detail)
    }
}

/// Hosts that were not seen for longer than that, and not so long that nothing can be done.
pub(super) fn hosts(hosts: &[HostFreshness], limit: Duration) -> Assessment {
    let silent: Vec<_> = hosts.iter().filter(|host| host.is_silent(limit)).collect();
    let Some(first) = silent.first() else {
        let seen = counted(hosts.len(), "host, seen", "hosts, each seen");
        return Assessment::healthy(format!("{seen} within {}", span(limit)));
    };
    let others = and_others(silent.len() - 1);
    Assessment::degraded(format!(
        "host {}{others} not seen for {}, longer than {}; check why its service is not running",
        first.host,
        span(first.silent_for),
        span(limit)
    ))
}

/// Recent tokens without a price. `None` if there is no price list in use.
pub(super) fn prices(tokens: Option<&PricedTokens>, limit: Option<f64>) -> Assessment {
    let Some(limit) = limit else { return Assessment::healthy("no limit is set") };
    let Some(PricedTokens { total, unpriced, .. }) = tokens else {
        return Assessment::degraded(
            "no price list is in use, so nothing has a price; set pricing.enabled".to_owned(),
        );
    };
    let detail = format!("{} of the tokens of the last 7 days have no price", total.unpriced_percent());
    if total.unpriced_share() <= limit {
        return Assessment::healthy(detail);
    }
    let first = unpriced.first().map_or_else(String::new, |sums| {
        let model = sums.model.as_ref().map_or("no model", |model| model.as_str());
        let others = and_others(unpriced.len() - 1);
        format!(": {} ({}) since {}{others}", Escaped::text(model), sums.reason.name(), sums.since)
    });
    Assessment::degraded(format!(
        "{detail}, more than {}{first}; add a price to pricing.prices, or update the price list",
        percent(limit)
    ))
}

pub(super) fn observers(panicked: Option<Panicked>) -> Assessment {
    match panicked {
        None => Assessment::healthy("no observer has panicked"),
        Some(Panicked { number, last, last_at }) => Assessment::degraded(format!(
            "observers panicked {}, most recently {last} at {last_at}; fix the program that embeds the bridge",
            counted(number, "time", "times")
        )),
    }
}

pub(super) fn pool(status: PoolStatus) -> Assessment {
    let PoolStatus { in_use, waiting, size, .. } = status;
    let waiting = counted(waiting, "call is waiting", "calls are waiting");
    let detail = format!("{in_use} of {size} connections are in use, {waiting}");
    if in_use < size {
        Assessment::healthy(detail)
    } else {
        Assessment::degraded(format!(
            "{detail}; raise clickhouse.connection_pool_size, or run fewer operations concurrently"
        ))
    }
}

pub(super) fn mode(mode: &StoreMode) -> Assessment {
    match mode {
        StoreMode::Stored => Assessment::healthy("the store accepts writes"),
        StoreMode::Direct { checkpoint } => Assessment::degraded(format!(
            "rolled back to checkpoint {checkpoint}; nothing is stored until it is resumed"
        )),
    }
}

pub(super) fn circuit(state: &CircuitState) -> Assessment {
    match state {
        CircuitState::Closed { failures: 0 } => Assessment::healthy("closed"),
        CircuitState::Closed { failures } => {
            let attempts = match failures {
                1 => "attempt".to_owned(),
                failures => format!("{failures} attempts"),
            };
            Assessment::healthy(format!("closed; the last {attempts} did not reach the database"))
        }
        CircuitState::Open(pause) => Assessment::unhealthy(format!(
            "open: {pause}; restore the database, and the circuit closes automatically"
        )),
        CircuitState::Probing { cause } => {
            Assessment::degraded(format!("probing whether the database is back; last error: {cause}"))
        }
        _ => Assessment::degraded("unknown state".to_owned()),
    }
}

/// Reports a disk before its reserve is reached, because below it no table can be created.
fn reserve(disk: &DiskSpace) -> Option<Assessment> {
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let free = format!("{} of the database's disk {} are free", mebibytes(disk.free), disk.name);
    let reserve = mebibytes(disk.reserve);
    if disk.free < disk.reserve {
        return Some(Assessment::unhealthy(format!(
            "{free}, less than the reserve of {reserve}: checkpoints, rollbacks and migrations are refused; free space"
        )));
    }
    (disk.free < disk.reserve.saturating_mul(RESERVES_NEAR)).then(|| {
        Assessment::degraded(format!(
            "{free}, close to the reserve of {reserve} for table definitions; free space"
        ))
    })
}

/// Below this multiple of the reserve, a disk is degraded.
const RESERVES_NEAR: u64 = 4;

/// Assesses the fullest disk.
pub(super) fn disks(disks: &[DiskSpace], limits: &HealthLimits) -> Assessment {
    let fullest = disks.iter().min_by(|a, b| a.free_share().total_cmp(&b.free_share()));
    let Some(disk) = fullest else { return Assessment::healthy("the store uses no disk") };
    let share = disk.free_share();
    if let Some(assessment) = reserve(disk) {
        return assessment;
    }
    let detail = format!(
        "{} of the database's disk {} are free, {:.1} GB",
        percent(share),
        disk.name,
        disk.free as f64 / 1e9
    );
    if share >= limits.disk_free_min {
        return Assessment::healthy(detail);
    }
    let detail = format!("{detail}, less than {}; free space or enlarge it", percent(limits.disk_free_min));
    if share < limits.disk_free_min / 10.0 {
        Assessment::unhealthy(detail)
    } else {
        Assessment::degraded(detail)
    }
}

/// Reports budgets that are exceeded or not known, and those from the warning on. What is nearly spent needs no
/// attention of an operator yet: it is in the detail, and the metrics have it.
pub(super) fn budgets(statuses: &[BudgetStatus]) -> Assessment {
    let texts = |wanted: &[BudgetState]| -> Vec<String> {
        let in_state = statuses.iter().filter(|status| wanted.contains(&status.state));
        in_state.map(ToString::to_string).collect()
    };
    let bad = texts(&[BudgetState::Exceeded, BudgetState::Unknown]);
    if !bad.is_empty() {
        return Assessment::degraded(bad.join("; "));
    }
    let near = texts(&[BudgetState::Warning]);
    let detail =
        if near.is_empty() { "all budgets are within their limits".to_owned() } else { near.join("; ") };
    Assessment::healthy(detail)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Formats a time with at most two units.
fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthState::{Degraded, Healthy, Unhealthy};

    #[test]
    fn the_fullest_disk_counts_and_nearly_full_is_unhealthy() {
        let limits = HealthLimits::default();
        let state = |free: &[u64]| {
            let disk = |(place, free): (usize, &u64)| DiskSpace {
                name: place.to_string(),
                free: *free,
                total: 1000,
                reserve: 0,
            };
            disks(&free.iter().enumerate().map(disk).collect::<Vec<_>>(), &limits)
        };
        let reserved = |free| DiskSpace { name: "d".into(), free, total: 1_000_000, reserve: 100_000 };
        let states = [99_999, 100_000, 399_999, 400_000].map(|free| disks(&[reserved(free)], &limits).state);
        assert_eq!(states, [Unhealthy, Degraded, Degraded, Healthy]);
        assert_eq!(state(&[]).state, Healthy);
        assert_eq!(state(&[1000, 100]).state, Healthy);
        assert_eq!(state(&[1000, 99, 500]).state, Degraded);
        assert!(state(&[1000, 99, 500]).detail.starts_with("9.90 % of the database's disk 1 are free"));
        assert_eq!(
            [state(&[10]).state, state(&[9]).state, state(&[0]).state],
            [Degraded, Unhealthy, Unhealthy]
        );
    }

    #[test]
    fn more_errors_than_allowed_degrade() {
        let state = |operations, failures| {
            error_rate(Outcomes { operations, failures }, &HealthLimits::default()).state
        };
        assert_eq!(
            [state(0, 0), state(1000, 1), state(1000, 2), state(1, 1)],
            [Healthy, Healthy, Degraded, Degraded]
        );
    }

    #[test]
    fn an_exhausted_pool_degrades() {
        let state = |in_use, waiting| pool(PoolStatus { in_use, idle: 0, waiting, size: 2 }).state;
        assert_eq!(
            [state(0, 0), state(1, 0), state(2, 0), state(2, 5)],
            [Healthy, Healthy, Degraded, Degraded]
        );
    }

    #[test]
    fn times_have_at_most_two_units() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([text(0), text(59), text(3599)], ["0 ms", "59 s", "59 min"]);
        assert_eq!([text(3600), text(90_000)], ["1 h 0 min", "1 d 1 h"]);
    }
}
