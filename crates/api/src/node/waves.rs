//! Questions that are asked at the same time go together: whatever a task asks before it can only wait is one batch. So a task takes as many
//! round trips as its questions depend on each other, whichever functions ask them.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Mutex, PoisonError},
    task::Poll,
};

use tokio::sync::oneshot;

use super::{
    endpoint::{Answer, Question},
    error::NodeError,
};

/// Questions that wait to be asked, and who wants to know.
#[derive(Debug, Default)]
pub(super) struct Wave(Mutex<Vec<Asked>>);

#[derive(Debug)]
struct Asked {
    question: Question,
    answer: oneshot::Sender<Result<Answer, NodeError>>,
}

impl Wave {
    /// What is answered to the question, once the wave has been carried.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, NodeError> {
        let (answer, answered) = oneshot::channel();
        let method = question.method;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { question, answer });
        answered.await.unwrap_or(Err(NodeError::Nonsense(method)))
    }

    fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs `task`, which asks by `wave`, and has its questions carried whenever it can only wait for them.
pub(super) async fn run<T, C: Future<Output = Result<Vec<Answer>, NodeError>>>(
    wave: &Wave,
    task: impl Future<Output = T>,
    carry: impl Fn(Vec<Question>) -> C,
) -> T {
    let mut task = pin!(task);
    loop {
        let step = poll_fn(|context| match task.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => match wave.take() {
                asked if asked.is_empty() => Poll::Pending,
                asked => Poll::Ready(Err(asked)),
            },
        });
        let asked = match step.await {
            Ok(done) => return done,
            Err(asked) => asked,
        };
        let questions = asked.iter().map(|asked| asked.question.clone()).collect();
        let mut answers = match carry(questions).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error); asked.len()],
        };
        answers.truncate(asked.len());
        for (asked, answer) in asked.into_iter().zip(answers) {
            // Who asked may have given up.
            let _heard = asked.answer.send(answer);
        }
    }
}
