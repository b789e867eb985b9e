//! How long a client may say nothing: a short while in the middle of a request's head, a longer one between two requests; how long it may leave
//! unread what it is told; and how much of what it has begun to say is kept.
//!
//! A connection is always in one of three phases: the head of a request is awaited or arriving, the request is being answered, or nothing is
//! going on, which begins when the last answer has been made, so that taking it has an end as well. What is read and answered moves it from
//! one to the next, and a future beside it ends when a phase has lasted too long.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use crate::{
    Config,
    room::{Room, Share},
};

/// Shortest pause between two looks at a connection.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// Bytes of a request that are kept for every connection: what the parser sets aside from the beginning.
const OWN: usize = 8 * 1024;

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// A head.
    pub head: Duration,
    /// Nothing.
    pub idle: Duration,
    /// A write of which the client takes no byte.
    pub write: Duration,
}

impl Patience {
    /// As a server is told.
    pub(super) fn of(config: &Config) -> Self {
        let (head, write) = (config.head_timeout.max(SHORTEST_LOOK), config.write_timeout.max(SHORTEST_LOOK));
        Self { head, idle: config.keep_alive, write }
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

/// How one connection is doing.
#[derive(Debug)]
struct State {
    phase: Phase,
    /// The client takes nothing since then.
    blocked: Option<Instant>,
    /// Bytes since the head's first.
    brought: usize,
    /// What of them may be kept.
    share: Share,
}

/// The phase of one connection.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Watch>);

#[derive(Debug)]
struct Watch {
    patience: Patience,
    room: Room,
    state: Mutex<State>,
    given_up: Notify,
}

impl Pulse {
    /// Of a connection that has just been taken, whose heads share `room` with all others.
    pub(super) fn new(patience: Patience, room: &Room) -> Self {
        let state = State { phase: Phase::Head(Instant::now()), blocked: None, brought: 0, share: room.share(OWN) };
        Self(Arc::new(Watch { patience, room: room.clone(), state: Mutex::new(state), given_up: Notify::new() }))
    }

    /// A request's head is complete; its answer ends when what is returned is dropped.
    pub(super) fn answering(&self) -> Answering {
        self.state().phase = Phase::Answering;
        Answering(self.clone())
    }

    /// Waits until the client has said nothing for too long, has left unread what it was told, or is given up.
    pub(super) async fn stops(&self) {
        tokio::select! {
            () = self.runs_out() => {}
            () = self.0.given_up.notified() => {}
        }
    }

    async fn runs_out(&self) {
        let Patience { head, idle, write } = self.0.patience;
        let longest_look = head.min(write);
        loop {
            let left = {
                let state = self.state();
                let silence = match state.phase {
                    Phase::Head(since) => head.saturating_sub(since.elapsed()),
                    Phase::Idle(since) => idle.saturating_sub(since.elapsed()),
                    Phase::Answering => longest_look,
                };
                state.blocked.map_or(silence, |since| silence.min(write.saturating_sub(since.elapsed())))
            };
            if left.is_zero() {
                return;
            }
            // What begins after this look is not overdue before the next one.
            tokio::time::sleep(left.clamp(SHORTEST_LOOK, longest_look)).await;
        }
    }

    /// Gives the connection up.
    pub(super) fn give_up(&self) {
        self.0.given_up.notify_one();
    }

    /// Since when a request is awaited or incomplete; nothing while one is answered.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Head(since) | Phase::Idle(since) => Some(since),
            Phase::Answering => None,
        }
    }

    /// Whether the request was so large that the parser keeps more for the connection than for others.
    pub(super) fn has_brought_much(&self) -> bool {
        self.state().brought >= OWN
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes have come: between two requests, the next head has begun. Fails if there is no room for more of a head.
    fn read(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        if let Phase::Idle(_) = state.phase {
            state.phase = Phase::Head(Instant::now());
        }
        state.brought = state.brought.saturating_add(bytes);
        let has_room = !matches!(state.phase, Phase::Head(_)) || state.share.grow(bytes);
        if has_room { Ok(()) } else { Err(io::Error::other("too many heads of requests are incomplete")) }
    }

    /// Whether the client takes what it is told.
    fn written(&self, is_blocked: bool) {
        self.state().blocked = is_blocked.then(Instant::now);
    }
}

/// That a request is being answered.
#[derive(Debug)]
pub(super) struct Answering(Pulse);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let share = self.0.0.room.share(OWN);
        *state = State { phase: Phase::Idle(Instant::now()), blocked: state.blocked, brought: 0, share };
    }
}

/// A stream whose reads and writes are seen.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    pulse: Pulse,
    is_blocked: bool,
}

impl<S> Watched<S> {
    /// `stream`, seen by `pulse`.
    pub(super) const fn new(stream: S, pulse: Pulse) -> Self {
        Self { stream, pulse, is_blocked: false }
    }

    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.is_blocked {
            self.is_blocked = written.is_pending();
            self.pulse.written(self.is_blocked);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        Poll::Ready(if bytes > 0 { self.pulse.read(bytes) } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.note(written)
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
    use tokio::io::AsyncWriteExt;

    use super::*;

    const HEAD: Duration = Duration::from_millis(200);
    const IDLE: Duration = Duration::from_secs(3);

    fn pulse() -> Pulse {
        Pulse::new(Patience { head: HEAD, idle: IDLE, write: HEAD }, &Room::new(0))
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
        pulse.read(1).unwrap();
        let slow = async {
            // One byte after the other prolongs nothing.
            loop {
                tokio::time::sleep(HEAD / 4).await;
                pulse.read(1).unwrap();
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

    #[tokio::test]
    async fn what_a_client_does_not_take_is_not_kept_for_it() {
        let (pulse, (client, server)) = (pulse(), tokio::io::duplex(8));
        let _answering = pulse.answering();
        let mut server = Watched::new(server, pulse.clone());
        let writing = tokio::spawn(async move { server.write_all(&[0; 100]).await });
        let unread = lasts(&pulse).await;
        assert!(unread >= HEAD && unread < IDLE, "{unread:?}");
        drop(client);
        assert!(writing.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn heads_share_their_room_and_small_ones_always_have_theirs() {
        let room = Room::new(OWN);
        let patience = Patience { head: HEAD, idle: IDLE, write: HEAD };
        let (large, small, other) = (Pulse::new(patience, &room), Pulse::new(patience, &room), Pulse::new(patience, &room));
        large.read(2 * OWN).unwrap();
        small.read(OWN).unwrap();
        other.read(OWN + 1).unwrap_err();
        assert!(large.has_brought_much());
        drop(large.answering());
        assert!(!large.has_brought_much());
        small.read(OWN).unwrap();
    }

    #[tokio::test]
    async fn a_connection_waits_but_while_it_is_answered_and_can_be_given_up() {
        let pulse = pulse();
        assert!(pulse.waits_since().is_some());
        let answering = pulse.answering();
        assert!(pulse.waits_since().is_none());
        drop(answering);
        assert!(pulse.waits_since().is_some());
        pulse.give_up();
        assert!(lasts(&pulse).await < HEAD);
    }
}
