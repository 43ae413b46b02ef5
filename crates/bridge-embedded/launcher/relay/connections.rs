//! The relay's connections, limited in number.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::CONNECTIONS_MAX;

/// Open connections, and those among them whose request has not reached the engine yet: above the limit the one that
/// has waited longest is evicted, so slow clients cannot keep others out.
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
    /// Admits one more connection, if there is room or a connection to evict.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let open = self.open.fetch_add(1, Ordering::SeqCst);
        let permit = Permit(Arc::clone(self));
        // The evicted one closes in a moment, so the limit is exceeded briefly at most.
        (open < CONNECTIONS_MAX || self.evict_longest_waiting()).then_some(permit)
    }

    /// Makes a connection evictable as long as the guard lives.
    pub(super) fn wait(&self, stream: &Arc<TcpStream>) -> WaitingGuard<'_> {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.streams.insert(number, Arc::clone(stream));
        WaitingGuard { connections: self, number }
    }

    fn evict_longest_waiting(&self) -> bool {
        let Some((_, stream)) = self.lock().streams.pop_first() else { return false };
        let _ = stream.shutdown(Shutdown::Both);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permission for one connection; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Permit(Arc<Connections>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection that may be evicted.
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
    fn longest_waiting_connection_is_evicted_and_busy_ones_stay() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let outer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (outer, Arc::new(listener.accept().unwrap().0))
        };
        let connections = Arc::new(Connections::default());
        let mut permits: Vec<_> = (0..CONNECTIONS_MAX).map(|_| connections.admit().unwrap()).collect();
        assert!(connections.admit().is_none(), "none of them waits");
        let ((mut first, first_inner), (_second, second_inner)) = (pair(), pair());
        let _first = connections.wait(&first_inner);
        let second = connections.wait(&second_inner);
        permits.push(connections.admit().unwrap());
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        drop(second);
        assert!(connections.admit().is_none());
        permits.truncate(CONNECTIONS_MAX - 1);
        assert!(connections.admit().is_some());
    }
}
