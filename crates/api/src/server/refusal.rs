//! What is refused before there is a request, in the words of the rest: connections without a place, and heads that are no heads.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Bytes,
    http::{StatusCode, header},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{error::ApiError, http::Problem};

/// Every answer of a router has it, and none of the parser's has.
const REQUEST_ID: &[u8] = b"x-request-id";

/// A whole answer, after which the connection ends.
pub(super) fn answer(error: ApiError) -> Bytes {
    let problem = Problem::from(error);
    let (status, retry_after) = (problem.status(), problem.seconds_to_wait());
    // Texts and numbers always serialise.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let again = retry_after.map(|seconds| format!("{}: {seconds}\r\n", header::RETRY_AFTER)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n{again}connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Bytes::from(head + &body)
}

/// The parser's own answer to a head that it cannot read, which is a status without a word.
fn bare_status(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok().filter(StatusCode::is_client_error)?;
    let is_bare = bytes.ends_with(b"\r\n\r\n") && !bytes.windows(REQUEST_ID.len()).any(|name| name.eq_ignore_ascii_case(REQUEST_ID));
    is_bare.then_some(status)
}

/// The same, in words.
fn worded(status: StatusCode) -> ApiError {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => ApiError::HeadTooLarge,
        _ => ApiError::MalformedRequest,
    }
}

/// A stream on which the parser's refusals say what is wrong.
#[derive(Debug)]
pub(super) struct Worded<S, T> {
    stream: S,
    /// Told of each of them.
    refused: T,
    /// What is being written in the place of what the parser says.
    instead: Option<Bytes>,
}

impl<S, T: Fn(StatusCode)> Worded<S, T> {
    /// `stream`; `refused` hears of each refusal.
    pub(super) const fn new(stream: S, refused: T) -> Self {
        Self { stream, refused, instead: None }
    }
}

impl<S: AsyncWrite + Unpin, T: Fn(StatusCode) + Unpin> Worded<S, T> {
    /// Writes the problem, and then passes for having written `bytes`; nothing if these are no refusal.
    fn poll_instead(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            let status = bare_status(bytes)?;
            (self.refused)(status);
            self.instead = Some(answer(worded(status)));
        }
        Some(self.poll_rest(context).map_ok(|()| bytes.len()))
    }

    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(rest.split_to(written));
        }
        self.instead = None;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin, T: Unpin> AsyncRead for Worded<S, T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, T: Fn(StatusCode) + Unpin> AsyncWrite for Worded<S, T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.poll_instead(context, bytes) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // A refusal is all there is to write.
        if let [only] = bytes
            && let Some(written) = self.poll_instead(context, only)
        {
            return written;
        }
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
