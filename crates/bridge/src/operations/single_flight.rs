//! One live analysis of the sources, shared by all callers that ask for one meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bridge_core::{BridgeError, EnhancedTokenAnalysis, SessionId};
use tokio::sync::OnceCell;

/// Live analyses of all sessions.
#[derive(Debug)]
pub(crate) struct LiveAnalyses {
    pub(crate) sessions: HashMap<SessionId, EnhancedTokenAnalysis>,
    /// Errors of sources that could not be read.
    pub(crate) unread: Vec<String>,
}

type Analysis = OnceCell<Arc<LiveAnalyses>>;

/// The analysis that begins next. A caller that asks while another one runs waits for the next, and shares it with all
/// other waiting callers. So an answer is never older than its request, and only one analysis runs at a time.
///
/// It is kept as long as a caller waits for it.
#[derive(Debug, Default)]
pub(crate) struct SingleFlight {
    next: Mutex<Weak<Analysis>>,
    turn: tokio::sync::Mutex<()>,
}

impl SingleFlight {
    /// Analyzes the present sources. One of the waiting callers does the work; if it fails, the next one tries.
    pub(crate) async fn get(
        &self,
        work: impl Future<Output = Result<LiveAnalyses, BridgeError>>,
    ) -> Result<Arc<LiveAnalyses>, BridgeError> {
        let analysis = self.join();
        let _turn = self.turn.lock().await;
        let work = async {
            self.begin(&analysis);
            work.await.map(Arc::new)
        };
        analysis.get_or_try_init(|| work).await.cloned()
    }

    fn join(&self) -> Arc<Analysis> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.upgrade().unwrap_or_else(|| {
            let analysis = Arc::default();
            *next = Arc::downgrade(&analysis);
            analysis
        })
    }

    /// Later callers wait for another analysis.
    fn begin(&self, analysis: &Arc<Analysis>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(next.as_ptr(), Arc::as_ptr(analysis)) {
            *next = Weak::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    fn numbered(number: u64) -> LiveAnalyses {
        LiveAnalyses { sessions: HashMap::new(), unread: vec![number.to_string()] }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_callers_share_an_analysis_that_begins_after_their_calls() {
        let (next, began) = (SingleFlight::default(), AtomicU64::new(0));
        let ask = async |after: u64| {
            tokio::time::sleep(Duration::from_secs(after)).await;
            let work = async {
                let number = began.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(numbered(number))
            };
            next.get(work).await.unwrap().unread[0].clone()
        };
        let told = tokio::join!(ask(0), ask(1), ask(2), ask(9), ask(11));
        let expected = ["0", "1", "1", "1", "2"].map(str::to_owned);
        assert_eq!(<[String; 5]>::from(told), expected);
        assert_eq!(began.load(Ordering::Relaxed), 3);
        assert!(next.next.lock().unwrap().upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_or_cancellation_the_next_caller_tries() {
        let next = SingleFlight::default();
        let failure =
            || BridgeError::Backfill { message: "no".to_owned(), context: Box::default(), source: None };
        let never = tokio::time::timeout(Duration::from_secs(1), next.get(std::future::pending()));
        let (given_up, failed, told) =
            tokio::join!(never, next.get(async { Err(failure()) }), next.get(async { Ok(numbered(7)) }),);
        assert!(given_up.is_err() && failed.is_err());
        assert_eq!(told.unwrap().unread, ["7"]);
    }
}
