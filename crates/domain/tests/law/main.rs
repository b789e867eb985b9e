//! The law as the specification words it, checked by hand on the domain: the vectors only prove that two languages agree.

mod amounts;
mod fixture;
mod fold;
mod ladder;
mod market;
mod offers;
mod properties;
mod runs;
mod score;
mod spelling;
mod stakes;
mod terms;
mod walk;
