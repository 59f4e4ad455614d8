//! [`Messages`]: the items of a stream between a caller and a service, in either direction.
//!
//! Items may fail, because the network between the two may. The first failure is the last item:
//! who receives it knows that what came before is not the whole.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use crate::{Error, Result, catalogue, panics};

/// How many items of [`Messages::produce`] wait for who takes them. One is enough for a producer
/// to work while its last item is being sent; more would be memory that nobody asked for.
const PRODUCED_AHEAD: usize = 1;

/// A stream of messages, each of which may be the failure that ends it. Dropping it tells the
/// other side to stop.
///
/// ```
/// # use tenon_core::{Messages, Result};
/// # async fn logic() -> Result<()> {
/// let mut numbers = Messages::list([1, 2, 3]);
/// while let Some(number) = numbers.try_next().await? {
///     assert!(number < 4);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream that is dropped tells the other side to stop"]
pub struct Messages<T> {
    items: Option<Pin<Box<dyn Stream<Item = Result<T>> + Send>>>,
}

impl<T: Send + 'static> Messages<T> {
    /// The items of a stream that cannot fail.
    pub fn of(items: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::results(items.map(Ok))
    }

    /// The items of a stream that may fail. The first failure ends it.
    pub fn results(items: impl Stream<Item = Result<T>> + Send + 'static) -> Self {
        Self {
            items: Some(Box::pin(items)),
        }
    }

    /// Items that are all there.
    pub fn list<I>(items: I) -> Self
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        Self::of(stream::iter(items))
    }

    /// No items.
    pub fn none() -> Self {
        Self { items: None }
    }

    /// The items that `work` sends, in the manner of a plain `async fn`. The work runs while
    /// somebody takes its items, and is dropped with the stream: it needs no task of its own.
    ///
    /// ```
    /// # use tenon_core::Messages;
    /// let numbers = Messages::produce(async move |out| {
    ///     for number in 0..3 {
    ///         out.send(number).await?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    pub fn produce<F, Fut>(work: F) -> Self
    where
        F: FnOnce(Producer<T>) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, items) = mpsc::channel(PRODUCED_AHEAD);
        let work = work(Producer { sender });
        Self::results(Produced {
            items,
            work: Some(Box::pin(work)),
        })
    }

    /// The next item; `None` when the stream ended as its sender meant it to.
    pub async fn next(&mut self) -> Option<Result<T>> {
        StreamExt::next(self).await
    }

    /// The next item, for `while let Some(item) = messages.try_next().await?`.
    ///
    /// # Errors
    /// The failure that ended the stream.
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        self.next().await.transpose()
    }

    /// All items, `most` at most.
    ///
    /// # Errors
    /// The failure that ended the stream, or `INTERNAL` when there are more: a stream has no
    /// length that memory could be kept for.
    pub async fn collect(mut self, most: usize) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while let Some(item) = self.try_next().await? {
            if items.len() == most {
                let cause = format!("there are more than {most}");
                return Err(Error::internal("collect the messages of a stream", cause));
            }
            items.push(item);
        }
        Ok(items)
    }

    /// The same stream with each item changed by `change`.
    pub fn map<U: Send + 'static>(
        self,
        mut change: impl FnMut(T) -> U + Send + 'static,
    ) -> Messages<U> {
        self.try_map(move |item| Ok(change(item)))
    }

    /// The same stream with each item changed by `change`, whose failure ends it.
    pub fn try_map<U: Send + 'static>(
        self,
        mut change: impl FnMut(T) -> Result<U> + Send + 'static,
    ) -> Messages<U> {
        match self.items {
            Some(items) => Messages::results(items.map(move |item| change(item?))),
            None => Messages::none(),
        }
    }
}

impl<T> Stream for Messages<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let Some(items) = &mut self.items else {
            return Poll::Ready(None);
        };
        let next = std::task::ready!(items.as_mut().poll_next(cx));
        if !matches!(next, Some(Ok(_))) {
            self.items = None;
        }
        Poll::Ready(next)
    }
}

impl<T> fmt::Debug for Messages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.items.is_none();
        f.debug_struct("Messages").field("ended", &ended).finish()
    }
}

/// Where the work of [`Messages::produce`] sends its items.
#[derive(Debug)]
pub struct Producer<T> {
    sender: mpsc::Sender<T>,
}

impl<T: Send> Producer<T> {
    /// Sends an item; waits until there is room for it.
    ///
    /// # Errors
    /// `CANCELLED`: nobody takes items any more.
    pub async fn send(&self, item: T) -> Result<()> {
        let sent = self.sender.send(item).await;
        sent.map_err(|_| catalogue::CANCELLED.error())
    }
}

/// Items of work that is run by who takes them.
struct Produced<T> {
    items: mpsc::Receiver<T>,
    work: Option<Pin<Box<dyn Future<Output = Result<()>> + Send>>>,
}

impl<T> Stream for Produced<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(item)) = self.items.poll_recv(cx) {
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(work) = &mut self.work else {
            return Poll::Ready(None);
        };
        // A panic is a failure like any other: what was sent before it goes first.
        let polled = panics::catch(|| work.as_mut().poll(cx)).unwrap_or_else(|panicked| {
            Poll::Ready(Err(Error::internal("go on with the stream", panicked)))
        });
        if let Poll::Ready(outcome) = polled {
            self.work = None;
            if let Err(error) = outcome {
                // What was sent before goes first, as it would over the network.
                return match self.items.try_recv() {
                    Ok(item) => {
                        self.work = Some(Box::pin(std::future::ready(Err(error))));
                        Poll::Ready(Some(Ok(item)))
                    }
                    Err(_) => Poll::Ready(Some(Err(error))),
                };
            }
            return self.items.poll_recv(cx).map(|item| item.map(Ok));
        }
        // The work may have sent something before it waited.
        match self.items.poll_recv(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Some(Ok(item))),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_failure_is_the_last_item() {
        let items = [Ok(1), Err(catalogue::CANCELLED.error()), Ok(2)];
        let mut messages = Messages::results(stream::iter(items));
        assert_eq!(messages.try_next().await.unwrap(), Some(1));
        assert!(messages.try_next().await.is_err());
        assert!(messages.next().await.is_none());
        assert!(messages.next().await.is_none());
    }

    #[tokio::test]
    async fn produced_items_come_in_order_and_before_the_failure_of_the_work() {
        let mut messages = Messages::produce(async move |out| {
            for number in 0..5 {
                out.send(number).await?;
            }
            Err(catalogue::UNAVAILABLE.error())
        });
        for number in 0..5 {
            assert_eq!(messages.try_next().await.unwrap(), Some(number));
        }
        let error = messages.try_next().await.unwrap_err();
        assert!(error.is(&catalogue::UNAVAILABLE));
        assert!(messages.next().await.is_none());
    }

    #[tokio::test]
    async fn a_producer_runs_ahead_by_one_item_and_ends_with_its_stream() {
        let (told, mut seen) = mpsc::unbounded_channel();
        let mut messages = Messages::produce(async move |out| {
            for number in 0.. {
                let _ = told.send(number);
                out.send(number).await?;
            }
            Ok(())
        });
        assert_eq!(messages.try_next().await.unwrap(), Some(0));
        let mut began = 0;
        while let Ok(number) = seen.try_recv() {
            began = number;
        }
        assert!(began <= 2, "{began} items were made, one was asked for");
        drop(messages);
        assert!(seen.recv().await.is_none(), "the work outlives its stream");
    }

    #[tokio::test]
    async fn collecting_has_a_limit() {
        assert_eq!(Messages::list([1, 2]).collect(2).await.unwrap(), [1, 2]);
        assert!(Messages::list([1, 2, 3]).collect(2).await.is_err());
        let doubled = Messages::list([1, 2]).map(|number| number * 2);
        assert_eq!(doubled.collect(9).await.unwrap(), [2, 4]);
    }
}
