//! The relay's connections, of which there is a limit.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::CONNECTIONS_MAX;

/// The open connections, and those among them whose request the engine has not got: where there are too many, the one
/// that has been so for the longest time makes way. So nobody keeps others out by being slow.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    streams: BTreeMap<u64, Arc<TcpStream>>,
}

impl Connections {
    /// A place for one more connection, if there is one.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let open = self.open.fetch_add(1, Ordering::SeqCst);
        let place = Place(Arc::clone(self));
        // The one that makes way is gone in a moment: there are never many more than the limit.
        if open < CONNECTIONS_MAX || self.end_longest_waiting() { Some(place) } else { None }
    }

    /// Counts a connection among those that may have to make way, as long as the guard lives.
    pub(super) fn wait(&self, stream: &Arc<TcpStream>) -> WaitingGuard<'_> {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.streams.insert(number, Arc::clone(stream));
        WaitingGuard { connections: self, number }
    }

    fn end_longest_waiting(&self) -> bool {
        let Some((_, stream)) = self.lock().streams.pop_first() else { return false };
        let _ = stream.shutdown(Shutdown::Both);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Connections>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection that may have to make way.
#[derive(Debug)]
pub(super) struct WaitingGuard<'a> {
    connections: &'a Connections,
    number: u64,
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.connections.lock().streams.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read;
    use std::net::TcpListener;

    #[test]
    fn the_connection_that_waits_longest_makes_way_and_busy_ones_stay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let outer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (outer, Arc::new(listener.accept().unwrap().0))
        };
        let connections = Arc::new(Connections::default());
        let mut places: Vec<_> = (0..CONNECTIONS_MAX).map(|_| connections.admit().unwrap()).collect();
        assert!(connections.admit().is_none(), "none of them waits");
        let ((mut first, first_inner), (_second, second_inner)) = (pair(), pair());
        let _first = connections.wait(&first_inner);
        let second = connections.wait(&second_inner);
        places.push(connections.admit().unwrap());
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        drop(second);
        assert!(connections.admit().is_none());
        places.truncate(CONNECTIONS_MAX - 1);
        assert!(connections.admit().is_some());
    }
}
