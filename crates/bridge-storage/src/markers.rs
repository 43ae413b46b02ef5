//! The markers that belong to the rows of an upsert.

use std::collections::HashSet;

use bridge_core::{ResponseUsage, SessionId};

/// Returns the markers that belong to these rows, one for each session with a response among them.
///
/// An upsert adds them automatically. A caller that wants to know which sums they covered appends them to the rows and
/// reads their outcomes.
#[must_use]
pub fn markers(rows: &[ResponseUsage]) -> Vec<ResponseUsage> {
    first_responses(rows).into_iter().map(|place| marker(&rows[place].session)).collect()
}

pub(crate) fn marker(session: &SessionId) -> ResponseUsage {
    ResponseUsage::covered_sums(session.clone())
}

/// The places of the first response of each session.
pub(crate) fn first_responses(rows: &[ResponseUsage]) -> Vec<usize> {
    let mut sessions: HashSet<&SessionId> = HashSet::new();
    let mut previous = None;
    let mut places = Vec::new();
    for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.origin.is_response()) {
        // Most rows are next to others of their session.
        if previous.replace(&row.session) != Some(&row.session) && sessions.insert(&row.session) {
            places.push(place);
        }
    }
    places
}
