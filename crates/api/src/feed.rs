//! Telling agents what happens, as it happens.
//!
//! One task per process reads the feed once and hands it to all listeners, so that the database does not notice how many they are. A listener
//! subscribes first, then reads from the database what it missed, then takes what it is handed; whenever the two do not meet, it reads again.
//! One that does not keep up is let go: it comes back with the last number it has seen. One that has missed nothing
//! asks the database for nothing.

mod hub;
mod item;
mod listener_limiter;
mod subscription;

pub(crate) use hub::{Hub, RunNews};
pub(crate) use item::{Filter, Item, Render};
pub(crate) use listener_limiter::{ListenerLimiter, ListenerPermit};
pub(crate) use subscription::{Ended, Subscription};
