//! A request to stop waiting, from Ctrl-C to whatever waits.

use tokio::sync::watch;

/// Asks for the end of waiting. Dropping it asks for nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// Learns of the request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

/// A connected pair.
pub fn cancellation() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(false);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks once and for all.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// One that never comes.
    pub fn never() -> Self {
        cancellation().1
    }

    /// Whether it was asked.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it was asked.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_until_it_is_asked_and_remembers() {
        let (canceller, cancel) = cancellation();
        assert!(!cancel.is_cancelled());
        let waiter = tokio::spawn({
            let cancel = cancel.clone();
            async move { cancel.cancelled().await }
        });
        canceller.cancel();
        waiter.await.unwrap();
        drop(canceller);
        cancel.cancelled().await;
        assert!(cancel.is_cancelled());
    }
}
