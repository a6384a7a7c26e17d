//! Owns how bodies are read key by key, so that every complaint names the key.

use serde_json::{Map, Value};

use crate::front::http::problem::Problem;

pub type Object = Map<String, Value>;

/// The body, which must be a JSON object.
pub fn object(body: &[u8]) -> Result<Object, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::bad_request("The body must be a JSON object")),
        Err(error) => Err(Problem::bad_request(format!("The body is not JSON: {error}"))),
    }
}

/// A key that no call knows.
pub fn unknown_key(key: &str) -> Problem {
    // Long enough for any name that was meant, short enough to send back.
    let shown: String = key.chars().take(64).collect();
    Problem::bad_request(format!("Unknown key \"{shown}\""))
}
