//! The description of a verb: a body that says what is asked for, the same body with signatures, and what comes of each.

use axum::routing::MethodRouter;
use serde_json::Value;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        Array, Content, Discriminator, ObjectBuilder, Ref, RefOr, Required, Schema, Type,
        extensions::Extensions,
        path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths},
        request_body::RequestBodyBuilder,
        schema::OneOfBuilder,
    },
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{
    App,
    http::{
        dto::{
            consent::ConsentDto,
            outcome::{DoneDto, DroppedDto, PendingDto, ReplacedDto, UnknownDto},
            prepared::PreparedDto,
        },
        extract::{IdempotencyKey, LAST_NONCE, SignedUntil},
        openapi::{ANSWER, DONE, NOT_DONE, PROBLEMS, schemas},
    },
};

/// What is said of a verb.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Its path.
    pub path: &'static str,
    /// Its name for those who generate clients.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Who may do it, when, and what it does.
    pub description: &'static str,
    /// The problems that are its own, each `status code`.
    pub problems: &'static [&'static str],
}

impl About {
    /// `handler` with its description; `Body` is what it takes beside signatures, `Path` whom its path names.
    pub(crate) fn document<Body: ToSchema, Path: IntoParams>(self, handler: MethodRouter<App>) -> UtoipaMethodRouter<App> {
        let mut schemas = Vec::new();
        Body::schemas(&mut schemas);
        let takes_permit = self.problems.contains(&PERMIT_REFUSED);
        schemas.push((Body::name().into_owned(), with_signatures(Body::schema(), takes_permit)));
        schemas.push((schemas::Hash::name().into_owned(), schemas::Hash::schema()));
        schemas.push((schemas::HexData::name().into_owned(), schemas::HexData::schema()));
        component::<SignedUntil>(&mut schemas);
        for answer in [
            component::<PreparedDto>,
            component::<ConsentDto>,
            component::<PendingDto>,
            component::<UnknownDto>,
            component::<ReplacedDto>,
            component::<DroppedDto>,
            component::<DoneDto>,
        ] {
            answer(&mut schemas);
        }
        schemas.push((ANSWER.to_owned(), answer()));

        let tag = self.path.split('/').nth(2).unwrap_or_default();
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", Content::new(Some(Ref::from_schema_name(Body::name()))));
        let mut operation = OperationBuilder::new()
            .tag(tag)
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(Some(self.description))
            .request_body(Some(body.build()))
            .response("200", RefOr::Ref(Ref::from_response_name(DONE)))
            .response("202", RefOr::Ref(Ref::from_response_name(NOT_DONE)))
            .extensions(Some(Extensions::from_iter([(PROBLEMS, Value::from(self.problems))])));
        operation = operation.parameter(idempotency_key());
        for parameter in Path::into_params(|| None) {
            operation = operation.parameter(parameter);
        }
        let mut paths = Paths::new();
        paths.add_path_operation(self.path, vec![HttpMethod::Post], operation.build());
        (schemas, paths, handler)
    }
}

/// The answers of a verb, told apart by their `status`.
fn answer() -> RefOr<Schema> {
    let answers = [
        ("done", DoneDto::name()),
        ("signature_required", PreparedDto::name()),
        ("consent_required", ConsentDto::name()),
        ("pending", PendingDto::name()),
        ("unknown", UnknownDto::name()),
        ("replaced", ReplacedDto::name()),
        ("dropped", DroppedDto::name()),
    ];
    let mut status = Discriminator::new("status");
    let mut one = OneOfBuilder::new().description(Some("What came of asking for an action: `status` says which of these it is."));
    for (word, schema) in answers {
        let reference = Ref::from_schema_name(schema);
        status.mapping.insert(word.to_owned(), reference.ref_location.clone());
        one = one.item(reference);
    }
    Schema::OneOf(one.discriminator(Some(status)).build()).into()
}

/// The header that makes a request the same as an earlier one.
fn idempotency_key() -> Parameter {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(IdempotencyKey::LONGEST));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Printable ASCII, the wallet's own, kept for a day. The same key and body again get the same nonces, so that at most one of what \
             is signed can be mined, and once it is mined the outcome.",
        ))
        .schema(Some(key.pattern(Some("^[ -~]*$"))))
        .build()
}

/// Adds a schema and those it refers to.
fn component<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// The problem of those verbs that can be paid by a permit.
const PERMIT_REFUSED: &str = "422 permit_refused";

/// A body's schema with the two ways to hand in what was signed, which cannot both be given, and with a permit where it pays for something.
fn with_signatures(body: RefOr<Schema>, takes_permit: bool) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = body else { return body };
    let transactions = Array::builder()
        .items(Ref::from_schema_name(schemas::HexData::name()))
        .min_items(Some(1))
        .max_items(Some(2))
        .description(Some("The steps' raw signed transactions in their order, for the server to send."))
        .build();
    let described = |name, description: &str| {
        let mut reference = Ref::from_schema_name(name);
        reference.description = description.to_owned();
        RefOr::Ref(reference)
    };
    let hash = described(
        schemas::Hash::name(),
        "The hash of the last step's transaction, by whichever account it was sent: the wallet's own, a batch, a Safe's, a bundle.",
    );
    object.properties.insert("signedTransactions".to_owned(), Schema::Array(transactions).into());
    object.properties.insert("transactionHash".to_owned(), hash);
    let nonce = schemas::whole(
        "The nonce of the first step, for a signer that prepares several actions in a row; its next if not said.",
        0,
        LAST_NONCE,
    );
    object.properties.insert("nonce".to_owned(), Schema::Object(nonce).into());
    if takes_permit {
        let permit = described(SignedUntil::name(), "The typed data of the allowance's step, signed instead of sent.");
        object.properties.insert("permit".to_owned(), permit);
    }
    Schema::Object(object).into()
}
