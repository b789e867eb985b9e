//! One line of a run's timeline.

mod data;

use std::borrow::Cow;

use alloy::primitives::B256;
use clawpay_bindings::{Contracts, decode, event_names};
use clawpay_store::{EventRecord, IndexedBlock};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Object, ObjectBuilder, OneOfBuilder, RefOr, Schema, Type, schema::SchemaType},
};

pub(super) use self::data::component;
use self::data::{EventData, METADATA_SET, WITH_DATA};
use super::run::Finality;
use crate::http::openapi::schemas as w;
use crate::text::IsoDate;

/// An event, as the chain told it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDto {
    /// The Solidity event's name; `Unknown` for a log that is none of the ABI's events, or cannot be read as one.
    #[serde(rename = "type")]
    name: Cow<'static, str>,
    timestamp: IsoDate,
    block_number: u64,
    block_hash: B256,
    transaction_hash: B256,
    log_index: u64,
    finality: Finality,
    /// The event's parameters; null where it says nothing of a run or an agent.
    data: Option<EventData>,
    /// Why the event could not be read, or how it contradicts the rules; null when nothing is wrong with it.
    refusal: Option<String>,
}

impl EventDto {
    /// The event, read again from its log.
    pub(crate) fn new(event: &EventRecord, contracts: &Contracts, indexed: &IndexedBlock) -> Self {
        let decoded = decode(contracts, event.contract, &event.topics, &event.data);
        let name = event.name.clone().filter(|_| decoded.error.is_none()).map_or(Cow::Borrowed(UNKNOWN), Cow::Owned);
        let (run, agent) = (decoded.facts.run.as_ref(), decoded.facts.agent.as_ref());
        let data = run.map(EventData::of_run).or_else(|| EventData::of_metadata(&name, agent, &event.data));
        let data = data.or_else(|| EventData::of_agent(agent?, &event.topics));
        Self {
            name,
            timestamp: IsoDate(event.timestamp),
            block_number: event.block_number,
            block_hash: event.block_hash,
            transaction_hash: event.tx_hash,
            log_index: event.log_index,
            finality: Finality::of(event.block_number, indexed),
            data,
            refusal: event.refusal.clone(),
        }
    }
}

impl ToSchema for EventDto {
    fn name() -> Cow<'static, str> {
        "Event".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        components(schemas, "Event", ObjectBuilder::new);
    }
}

impl PartialSchema for EventDto {
    fn schema() -> RefOr<Schema> {
        union("An event, as the chain told it.", "Event")
    }
}

/// What a log is called that has no name. None of the ABI's events is called so.
const UNKNOWN: &str = "Unknown";

/// The events that have no data: one schema for all of their names, and one for logs without a name.
const WITHOUT_DATA: [&str; 2] = ["Other", UNKNOWN];

/// One of the schemas that [`components`] makes for the same `suffix`.
pub(super) fn union(description: &str, suffix: &str) -> RefOr<Schema> {
    let names = WITH_DATA.iter().map(|(name, _)| *name).chain(WITHOUT_DATA);
    let members = names.map(|name| component(&format!("{name}{suffix}")));
    members.fold(OneOfBuilder::new().description(Some(description)), OneOfBuilder::item).into()
}

/// A schema for each kind of event, told apart by the constant `type`. What an event has beside that is what all have, and `more`.
pub(super) fn components(schemas: &mut Vec<(String, RefOr<Schema>)>, suffix: &str, more: impl Fn() -> ObjectBuilder) {
    let kind = |name: &str, kind: Object, data: RefOr<Schema>| (format!("{name}{suffix}"), event(more(), kind, data).into());
    let named = |names: &[&str]| ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names.iter().copied())).build();
    let null = || ObjectBuilder::new().schema_type(Type::Null).build();
    schemas.extend(WITH_DATA.map(|(name, data)| {
        let data = component(data);
        let may_be_null = || OneOfBuilder::new().item(data.clone()).item(null()).into();
        kind(name, named(&[name]), if name == METADATA_SET { may_be_null() } else { data.clone() })
    }));
    let others: Vec<&str> = event_names().into_iter().filter(|name| !WITH_DATA.iter().any(|(with_data, _)| with_data == name)).collect();
    let [other, unknown] = WITHOUT_DATA;
    // Always null. Generators of clients have no type for that alone.
    let none = || ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Object, Type::Null])).build().into();
    schemas.extend([kind(other, named(&others), none()), kind(unknown, named(&[UNKNOWN]), none())]);
    schemas.extend(data::schemas());
    schemas.push((w::Hash::name().into_owned(), w::Hash::schema()));
    schemas.push((Finality::name().into_owned(), Finality::schema()));
}

fn event(more: ObjectBuilder, kind: Object, data: RefOr<Schema>) -> Object {
    let whole = || ObjectBuilder::new().schema_type(Type::Integer).build();
    let refusal = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
    let members: [(&str, RefOr<Schema>); 9] = [
        ("type", kind.into()),
        ("timestamp", component(&IsoDate::name())),
        ("blockNumber", whole().into()),
        ("blockHash", component(&w::Hash::name())),
        ("transactionHash", component(&w::Hash::name())),
        ("logIndex", whole().into()),
        ("finality", component(&Finality::name())),
        ("data", data),
        ("refusal", refusal.into()),
    ];
    members.into_iter().fold(more, |object, (name, schema)| object.property(name, schema).required(name)).schema_type(Type::Object).build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_event_has_one_schema() {
        let mut schemas = Vec::new();
        components(&mut schemas, "Event", ObjectBuilder::new);
        let mut named = Vec::new();
        for (name, schema) in &schemas {
            let schema = serde_json::to_value(schema).unwrap();
            let names = schema["properties"]["type"]["enum"].as_array().cloned().unwrap_or_default();
            named.extend(names.iter().filter_map(|name| name.as_str().map(str::to_owned)));
            assert!(names.len() != 1 || name == &format!("{}Event", named[named.len() - 1]));
        }
        assert!(!event_names().contains(&UNKNOWN));
        assert_eq!(named.iter().map(String::as_str).collect::<BTreeSet<_>>(), event_names().into_iter().chain([UNKNOWN]).collect());
        assert_eq!(named.len(), event_names().len() + 1, "each stands in one schema");
        let union = serde_json::to_value(EventDto::schema()).unwrap();
        for member in union["oneOf"].as_array().unwrap() {
            let name = member["$ref"].as_str().unwrap().trim_start_matches("#/components/schemas/");
            assert!(schemas.iter().any(|(known, _)| known == name), "{name}");
        }
    }
}
