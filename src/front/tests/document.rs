//! The OpenAPI document is the committed one, bodies are read as it says, and every answer in the tests of
//! the API is in it.

use serde_json::{Value, json};

use super::super::rest;
use super::*;

/// With this variable set, the test writes the document instead of comparing it.
const WRITE: &str = "EGRESSD_WRITE_OPENAPI";

/// Checks an answer against the document. Every test of the API passes all its answers through here.
pub fn check(method: &str, target: &str, answer: &Answer) {
    let document = document();
    let path = target.split('?').next().unwrap();
    // The document describes invalid requests and unknown paths in words only.
    let Some(item) = path_item(&document, path) else { return };
    let method = if method == "HEAD" { "get" } else { &method.to_lowercase() };
    let Some(operation) = item.get(method) else { return };
    let status = answer.status.to_string();
    let response = &operation["responses"][&status];
    assert!(response.is_object(), "{method} {path} answered {status}, which is not documented: {answer:?}");
    match answer.header("content-type") {
        None => assert!(response["content"].is_null(), "{method} {path} {status}: a body is documented"),
        Some(found) => {
            let media_type = found.split(';').next().unwrap();
            let content = &response["content"][media_type];
            assert!(content.is_object(), "{method} {path} {status}: {media_type} is not documented");
            if !answer.body.is_empty() && media_type.ends_with("json") {
                let faults = faults(&document, &content["schema"], &answer.json());
                assert!(faults.is_empty(), "{method} {path} {status}: {faults:#?} in {}", answer.body);
            }
        }
    }
}

#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let made = rest::document();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/openapi.json is not what the code says; write it with\n  {WRITE}=1 cargo test --lib the_committed_document"
    );
}

#[tokio::test]
async fn the_document_is_served_to_everybody() {
    let api = Api::start().await;
    let answer = api.with_headers("GET", "/v1/openapi.json", "", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.body, rest::document());
}

#[test]
fn every_call_has_a_name_of_its_own_and_its_way_in() {
    let document = document();
    let mut names = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(!names.contains(&name), "{name} is there twice");
            names.push(name);
            let expected = match path.as_str() {
                "/v1/health" | "/v1/openapi.json" => json!([]),
                "/livekit/webhook" => json!([{"livekitToken": []}]),
                _ => json!([{"apiKey": [], "signature": [], "timestamp": []}]),
            };
            assert_eq!(operation["security"], expected, "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_documented_key_is_read_within_its_documented_limits() {
    let unlimited = RateLimit { max: usize::MAX, ..RateLimit::default() };
    let api = Api::with(unlimited, TargetPolicy::AnyAddress).await;
    let document = document();
    let webhook = json!({"url": "http://127.0.0.1/", "events": ["*"]});
    let bodies = [
        ("POST", "/v1/rooms/room/recording/start", json!({})),
        ("PATCH", "/v1/rooms/room/recording", json!({})),
        ("POST", "/v1/webhooks", webhook),
    ];
    for (method, target, valid) in bodies {
        let item = path_item(&document, target).unwrap();
        let schema = &item[method.to_lowercase()]["requestBody"]["content"]["application/json"]["schema"];
        let schema = resolved(&document, schema);
        assert_eq!(schema["additionalProperties"], false, "{target}");
        for (key, property) in schema["properties"].as_object().unwrap() {
            let answered = async |value: &Value| {
                let mut body = valid.clone();
                body[key] = value.clone();
                api.call(method, target, &body.to_string()).await
            };
            for value in samples(property) {
                let is_valid = faults(&document, property, &value).is_empty();
                let answer = answered(&value).await;
                // No watermark is configured here: this error shows that the request was understood.
                let understood = answer.status < 300 || answer.body.contains("no picture for it");
                assert_eq!(understood, is_valid, "{target}: {key} = {value}: {}", answer.body);
            }
        }
    }
}

/// Returns values at the edges of what a schema allows, and beyond them.
fn samples(schema: &Value) -> Vec<Value> {
    let mut samples =
        vec![Value::Null, json!("no such word"), json!(""), json!({}), json!([]), json!(true), json!(false)];
    let words = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
    samples.extend(words(schema));
    samples.extend(words(&schema["items"]).into_iter().map(|word| json!([word])));
    samples.push(json!(["no such word"]));
    for edge in ["minimum", "maximum"] {
        if let Some(edge) = schema[edge].as_i64() {
            samples.extend([-2, -1, 0, 1, 2].map(|step| json!(edge + step)));
            samples.push(json!(edge as f64 + 0.5));
            // JSON does not distinguish 30 from 30.0.
            samples.push(json!(edge as f64));
        }
    }
    for option in schema["oneOf"].as_array().into_iter().flatten() {
        for (key, property) in option["properties"].as_object().into_iter().flatten() {
            samples.extend(self::samples(property).into_iter().map(|value| json!({key: value})));
        }
        samples.push(json!({"no such key": 1}));
    }
    samples
}

fn document() -> Value {
    serde_json::from_str(&rest::document()).unwrap()
}

/// Finds the document's path that matches a request's path. A path without parameters goes before one with.
fn path_item<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let fits = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, sent)| part == sent || part.starts_with('{'))
    };
    let paths = document["paths"].as_object().unwrap();
    paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => {
            document.pointer(place.strip_prefix('#').unwrap()).expect("what is referred to is there")
        }
        None => schema,
    }
}

/// Returns how a value violates a schema. Knows the part of JSON Schema that the document uses, without
/// patterns.
fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    let of = |schema, value| faults(document, schema, value);
    let list = |key: &str| schema[key].as_array().into_iter().flatten();
    let mut found = Vec::new();
    let mut require = |holds: bool, fault: String| {
        if !holds {
            found.push(fault);
        }
    };
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => vec![],
        one => vec![one.clone()],
    };
    require(
        types.is_empty() || types.iter().any(|name| is_a(value, name)),
        format!("{value} is no {types:?}"),
    );
    if let Some(words) = schema["enum"].as_array() {
        require(words.contains(value), format!("{value} is not one of {words:?}"));
    }
    if let Some(text) = value.as_str() {
        let least = schema["minLength"].as_u64().unwrap_or(0);
        require(text.chars().count() as u64 >= least, format!("{value} is too short"));
        require(schema["format"] != "uri" || text.contains("://"), format!("{value} is no address"));
    }
    if let Some(number) = value.as_f64() {
        require(
            schema["minimum"].as_f64().is_none_or(|least| number >= least),
            format!("{value} is too small"),
        );
        require(
            schema["maximum"].as_f64().is_none_or(|most| number <= most),
            format!("{value} is too large"),
        );
        let step = schema["multipleOf"].as_f64();
        require(step.is_none_or(|step| number % step == 0.0), format!("{value} is no multiple"));
    }
    for option in list("allOf") {
        require(of(option, value).is_empty(), format!("{:?}", of(option, value)));
    }
    if schema["oneOf"].is_array() {
        let fitting = list("oneOf").filter(|option| of(option, value).is_empty()).count();
        require(fitting == 1, format!("{value} is {fitting} of its alternatives"));
    }
    if let Value::Array(items) = value {
        require(items.len() as u64 >= schema["minItems"].as_u64().unwrap_or(0), "too few items".to_owned());
        items.iter().for_each(|item| require(of(&schema["items"], item).is_empty(), format!("{item}")));
    }
    if let (Value::Object(object), Some(properties)) = (value, schema["properties"].as_object()) {
        for key in list("required").filter_map(Value::as_str) {
            require(object.contains_key(key), format!("{key} is missing"));
        }
        for (key, value) in object {
            match properties.get(key) {
                Some(property) => {
                    let faults = of(property, value);
                    require(faults.is_empty(), format!("{key}: {faults:?}"));
                }
                None => require(schema["additionalProperties"] != false, format!("{key} is unknown")),
            }
        }
    }
    found
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("{other} is no type"),
    }
}
