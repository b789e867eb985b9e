//! The API's description, made from the routes that answer.
//!
//! A route documents its parameters, its body and what it answers when all goes well, and names the problems that are its own. What the
//! layers around the routes add to all of them, headers and shared problems, is added here to all of them.

mod answers;
mod examples;
mod headers;
mod operations;
mod print;
mod problems;
pub(crate) mod schemas;
mod shape;

use axum::Router;
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, ObjectBuilder, OpenApi, Ref, RefOr, Type,
        path::{Operation, ParameterBuilder, ParameterIn},
        response::Response,
    },
};
use utoipa_axum::router::OpenApiRouter;

use self::operations::{is_read, operations};
use crate::App;

pub(crate) use answers::{ANSWER, DONE, NOT_DONE};
pub(crate) use print::print;
pub(crate) use problems::{EXTENSION as PROBLEMS, ProblemCode};

/// What the document says before it comes to the paths.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "ClawPay Runs", license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "The server that serves this document")),
    tags(
        (name = "runs", description = "Work that is offered, claimed, delivered and paid."),
        (name = "agents", description = "Who does the work, and what it has staked."),
        (name = "credits", description = "Payouts that the token refused."),
        (name = "posters", description = "Who offers the work."),
        (name = "wallets", description = "What an account has, and what waits for it."),
        (name = "transactions", description = "On their way to the chain."),
        (name = "events", description = "What happens, as it happens."),
        (name = "market", description = "The market as a whole: its rules, totals and freshness."),
        (name = "server", description = "The process, and this description of it."),
    )
)]
struct Introduction;

/// What it says of the market as a whole.
pub(crate) const DESCRIPTION: &str = "\
A marketplace where people and programs pay AI agents in USDC. Contracts hold the money and enforce every rule; this API reads an index of \
their events, says who may do what, and prepares the transactions that wallets sign. It holds no user's key.

Amounts are strings of base units: USDC has six decimals, so 20 USDC are `\"20000000\"`. Times are chain time, never a server's clock.

**Verbs take two calls.** Post a body to a verb: the answer is 202 with `steps` to sign. Sign them in order, and post the same body again \
with `signedTransactions` (raw, in step order), or with `transactionHash` if the wallet sent them itself: the answer is 200 with the outcome \
once it is mined and indexed, or 202 with `status: \"pending\"`, which says how to go on waiting.

**Errors** are RFC 9457 problems with a stable `code`.

**Reads** say which block they reflect, in `X-Indexed-Block`. `stale: true` in a body means that the index has fallen behind the chain.";

/// A router that begins the document.
pub(crate) fn router() -> OpenApiRouter<App> {
    let mut introduction = Introduction::openapi();
    introduction.info.version = env!("CARGO_PKG_VERSION").to_owned();
    introduction.info.description = Some(DESCRIPTION.to_owned());
    // No operation asks who the client is.
    introduction.security = Some(Vec::new());
    OpenApiRouter::with_openapi(introduction)
}

/// Takes the paths and their finished document apart.
pub(crate) fn split(router: OpenApiRouter<App>) -> (Router<App>, OpenApi) {
    let (router, mut document) = router.split_for_parts();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let is_status = path == "/api/status";
            if is_read(operation) && !is_status {
                conditional(operation);
            }
            stamp(path, operation);
            problems::attach(path, &method, operation);
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.extend(problems::schemas());
    components.responses.extend(problems::responses().chain([unchanged()]));
    components.responses.extend(answers::responses().map(|(name, response)| (name, response.into())));
    components.headers.extend(headers::components());
    shape::shape(&mut document);
    examples::add(&mut document);
    (router, document)
}

/// Documents that a client that has an answer does not get it again.
fn conditional(operation: &mut Operation) {
    let known = ParameterBuilder::new()
        .name("If-None-Match")
        .parameter_in(ParameterIn::Header)
        .description(Some("The ETag of an answer to the same request: if nothing has changed, this one is 304."))
        // What is no tag is no tag of an answer, and does no harm.
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).description(Some("Entity tags, separated by commas."))));
    operation.parameters.get_or_insert_default().push(known.build().into());
    if let Some(RefOr::T(found)) = operation.responses.responses.get_mut("200") {
        headers::add(&mut found.headers, headers::ETAG);
    }
    operation.responses.responses.insert("304".to_owned(), Ref::from_response_name(UNCHANGED).into());
}

/// Response to a client that has the answer already.
const UNCHANGED: &str = "Unchanged";

fn unchanged() -> (String, RefOr<Response>) {
    let mut unchanged = Response::new("Nothing has changed since the answer that had this ETag.");
    for name in [headers::ETAG, headers::REQUEST_ID, headers::INDEXED_BLOCK] {
        headers::add(&mut unchanged.headers, name);
    }
    (UNCHANGED.to_owned(), unchanged.into())
}

/// Documents the headers that are added to every answer.
fn stamp(path: &str, operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        headers::add(&mut response.headers, headers::REQUEST_ID);
        if path.starts_with("/api/") {
            headers::add(&mut response.headers, headers::INDEXED_BLOCK);
        }
    }
}
