//! The rows of an upsert with the markers that belong to them.

use std::collections::{HashMap, HashSet};

use bridge_core::{Origin, ResponseKey, ResponseUsage};

use crate::markers::{first_responses, marker};
use crate::store::UpsertOutcome;

/// The rows that an upsert merges into the store, with a marker before the first response of each session.
///
/// Every session with an offered response gets a marker, even if a greater version of the response is stored, perhaps
/// under another session: otherwise the result would depend on the order in which rows arrive. Sums of a session whose
/// responses are all counted elsewhere do not count, because they are sums of those responses.
pub(crate) struct RowsWithMarkers<'a> {
    rows: &'a [ResponseUsage],
    /// The markers that the upsert adds, each with the place before which it is inserted; not those of the caller.
    markers: Vec<(usize, ResponseUsage)>,
    /// The places of the caller's own markers, by the place before which each is inserted.
    brought: HashMap<usize, usize>,
}

impl<'a> RowsWithMarkers<'a> {
    pub(crate) fn new(rows: &'a [ResponseUsage]) -> Self {
        let of_caller: HashMap<ResponseKey, usize> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.origin == Origin::Covered)
            .map(|(place, row)| (row.key, place))
            .collect();
        let (mut markers, mut brought) = (Vec::new(), HashMap::new());
        for place in first_responses(rows) {
            let marker = marker(&rows[place].session);
            match of_caller.get(&marker.key) {
                Some(own) => drop(brought.insert(place, *own)),
                None => markers.push((place, marker)),
            }
        }
        Self { rows, markers, brought }
    }

    /// Returns the rows to merge, in order, each with its place among the caller's.
    pub(crate) fn candidates(&self) -> Vec<Candidate<'_>> {
        let mut candidates = Vec::with_capacity(self.rows.len() + self.markers.len());
        let mut markers = self.markers.iter().peekable();
        let moved: HashSet<usize> = self.brought.values().copied().collect();
        for (place, row) in self.rows.iter().enumerate() {
            if let Some((_, marker)) = markers.next_if(|(before, _)| *before == place) {
                candidates.push(Candidate { row: marker, place: None, belongs_to: place });
            }
            if let Some(own) = self.brought.get(&place) {
                candidates.push(Candidate { row: &self.rows[*own], place: Some(*own), belongs_to: *own });
            }
            if !moved.contains(&place) {
                candidates.push(Candidate { row, place: Some(place), belongs_to: place });
            }
        }
        candidates
    }

    /// Returns the outcomes as if nothing were written: sums are covered if responses of their session are offered too.
    pub(crate) fn outcomes(&self) -> Vec<UpsertOutcome> {
        let keys: HashSet<ResponseKey> = self.markers.iter().map(|(_, marker)| marker.key).collect();
        let brought: HashSet<ResponseKey> =
            self.brought.values().map(|place| self.rows[*place].key).collect();
        let outcome = |row: &ResponseUsage| match row.origin {
            Origin::Summed if keys.contains(&row.key) || brought.contains(&row.key) => UpsertOutcome::Covered,
            _ => UpsertOutcome::Unchanged,
        };
        self.rows.iter().map(outcome).collect()
    }
}

/// A row to merge, and its place among the caller's; a marker that the upsert added has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) row: &'a ResponseUsage,
    place: Option<usize>,
    /// The place of the caller's row for which it is written.
    pub(crate) belongs_to: usize,
}

impl Candidate<'_> {
    /// Sets the outcome of the caller's row; that of a note stays [`UpsertOutcome::Unchanged`].
    pub(crate) fn set_outcome(&self, outcomes: &mut [UpsertOutcome], outcome: UpsertOutcome) {
        if let Some(place) = self.place.filter(|_| self.row.origin != Origin::Analysis) {
            outcomes[place] = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markers::markers;
    use bridge_core::{SessionId, Timestamp};

    fn row(key: u128, session: &str, origin: Origin) -> ResponseUsage {
        let session = SessionId::new(session).unwrap();
        ResponseUsage { origin, ..ResponseUsage::new(ResponseKey(key), session, Timestamp::MIN) }
    }

    fn keys(rows: &[ResponseUsage]) -> Vec<(ResponseKey, Option<usize>)> {
        let offered = RowsWithMarkers::new(rows);
        offered.candidates().iter().map(|candidate| (candidate.row.key, candidate.place)).collect()
    }

    #[test]
    fn a_marker_goes_before_the_first_response_of_its_session() {
        let sums = row(9, "c", Origin::Summed);
        let mut rows = vec![
            sums,
            row(1, "a", Origin::Assistant),
            row(2, "b", Origin::Nested),
            row(3, "a", Origin::Other),
        ];
        let [a, b] = ["a", "b"].map(|name| ResponseKey::of_session_sums(&SessionId::new(name).unwrap()));
        let key = ResponseKey;
        let expected = [
            (key(9), Some(0)),
            (a, None),
            (key(1), Some(1)),
            (b, None),
            (key(2), Some(2)),
            (key(3), Some(3)),
        ];
        assert_eq!(keys(&rows), expected);
        // The caller's own marker takes that place.
        rows.extend(markers(&rows));
        let expected = [
            (key(9), Some(0)),
            (a, Some(4)),
            (key(1), Some(1)),
            (b, Some(5)),
            (key(2), Some(2)),
            (key(3), Some(3)),
        ];
        assert_eq!(keys(&rows), expected);
    }
}
