//! Logs that have passed every comparison, into events with what they say.

use clawpay_bindings::{Contracts, Decoded, decode};
use clawpay_domain::Timestamp;
use clawpay_store::EventRecord;

use crate::log::VerifiedLog;

/// An event, raw and understood.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) record: EventRecord,
    pub(crate) decoded: Decoded,
}

impl Event {
    /// Reads one log of a block with this time.
    pub(crate) fn new(contracts: &Contracts, log: VerifiedLog, timestamp: Timestamp) -> Self {
        let decoded = decode(contracts, log.contract, &log.topics, &log.data);
        let record = EventRecord {
            block_number: log.block_number,
            log_index: log.log_index,
            block_hash: log.block_hash,
            timestamp,
            tx_hash: log.tx_hash,
            tx_index: log.tx_index,
            contract: log.contract,
            topics: log.topics,
            data: log.data,
            name: decoded.name.map(str::to_owned),
            run: decoded.run,
            agent: decoded.agent,
            refusal: decoded.error.as_ref().map(ToString::to_string),
        };
        Self { record, decoded }
    }

    /// Whether another event is of this one's block.
    pub(crate) fn is_of_one_block(&self, other: &Self) -> bool {
        self.record.block_number == other.record.block_number
    }

    /// Reads the log of an event again that is kept already, and forgets what else was kept.
    pub(crate) fn anew(contracts: &Contracts, record: EventRecord) -> Self {
        let decoded = decode(contracts, record.contract, &record.topics, &record.data);
        let record = EventRecord {
            name: decoded.name.map(str::to_owned),
            run: decoded.run,
            agent: decoded.agent,
            refusal: decoded.error.as_ref().map(ToString::to_string),
            ..record
        };
        Self { record, decoded }
    }

    /// Reads an event again that is kept already.
    pub(crate) fn again(contracts: &Contracts, record: EventRecord) -> Self {
        let decoded = decode(contracts, record.contract, &record.topics, &record.data);
        Self { record, decoded }
    }
}
