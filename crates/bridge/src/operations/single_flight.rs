//! One pass over the sources, shared by all callers that ask for one meanwhile.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bridge_core::BridgeError;
use tokio::sync::{MutexGuard, OnceCell};

/// A pass, and what its callers ask for.
#[derive(Debug)]
struct Flight<T, R> {
    requests: Mutex<R>,
    outcome: OnceCell<Arc<T>>,
}

/// The pass that begins next. A caller that asks while another one runs waits for the next, and shares it with all
/// other waiting callers. So an answer is never older than its request, and only one pass runs at a time.
///
/// It is kept as long as a caller waits for it.
#[derive(Debug)]
pub(crate) struct SingleFlight<T, R = ()> {
    next: Mutex<Weak<Flight<T, R>>>,
    turn: tokio::sync::Mutex<()>,
}

impl<T, R> Default for SingleFlight<T, R> {
    fn default() -> Self {
        Self { next: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T, R: Default + Clone> SingleFlight<T, R> {
    /// Adds a request to the next pass, and returns its outcome. One of the waiting callers does the work for all
    /// requests; if it fails, the next one tries. Callers that ask while the pass is prepared, before it looks at the sources,
    /// share it.
    pub(crate) async fn get<'a, P, F>(
        &'a self,
        request: impl FnOnce(&mut R),
        prepare: impl Future<Output = Result<P, BridgeError>>,
        work: impl FnOnce(P, R, MutexGuard<'a, ()>) -> F,
    ) -> Result<Arc<T>, BridgeError>
    where
        F: Future<Output = Result<T, BridgeError>>,
    {
        let flight = self.join(request);
        let turn = self.turn.lock().await;
        let work = async {
            let prepared = prepare.await?;
            self.begin(&flight);
            let requests = flight.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
            work(prepared, requests, turn).await.map(Arc::new)
        };
        flight.outcome.get_or_try_init(|| work).await.cloned()
    }

    /// Waits until no pass is under way, and keeps others from beginning.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn join(&self, request: impl FnOnce(&mut R)) -> Arc<Flight<T, R>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = next.upgrade().unwrap_or_else(|| {
            let flight = Arc::new(Flight { requests: Mutex::new(R::default()), outcome: OnceCell::new() });
            *next = Arc::downgrade(&flight);
            flight
        });
        // Under the lock: a pass that begins does not take further requests.
        request(&mut flight.requests.lock().unwrap_or_else(PoisonError::into_inner));
        flight
    }

    /// Later callers wait for another pass.
    fn begin(&self, flight: &Arc<Flight<T, R>>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(next.as_ptr(), Arc::as_ptr(flight)) {
            *next = Weak::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_callers_share_a_pass_that_begins_after_their_calls_with_all_their_requests() {
        let (next, began) = (SingleFlight::<_, Vec<u64>>::default(), AtomicU64::new(0));
        let ask = async |after: u64| {
            tokio::time::sleep(Duration::from_secs(after)).await;
            let prepared = async { Ok(()) };
            let work = async |(), requests: Vec<u64>, _turn| {
                let number = began.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok((number, requests))
            };
            let outcome = next.get(|requests| requests.push(after), prepared, work).await.unwrap();
            (outcome.0, outcome.1.clone())
        };
        let outcomes = tokio::join!(ask(0), ask(1), ask(2), ask(9), ask(11));
        let (first, second, third) = ((0, vec![0]), (1, vec![1, 2, 9]), (2, vec![11]));
        assert_eq!(outcomes, (first, second.clone(), second.clone(), second, third));
        assert_eq!(began.load(Ordering::Relaxed), 3);
        assert!(next.next.lock().unwrap().upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_or_cancellation_the_next_caller_tries() {
        let next = SingleFlight::<u64>::default();
        let failure =
            || BridgeError::Backfill { message: "no".to_owned(), context: Box::default(), source: None };
        let nothing = |(): &mut ()| {};
        let prepared = || async { Ok(()) };
        let never = next.get(nothing, prepared(), |(), (), _turn| std::future::pending());
        let never = tokio::time::timeout(Duration::from_secs(1), never);
        let fails = next.get(nothing, prepared(), async |(), (), _turn| Err(failure()));
        let succeeds = next.get(nothing, prepared(), async |(), (), _turn| Ok(7));
        let (given_up, failed, succeeded) = tokio::join!(never, fails, succeeds);
        assert!(given_up.is_err() && failed.is_err());
        assert_eq!(*succeeded.unwrap(), 7);
    }
}
