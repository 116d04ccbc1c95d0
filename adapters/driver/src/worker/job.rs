//! One job's task: runs the handler and says how it ended, on every path.

use futures_channel::mpsc::UnboundedSender;
use futures_util::future::{AbortHandle, Abortable};
use tideway::jobs::Work;
use tideway::jobs::pool::{End, Run};

/// A handler is gone.
pub(super) struct Ended {
    pub(super) run: Run,
    /// How it ended; `None` if it was dropped.
    pub(super) end: Option<End>,
}

/// The task around `work`, and what drops `work` at its next wake-up.
pub(super) fn job(
    run: Run,
    work: Work,
    inbox: UnboundedSender<Ended>,
) -> (AbortHandle, impl Future<Output = ()> + Send + 'static) {
    let (abort, registration) = AbortHandle::new_pair();
    // Made before the task runs: a runtime may drop it unpolled.
    let mut word = Word {
        ended: Some(Ended { run, end: None }),
        inbox,
    };
    let work = Abortable::new(work, registration);
    let task = async move {
        // The handler is dropped before the word is given: that is the proof that it stopped.
        let end = { work.await.ok() };
        if let Some(ended) = &mut word.ended {
            ended.end = end;
        }
        drop(word);
    };
    (abort, task)
}

/// Sends its message when it is dropped.
struct Word {
    ended: Option<Ended>,
    inbox: UnboundedSender<Ended>,
}

impl Drop for Word {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            // Nobody listens any more if the worker has stopped.
            let _ = self.inbox.unbounded_send(ended);
        }
    }
}
