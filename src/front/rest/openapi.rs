//! Owns what the OpenAPI document (`docs/openapi.json`, `GET /v1/openapi.json`) says about all calls alike.
//! What it says about one call is at the call's handler.
//!
//! Contract: a handler describes its own answers only. The answers of the middleware are added here, and an
//! error without a body of its own gets the body that all errors have. How a new call is described:
//! `docs/ARCHITECTURE.md`.

pub mod schemas;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, ContentBuilder, Header, InfoBuilder, License, OpenApi, OpenApiBuilder,
    OpenApiVersion, Ref, RefOr, Schema,
};

use super::auth::{KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::front::http::problem;
use crate::report::QualityReport;

const DESCRIPTION: &str = "Records LiveKit rooms. Every call but those marked as open is signed: \
    `X-RTCstack-Signature` is the lower-case hex of HMAC-SHA256, keyed with the API secret, over the method, the \
    request target as sent, `X-RTCstack-Timestamp` and the lower-case hex SHA-256 of the body, joined with single \
    line feeds; `sha256=` may stand before it. `HEAD` is answered wherever `GET` is. A method that a path does not \
    take is answered with 405 and `Allow`, a path that there is none with 404, an unknown key of a query or a body \
    with 400.";

/// The headers that sign a call, with their descriptions.
const SIGNING: [(&str, &str, &str); 3] = [
    ("apiKey", KEY_HEADER, "The API key."),
    ("timestamp", TIMESTAMP_HEADER, "Unix seconds, at most 300 s from the service's clock."),
    ("signature", SIGNATURE_HEADER, "The signature, 64 hexadecimal digits, alone or after `sha256=`."),
];

/// The gate's answers, with the descriptions for calls that have none of their own.
const AT_THE_GATE: [(&str, &str); 7] = [
    ("400", "The body did not arrive as a whole."),
    ("401", "The API key is missing or not known, or the timestamp or the signature is missing."),
    (
        "403",
        "The signature is wrong or was used before, the timestamp is none or too far off, or the origin is not listed.",
    ),
    ("408", "The body did not arrive in time."),
    ("413", "The body is too large."),
    ("414", "The path and the query are too long."),
    ("429", "Too many requests with this API key."),
];

/// The header with which LiveKit's webhooks authenticate themselves.
const LIVEKIT_TOKEN: (&str, &str, &str) =
    ("livekitToken", "authorization", "The token that LiveKit sends with its webhooks.");

/// The answers to LiveKit's webhook before its handler runs.
const TO_LIVEKIT: [(&str, &str); 6] = [
    ("400", "The body did not arrive as a whole."),
    ("401", "The token is missing, not of this LiveKit server's key, or of another body."),
    ("403", "The origin is not listed."),
    ("408", "The body did not arrive in time."),
    ("413", "The body is too large."),
    ("414", "The path and the query are too long."),
];

/// Answers that every call can have, signed or not.
const IN_FRONT_OF_IT: [(&str, &str); 2] =
    [("403", "The origin is not listed."), ("414", "The path and the query are too long.")];

/// Returns a document without calls.
pub fn empty() -> OpenApi {
    let license = License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("egressd")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let components = SIGNING.into_iter().chain([LIVEKIT_TOKEN]).fold(
        ComponentsBuilder::new().schema_from::<problem::Body>(),
        |components, (name, header, meaning)| {
            let value = ApiKeyValue::with_description(header, meaning);
            components.security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)))
        },
    );
    OpenApiBuilder::new()
        .openapi(OpenApiVersion::Version31)
        .info(info)
        .components(Some(components.build()))
        .build()
}

/// Marks all calls of the document as signed.
pub fn signed(document: &mut OpenApi) {
    // One requirement of three headers: all of them together.
    let requirement = SIGNING.iter().fold(SecurityRequirement::default(), |requirement, (name, ..)| {
        requirement.add::<_, [&str; 0], &str>(*name, [])
    });
    for operation in operations(document) {
        operation.security = Some(vec![requirement.clone()]);
        add(operation, &AT_THE_GATE);
    }
}

/// Marks all calls of the document as LiveKit's.
pub fn from_livekit(document: &mut OpenApi) {
    for operation in operations(document) {
        let requirement = SecurityRequirement::new::<_, [&str; 0], &str>(LIVEKIT_TOKEN.0, []);
        operation.security = Some(vec![requirement]);
        add(operation, &TO_LIVEKIT);
    }
}

/// Marks all calls of the document as open to everybody.
pub fn open(document: &mut OpenApi) {
    for operation in operations(document) {
        operation.security = Some(vec![]);
        add(operation, &IN_FRONT_OF_IT);
    }
}

/// Completes the document and returns its text, as it is served and committed.
pub fn text(mut document: OpenApi) -> String {
    for operation in operations(&mut document) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.content.values_mut().for_each(refuse_null);
        }
        let responses = operation.responses.responses.iter_mut();
        for (status, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
            if let RefOr::T(response) = response {
                complete(status, response);
            }
        }
    }
    write_whole(&mut document);
    let mut text = document.to_pretty_json().expect("strings, numbers and lists are always valid JSON");
    text.push('\n');
    text
}

fn add(operation: &mut Operation, answers: &[(&str, &str)]) {
    for (status, description) in answers {
        let responses = &mut operation.responses.responses;
        responses.entry((*status).to_owned()).or_insert_with(|| RefOr::T(Response::new(*description)));
    }
}

/// Adds what all errors have and this one does not describe.
fn complete(status: &str, response: &mut Response) {
    if response.content.is_empty() {
        let body = Ref::from_schema_name(problem::Body::name());
        let content = ContentBuilder::new().schema(Some(body)).build();
        response.content.insert(problem::CONTENT_TYPE_OF_PROBLEMS.to_owned(), content.into());
    }
    if matches!(status, "429" | "503") {
        let mut header = Header::new(schemas::whole(1..=u32::MAX));
        header.description =
            Some("Seconds after which trying again can help, where that is known.".to_owned());
        response.headers.insert("Retry-After".to_owned(), header.into());
    }
}

/// An optional body may be missing, but it may not be `null`.
fn refuse_null(content: &mut RefOr<Content>) {
    let RefOr::T(content) = content else { return };
    if let Some(RefOr::T(Schema::OneOf(alternatives))) = &mut content.schema
        && let Some(body) = alternatives.items.iter().find(|item| matches!(item, RefOr::Ref(_)))
    {
        content.schema = Some(body.clone());
    }
}

/// A report is always written with all its keys. Its reader tolerates missing keys because of older reports.
fn write_whole(document: &mut OpenApi) {
    let mut parts = Vec::new();
    QualityReport::schemas(&mut parts);
    let names = parts.into_iter().map(|(name, _)| name).chain([QualityReport::name().into_owned()]);
    let Some(components) = &mut document.components else { return };
    for name in names {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(&name) {
            object.required = object.properties.keys().cloned().collect();
        }
    }
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        let PathItem { get, put, post, delete, patch, .. } = item;
        [get, put, post, delete, patch].into_iter().flatten()
    })
}
