//! What an agent's owner has written down about it in the registry.

use std::collections::BTreeMap;

use alloy::primitives::Bytes;
use clawpay_bindings::metadata_entry;
use clawpay_store::EventRecord;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::openapi::schemas as w;
use crate::text::lossy;

/// Most bytes of metadata that are shown.
const MOST_BYTES: usize = 64 * 1024;

/// One entry of an agent's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MetadataEntry {
    key: String,
    /// Its bytes.
    #[schema(value_type = w::HexData)]
    value: Bytes,
    /// The same as a text, if it is one.
    #[schema(required)]
    text: Option<String>,
}

/// The latest value of each key that metadata `events` tell of, the latest of them first, and whether all are there. A value without bytes is
/// no entry.
pub(super) fn entries(events: &[EventRecord]) -> (Vec<MetadataEntry>, bool) {
    let (mut latest, mut bytes, mut is_whole) = (BTreeMap::new(), 0, true);
    for (key, value) in events.iter().filter_map(|event| metadata_entry(&event.data)) {
        if latest.contains_key(&key) {
            continue;
        }
        if bytes + key.len() + value.len() > MOST_BYTES {
            is_whole = false;
            break;
        }
        bytes += key.len() + value.len();
        latest.insert(key, value);
    }
    let entries = latest.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| MetadataEntry {
        key: lossy(&key),
        text: std::str::from_utf8(&value).ok().filter(|text| !text.contains('\0')).map(str::to_owned),
        value,
    });
    (entries.collect(), is_whole)
}

#[cfg(test)]
mod tests {
    use alloy::{
        primitives::{Address, B256},
        sol_types::{SolType, sol_data},
    };
    use clawpay_domain::Timestamp;

    use super::*;

    fn set(key: &[u8], value: &[u8]) -> EventRecord {
        let data = <(sol_data::Bytes, sol_data::Bytes)>::abi_encode_params(&(key.to_vec(), value.to_vec())).into();
        EventRecord {
            block_number: 1,
            log_index: 0,
            block_hash: B256::ZERO,
            timestamp: Timestamp(1),
            tx_hash: B256::ZERO,
            tx_index: 0,
            contract: Address::ZERO,
            topics: Vec::new(),
            data,
            name: None,
            run: None,
            agent: None,
            refusal: None,
        }
    }

    #[test]
    fn the_latest_value_of_each_key_is_shown() {
        let events = [set(b"b", b"new"), set(b"gone", b""), set(b"a", &[0xff]), set(b"b", b"old"), set(b"gone", b"there")];
        let entry = |key: &str, value: &'static [u8], text: Option<&str>| MetadataEntry {
            key: key.to_owned(),
            value: Bytes::from_static(value),
            text: text.map(str::to_owned),
        };
        assert_eq!(entries(&events), (vec![entry("a", &[0xff], None), entry("b", b"new", Some("new"))], true));
    }

    #[test]
    fn metadata_is_shown_up_to_a_bound() {
        let events: Vec<_> = (0..20_u8).map(|key| set(&[key], &[7; 8_000])).collect();
        let (shown, is_whole) = entries(&events);
        assert_eq!((shown.len(), is_whole), (8, false));
    }
}
