//! Documents that stay the same for as long as the server runs. To compress one takes longer than all else that is asked for; each is compressed
//! once in each way, so that no client can have it done again and again.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::body::Bytes;

/// On an answer that is a document, by its name among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Document(pub Cow<'static, str>);

/// Documents, compressed.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<HashMap<(Document, &'static str), Bytes>>);

impl Documents {
    pub(super) fn compressed(&self, document: &Document, coding: &'static str) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(document.clone(), coding)).cloned()
    }

    pub(super) fn keep(&self, document: Document, coding: &'static str, bytes: Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((document, coding), bytes);
    }
}
