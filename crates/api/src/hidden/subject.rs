//! What can be hidden, and by which entries it is.

use alloy::primitives::Address;
use clawpay_store::{AgentRecord, PostedRun, Poster, RunRecord};

use super::list::{HideList, Hideable};

impl<T: Hideable> Hideable for &T {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        T::reason(self, list)
    }
}

impl Hideable for RunRecord {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        list.run(self.run.id, Some(self.run.terms.poster))
    }
}

impl Hideable for PostedRun {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        self.record.reason(list)
    }
}

impl Hideable for AgentRecord {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        list.agent(self.agent.id, self.agent.owner.into_iter().chain(self.agent.wallet))
    }
}

impl Hideable for Poster {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        list.account(self.account)
    }
}

impl Hideable for Address {
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        list.account(*self)
    }
}
