//! What the words of requests and answers look like in JSON. Those without a type of this crate stand in for words of `clawpay_domain`,
//! which knows nothing of the wire.

use std::borrow::Cow;

use clawpay_domain::{AgentStatus, RunState, Turn, options, rules};
use utoipa::{
    Number, PartialSchema, ToSchema,
    openapi::{
        Array, Object, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
        schema::{AdditionalProperties, KnownFormat},
    },
};

use crate::{
    actions::STEP_IDS,
    http::extract::{
        Account, AgentUri, BaseUnits, ContentUri, DayCount, DeliverableUri, Digits, EventTypes, Feedback, MetadataKey, MetadataText,
        PageNumber, PageSize, RewardBound, Rfc3339, Search, SignedUntil, Tag, TransactionHash, WaitSeconds,
    },
    text::{Checksummed, IsoDate, Quantity},
};

/// Gives each type the schema component of its name.
macro_rules! schemas {
    ($($kind:ty as $name:literal => $schema:expr;)*) => {
        $(
            impl PartialSchema for $kind {
                fn schema() -> RefOr<Schema> {
                    $schema.into()
                }
            }

            impl ToSchema for $kind {
                fn name() -> Cow<'static, str> {
                    $name.into()
                }
            }
        )*
    };
}

/// USDC in base units.
pub(crate) struct Usdc;
/// A run's number.
pub(crate) struct RunId;
/// An agent's number.
pub(crate) struct AgentId;
/// Where a run stands.
pub(crate) struct RunStateWord;
/// Where an agent stands.
pub(crate) struct AgentStatusWord;
/// 32 bytes.
pub(crate) struct Hash;
/// Any bytes.
pub(crate) struct HexData;
/// A duration.
pub(crate) struct Seconds;
/// How many runs are in each state.
pub(crate) struct RunsByState;
/// A place in a list.
pub(crate) struct CursorText;
/// A verb of a run.
pub(crate) struct RunVerb;
/// Where USDC can be.
pub(crate) struct Purse;
/// An amount of ether.
pub(crate) struct Wei;
/// What an account is to do next.
pub(crate) struct TurnWord;

/// A whole number in decimal digits, as a text.
pub(crate) struct Decimal;

/// The status of an answer that asks for signatures.
pub(crate) struct SignatureRequired;
/// The status of an answer that asks for another account's signature.
pub(crate) struct ConsentRequired;
/// The status of an answer that asks to go on waiting.
pub(crate) struct StillPending;
/// The status of an answer about a transaction that nothing has heard of.
pub(crate) struct NeverSeen;
/// The status of an answer about a transaction whose place another one has.
pub(crate) struct IsReplaced;
/// The status of an answer about a transaction that the node has let go of.
pub(crate) struct IsDropped;
/// The status of an answer to what has happened.
pub(crate) struct IsDone;
/// What a step is called.
pub(crate) struct StepId;
/// What a step consists of.
pub(crate) struct TransactionStep;
/// The type of a transaction, as JSON-RPC states it.
pub(crate) struct TransactionType;
/// The types of typed data.
pub(crate) struct TypedDataTypes;
/// The message of typed data.
pub(crate) struct TypedDataMessage;

/// Largest whole number that every reader of JSON can count to.
pub(super) const LARGEST: u64 = (1 << 53) - 1;

schemas! {
    Usdc as "Usdc" => text("An amount in base units of USDC, which has six decimals: 20 USDC are \"20000000\".", "^[0-9]{1,78}$");
    BaseUnits as "UsdcAsked" => text(
        "An amount in base units of USDC, which has six decimals: 20 USDC are \"20000000\".",
        // As many digits as surely fit 256 bits.
        "^[0-9]{1,77}$",
    );
    // The largest reward has eleven digits before the point.
    RewardBound as "UsdcDecimal" => text("An amount in USDC, with at most six decimals: \"100\", \"0.25\".", r"^[0-9]{1,10}(\.[0-9]{1,6})?$");
    RunId as "RunId" => whole("A run's number, from 1.", 0, LARGEST);
    AgentId as "AgentId" => whole("An agent's number: the id of its ERC-721 token.", 0, LARGEST);
    // Its largest, 2^64 - 1, is no number in languages whose integers have signs.
    Digits as "Id" => described(Type::Integer, "A number in decimal digits, below 2^64.").minimum(Some(0_u64))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).build();
    PageNumber as "PageNumber" => whole("Which page, from 1.", 1, (1 << 31) - 1);
    PageSize as "PageSize" => whole("How many items on a page.", 1, 100);
    DayCount as "DayCount" => whole("How many days.", 1, 366);
    WaitSeconds as "WaitSeconds" => whole("Seconds to wait.", 0, 30);
    Decimal as "Decimal" => text("A whole number in decimal digits, below 2^64.", "^[0-9]{1,19}$");
    Wei as "Wei" => text("An amount of ether in wei.", "^[0-9]{1,78}$");
    TurnWord as "Turn" => one_of("The verb that a run waits for.", Turn::ALL.iter().map(|turn| turn.as_str()));
    Seconds as "Seconds" => whole("A duration in seconds.", 0, LARGEST);
    RunStateWord as "RunState" => one_of("Where a run stands.", RunState::ALL.iter().map(|state| state.as_str()));
    AgentStatusWord as "AgentStatus" => one_of("Where an agent stands on the trust ladder.", AgentStatus::ALL.iter().map(|status| status.as_str()));
    RunVerb as "RunVerb" => one_of("A verb of a run, as its path is called.", options::Verb::ALL.iter().map(|verb| verb.as_str()));
    Purse as "Purse" => one_of(
        "Where USDC can be: with the poster, in escrow, with the wallet that claimed, with the platform, or in the agent's stake, free or committed to \
         the run.",
        options::Purse::ALL.iter().map(|purse| purse.as_str()),
    );
    RunsByState as "RunsByState" => RunState::ALL.iter().fold(described(Type::Object, "How many runs are in each state."), |object, state| {
        object.property(state.as_str(), whole("Runs.", 0, LARGEST)).required(state.as_str())
    }).build();
    ConsentRequired as "ConsentRequiredStatus" => constant("Nothing has happened yet: another account has to agree.", "consent_required");
    SignatureRequired as "SignatureRequired" => constant("Nothing has happened yet: something is to be signed.", "signature_required");
    StillPending as "StillPending" => constant("Not mined or not indexed yet.", "pending");
    NeverSeen as "NeverSeen" => constant("Nothing here has heard of the transaction.", "unknown");
    IsReplaced as "IsReplaced" => constant("Another transaction was mined in its place, and did something else.", "replaced");
    IsDropped as "IsDropped" => constant("The node has let go of the transaction. It may be sent again as it is.", "dropped");
    IsDone as "IsDone" => constant("Mined, and indexed.", "done");
    StepId as "StepId" => one_of("The verb, or `allowance`.", STEP_IDS.into_iter());
    TransactionStep as "TransactionStep" => constant("A transaction is to be signed and sent.", "transaction");
    TransactionType as "TransactionType" => one_of("`0x2`, or `0x0` on a chain without a base fee.", ["0x0", "0x2"].into_iter());
    TypedDataTypes as "TypedDataTypes" => described(Type::Object, "The members of each type by the type's name, `EIP712Domain` among them.")
        .additional_properties(Some(member_list())).build();
    TypedDataMessage as "TypedDataMessage" => described(Type::Object, "What is signed.")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true))).build();
    Checksummed as "Address" => text("An address with its EIP-55 checksum.", "^0x[0-9a-fA-F]{40}$");
    // What the checksum must be, a pattern cannot say: the format is there for those who generate addresses.
    Account as "AnyAddress" => formatted(
        "An address: all lower case, all upper case, or with the right EIP-55 checksum.", "^0[xX][0-9a-fA-F]{40}$", "ethereum-address",
    );
    TransactionHash as "TransactionHash" => text("A transaction's hash.", "^0x[0-9a-fA-F]{64}$");
    EventTypes as "EventTypes" => event_types();
    Hash as "Hash" => text("32 bytes as hex.", "^0x[0-9a-f]{64}$");
    HexData as "HexData" => text("Bytes as hex.", "^0x([0-9a-fA-F]{2})*$");
    Quantity as "Quantity" => text("A JSON-RPC quantity: hex without leading zeros.", "^0x(0|[1-9a-f][0-9a-f]*)$");
    IsoDate as "ChainTime" => described(Type::String, "A time on the chain: ISO 8601 in UTC, with milliseconds.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build();
    Rfc3339 as "AnyTime" => described(Type::String, "A time by RFC 3339, from 1970, with any offset. Fractions of a second are dropped.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build();
    CursorText as "Cursor" => formatted("A place in a list; opaque.", "^([0-9a-f]{2}){1,16384}$", "cursor");
    ContentUri as "ContentUri" => bounded("Where a run's work is described: 1 to 2048 bytes, usually an ipfs:// URI.", 1, rules::MAXIMUM_TEXT_BYTES);
    DeliverableUri as "DeliverableUri" => bounded("Where delivered work is: 1 to 2048 bytes.", 1, rules::MAXIMUM_TEXT_BYTES);
    Feedback as "Feedback" => bounded("What should change: at most 2048 bytes.", 0, rules::MAXIMUM_TEXT_BYTES);
    AgentUri as "AgentUri" => bounded("Where an agent is described: at most 8192 bytes.", 0, rules::MAXIMUM_AGENT_URI_BYTES);
    SignedUntil as "SignedUntil" => ObjectBuilder::new().schema_type(Type::Object).description(Some("Typed data that was signed."))
        .property("deadline", Decimal::schema()).required("deadline")
        .property("signature", HexData::schema()).required("signature")
        .additional_properties(Some(AdditionalProperties::FreeForm(false))).build();
    MetadataKey as "MetadataKey" => bounded("A key of an agent's metadata.", 1, rules::MAXIMUM_AGENT_URI_BYTES);
    MetadataText as "MetadataText" => bounded("A text for an agent's metadata.", 0, rules::MAXIMUM_AGENT_URI_BYTES);
    Tag as "Tag" => bounded("A tag. At most 2048 bytes.", 1, rules::MAXIMUM_TEXT_BYTES);
    Search as "Search" => bounded(
        "A run's number, the address of its poster or of the wallet that claimed it, the beginning of its content URI (`ipfs://Qm`), or words \
         that are all in its inline content. At most 2048 bytes.",
        1,
        rules::MAXIMUM_TEXT_BYTES,
    );
}

/// Names of events, separated by commas.
fn event_types() -> Object {
    let name = format!("({})", clawpay_bindings::event_names().join("|"));
    text("Names of the contracts' events, separated by commas.", &format!("^{name}(,{name})*$"))
}

/// What is always the same, by which a client tells one of several answers from the others.
pub(crate) fn constant(description: &str, word: &str) -> Object {
    one_of(description, [word].into_iter())
}

/// The members of one of typed data's types.
fn member_list() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let member = ObjectBuilder::new().schema_type(Type::Object);
    let member = member.property("name", text()).required("name").property("type", text()).required("type");
    Schema::Array(Array::builder().items(member).build()).into()
}

fn described(kind: Type, description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).description(Some(description))
}

/// A string of this pattern.
pub(super) fn text(description: &str, pattern: &str) -> Object {
    described(Type::String, description).pattern(Some(pattern)).build()
}

fn formatted(description: &str, pattern: &str, format: &str) -> Object {
    described(Type::String, description).pattern(Some(pattern)).format(Some(SchemaFormat::Custom(format.to_owned()))).build()
}

/// A string with so many bytes. JSON Schema counts characters, of which there are never more.
fn bounded(description: &str, minimum: usize, maximum_bytes: u64) -> Object {
    let object = described(Type::String, description).max_length(usize::try_from(maximum_bytes).ok());
    if minimum == 0 { object.build() } else { object.min_length(Some(minimum)).build() }
}

/// A whole number within these bounds.
pub(crate) fn whole(description: &str, minimum: u64, maximum: u64) -> Object {
    let whole = described(Type::Integer, description).minimum(Some(Number::from(minimum))).maximum(Some(Number::from(maximum)));
    // Some languages read a number without a format as one of 32 bits.
    let is_long = i32::try_from(maximum).is_err();
    whole.format(is_long.then_some(SchemaFormat::KnownFormat(KnownFormat::Int64))).build()
}

/// One of these words.
pub(super) fn one_of<'a>(description: &str, words: impl Iterator<Item = &'a str>) -> Object {
    described(Type::String, description).enum_values(Some(words)).build()
}
