//! The document's schemas, in the few forms that every generator of clients reads alike: an object states its own members, whatever it is
//! made from, and what several operations share stands once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use utoipa::openapi::{
    Components, Object, ObjectBuilder, OpenApi, Ref, RefOr, Schema, Type,
    path::Parameter,
    schema::{AdditionalProperties, ArrayItems, SchemaType},
};

use super::{answers::ANSWER, operations::operations};

type Schemas = BTreeMap<String, RefOr<Schema>>;

const SCHEMAS: &str = "#/components/schemas/";
const RESPONSES: &str = "#/components/responses/";

/// Brings the document into shape.
pub(super) fn shape(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    flatten(components);
    leave_out(document);
    mark(document);
    share_parameters(document);
    prune(document);
}

/// Gives every component the members of what it is made from.
fn flatten(components: &mut Components) {
    let made_from = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        flattened(schema, &made_from);
    }
}

/// Turns objects that are made from others into objects of their own, all the way down.
fn flattened(schema: &mut RefOr<Schema>, made_from: &Schemas) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::AllOf(all) => {
            let mut object = Object::with_type(Type::Object);
            object.description = all.description.take();
            for item in &all.items {
                add_members(&mut object, item, made_from, true);
            }
            *schema = Schema::Object(object);
            members_flattened(schema, made_from);
        }
        _ => members_flattened(schema, made_from),
    }
}

fn members_flattened(schema: &mut Schema, made_from: &Schemas) {
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|member| flattened(member, made_from));
            if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                flattened(values, made_from);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| flattened(item, made_from)),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                flattened(items, made_from);
            }
        }
        _ => {}
    }
}

/// Adds what a part brings with it. A part that may be null brings members that may be missing.
fn add_members(object: &mut Object, part: &RefOr<Schema>, made_from: &Schemas, is_there: bool) {
    match part {
        RefOr::Ref(reference) => {
            if let Some(component) = reference.ref_location.strip_prefix(SCHEMAS).and_then(|name| made_from.get(name)) {
                add_members(object, component, made_from, is_there);
            }
        }
        RefOr::T(Schema::Object(part)) => {
            object.properties.extend(part.properties.clone());
            if is_there {
                object.required.extend(part.required.iter().cloned());
            }
        }
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter().for_each(|part| add_members(object, part, made_from, is_there)),
        RefOr::T(Schema::OneOf(parts)) => parts.items.iter().for_each(|part| add_members(object, part, made_from, false)),
        RefOr::T(_) => {}
    }
}

/// Says of the members of requests that need not be there that they are left out: most clients have one way to say so, and the server takes
/// null for the same.
fn leave_out(document: &mut OpenApi) {
    let mut asked = BTreeSet::new();
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        let Some(RefOr::T(body)) = &operation.request_body else { continue };
        let contents = body.content.values().filter_map(|content| match content {
            RefOr::T(content) => content.schema.as_ref(),
            RefOr::Ref(_) => None,
        });
        asked.extend(contents.flat_map(names));
    }
    let Some(components) = &mut document.components else { return };
    let mut waiting: Vec<String> = asked.iter().cloned().collect();
    while let Some(name) = waiting.pop() {
        let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(&name) else { continue };
        let required = object.required.clone();
        for (_, member) in object.properties.iter_mut().filter(|(name, _)| !required.contains(name)) {
            never_null(member);
        }
        let more: Vec<String> = object.properties.values().flat_map(names).filter(|name| asked.insert(name.clone())).collect();
        waiting.extend(more);
    }
}

/// Takes null off what a member may be.
fn never_null(member: &mut RefOr<Schema>) {
    let RefOr::T(schema) = member else { return };
    match schema {
        Schema::Object(Object { schema_type, .. }) => not_null(schema_type),
        Schema::Array(array) => not_null(&mut array.schema_type),
        Schema::OneOf(one) => {
            one.items.retain(|item| !matches!(item, RefOr::T(Schema::Object(Object { schema_type: SchemaType::Type(Type::Null), .. }))));
            if let [only] = one.items.as_slice() {
                *member = only.clone();
            }
        }
        _ => {}
    }
}

fn not_null(kinds: &mut SchemaType) {
    let SchemaType::Array(all) = kinds else { return };
    all.retain(|kind| *kind != Type::Null);
    if let [only] = all.as_slice() {
        *kinds = SchemaType::Type(only.clone());
    }
}

/// Documents, in each body that the index is read for, that it may be marked as one of an index that has fallen behind.
fn mark(document: &mut OpenApi) {
    let mut bodies = BTreeSet::from([ANSWER.to_owned()]);
    for (_, item) in document.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/api/")) {
        for (_, operation) in operations(item) {
            for response in operation.responses.responses.values() {
                let RefOr::T(response) = response else { continue };
                let Some(RefOr::T(content)) = response.content.get("application/json") else { continue };
                bodies.extend(content.schema.iter().flat_map(names));
            }
        }
    }
    let Some(components) = &mut document.components else { return };
    let alternatives: Vec<String> = bodies.iter().filter_map(|name| components.schemas.get(name)).flat_map(names).collect();
    for name in bodies.into_iter().chain(alternatives) {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(&name) {
            let stale = ObjectBuilder::new()
                .schema_type(Type::Boolean)
                .description(Some("True on an answer whose index has fallen behind the chain; else left out."));
            object.properties.insert("stale".to_owned(), stale.into());
        }
    }
}

/// The components that a body may be.
fn names(body: &RefOr<Schema>) -> Vec<String> {
    match body {
        RefOr::Ref(reference) => reference.ref_location.strip_prefix(SCHEMAS).map(str::to_owned).into_iter().collect(),
        RefOr::T(Schema::OneOf(one)) => one.items.iter().flat_map(names).collect(),
        RefOr::T(_) => Vec::new(),
    }
}

/// Makes a component of each parameter that several operations take.
fn share_parameters(document: &mut OpenApi) {
    let mut shared: BTreeMap<String, (Parameter, usize)> = BTreeMap::new();
    for_each_parameter(document, |parameter| {
        let (first, count) = shared.entry(parameter.name.clone()).or_insert_with(|| (parameter.clone(), 0));
        if first == parameter {
            *count += 1;
        }
        None
    });
    shared.retain(|_, (_, count)| *count > 1);
    for_each_parameter(document, |parameter| {
        let (first, _) = shared.get(&parameter.name)?;
        (first == parameter).then(|| Ref::new(format!("#/components/parameters/{}", parameter.name)))
    });
    let components = document.components.get_or_insert_with(Components::new);
    components.parameters.extend(shared.into_iter().map(|(name, (parameter, _))| (name, parameter.into())));
}

/// Shows each parameter, and puts what is answered in its place.
fn for_each_parameter(document: &mut OpenApi, mut replace: impl FnMut(&Parameter) -> Option<Ref>) {
    let operations = document.paths.paths.values_mut().flat_map(operations);
    for parameter in operations.flat_map(|(_, operation)| operation.parameters.iter_mut().flatten()) {
        if let RefOr::T(known) = parameter
            && let Some(reference) = replace(known)
        {
            *parameter = RefOr::Ref(reference);
        }
    }
}

/// Leaves out the schemas and responses that nothing refers to.
fn prune(document: &mut OpenApi) {
    let Ok(paths) = serde_json::to_value(&document.paths) else { return };
    let Some(components) = &mut document.components else { return };
    let Ok(known) = serde_json::to_value(&*components) else { return };
    let mut seen = BTreeSet::new();
    let mut waiting = references(&paths);
    waiting.extend(["parameters", "headers"].into_iter().flat_map(|kind| references(&known[kind])));
    while let Some(reference) = waiting.pop() {
        if seen.insert(reference.clone()) {
            waiting.extend(known.pointer(reference.trim_start_matches("#/components")).map(references).unwrap_or_default());
        }
    }
    components.schemas.retain(|name, _| seen.contains(&format!("{SCHEMAS}{name}")));
    components.responses.retain(|name, _| seen.contains(&format!("{RESPONSES}{name}")));
}

/// All that a part of the document refers to.
fn references(part: &Value) -> Vec<String> {
    match part {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
