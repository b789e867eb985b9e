//! How long a client may say nothing: a short while in the middle of a request's head, a longer one between two requests.
//!
//! A connection is always in one of three phases: the head of a request is awaited or arriving, the request is being answered, or nothing is
//! going on, which begins when the last answer has been made, so that taking it has an end as well. What is read and answered moves it from
//! one to the next, and a future beside it ends when a phase has lasted too long.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::Config;

/// Shortest pause between two looks at a connection.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    head: Duration,
    idle: Duration,
}

impl Patience {
    /// As a server is told.
    pub(super) fn of(config: &Config) -> Self {
        Self { head: config.head_timeout.max(SHORTEST_LOOK), idle: config.keep_alive }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A request's head arrives since then. A new connection begins so, before the first byte.
    Head(Instant),
    /// A request is answered. How long that takes is limited elsewhere.
    Answering,
    /// Nothing is asked since then.
    Idle(Instant),
}

/// The phase of one connection.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    patience: Patience,
    phase: Arc<Mutex<Phase>>,
}

impl Pulse {
    /// Of a connection that has just been taken.
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, phase: Arc::new(Mutex::new(Phase::Head(Instant::now()))) }
    }

    /// A request's head is complete; its answer ends when what is returned is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.shift(|_| Phase::Answering);
        Answering(self.clone())
    }

    /// Waits until the client has said nothing for too long.
    pub(super) async fn stops(&self) {
        let Patience { head, idle } = self.patience;
        loop {
            let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
            let left = match phase {
                Phase::Head(since) => head.saturating_sub(since.elapsed()),
                Phase::Idle(since) => idle.saturating_sub(since.elapsed()),
                Phase::Answering => head,
            };
            if left.is_zero() {
                return;
            }
            // A head that begins after this look is not overdue before the next one.
            tokio::time::sleep(left.clamp(SHORTEST_LOOK, head)).await;
        }
    }

    fn shift(&self, next: impl FnOnce(Phase) -> Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = next(*phase);
    }

    /// Bytes have come: between two requests, the next head has begun.
    fn read(&self) {
        self.shift(|phase| if let Phase::Idle(_) = phase { Phase::Head(Instant::now()) } else { phase });
    }
}

/// That a request is being answered.
#[derive(Debug)]
pub(super) struct Answering(Pulse);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.shift(|_| Phase::Idle(Instant::now()));
    }
}

/// A stream whose reads are seen.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    pulse: Pulse,
}

impl<S> Watched<S> {
    /// `stream`, seen by `pulse`.
    pub(super) const fn new(stream: S, pulse: Pulse) -> Self {
        Self { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.pulse.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of an answer, which holds on to [`Answering`] until it is done with.
#[derive(Debug)]
pub(super) struct Held<B> {
    body: B,
    _answering: Answering,
}

impl<B> Held<B> {
    /// `body`, whose end is the end of `answering`.
    pub(super) const fn new(body: B, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl HttpBody for Held<Body> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_millis(200);
    const IDLE: Duration = Duration::from_secs(3);

    fn pulse() -> Pulse {
        Pulse::new(Patience { head: HEAD, idle: IDLE })
    }

    async fn lasts(pulse: &Pulse) -> Duration {
        let started = Instant::now();
        pulse.stops().await;
        started.elapsed()
    }

    #[tokio::test]
    async fn a_head_has_less_time_than_a_pause_between_requests() {
        let pulse = pulse();
        let first = lasts(&pulse).await;
        assert!(first >= HEAD && first < IDLE, "{first:?}");
        drop(pulse.answering());
        assert!(lasts(&pulse).await >= IDLE);
    }

    #[tokio::test]
    async fn a_head_counts_from_its_first_byte_however_long_nothing_was_asked_before() {
        let pulse = pulse();
        drop(pulse.answering());
        assert!(tokio::time::timeout(5 * HEAD, pulse.stops()).await.is_err());
        pulse.read();
        let slow = async {
            // One byte after the other prolongs nothing.
            loop {
                tokio::time::sleep(HEAD / 4).await;
                pulse.read();
            }
        };
        let head = tokio::select! {
            head = lasts(&pulse) => head,
            () = slow => Duration::ZERO,
        };
        assert!(head >= HEAD * 9 / 10 && head < IDLE - 5 * HEAD, "{head:?}");
    }

    #[tokio::test]
    async fn an_answer_may_take_as_long_as_it_takes() {
        let pulse = pulse();
        let answering = pulse.answering();
        assert!(tokio::time::timeout(IDLE + HEAD, pulse.stops()).await.is_err());
        drop(answering);
        assert!(lasts(&pulse).await >= IDLE);
    }
}
