//! Owns how queries are read key by key, so that every error message names the key.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Required, Schema};

use super::json::unknown_key;
use crate::front::http::problem::Problem;
use crate::front::rest::openapi::schemas;

/// The keys of a query with their values, percent-decoded, in the order in which they were given. No key
/// occurs twice.
pub struct Query(Vec<(String, String)>);

impl Query {
    fn parse(raw: &str) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decoded(key)?, decoded(value)?);
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(Problem::bad_request(format!("{} must be given once", shown(&key))));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    /// Removes a key and returns its value; `None` if it was not given.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Does the same, and parses the value. An error message names the key.
    pub fn take_parsed<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, Problem>
    where
        T::Err: Display,
    {
        let parsed = self.take(key).map(|value| value.parse());
        parsed.transpose().map_err(|fault| Problem::bad_request(format!("{key}: {fault}")))
    }

    /// Returns a whole number within these bounds, or the default.
    pub fn take_number(&mut self, key: &str, bounds: Bounds) -> Result<u32, Problem> {
        let Bounds { least, most, default } = bounds;
        let Some(text) = self.take(key) else { return Ok(default) };
        // Rust also reads a plus sign, which nobody means.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && (least..=most).contains(number));
        let fault = || Problem::bad_request(format!("{key} must be a whole number from {least} to {most}"));
        number.ok_or_else(fault)
    }

    /// Returns `true` or `false`; `false` if the key was not given.
    pub fn take_truth(&mut self, key: &str) -> Result<bool, Problem> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::bad_request(format!("{key} must be true or false"))),
        }
    }

    /// Returns an error if a key is left that was not taken.
    pub fn end(self) -> Result<(), Problem> {
        self.0.first().map_or(Ok(()), |(key, _)| Err(unknown_key(key)))
    }
}

/// The bounds of a number, and its default.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub least: u32,
    pub most: u32,
    pub default: u32,
}

impl Bounds {
    pub fn described(self) -> ObjectBuilder {
        schemas::whole(self.least..=self.most).default(Some(self.default.into()))
    }
}

/// Describes a key of a query. All keys are optional.
pub fn parameter(name: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    let parameter = Parameter::builder().name(name).parameter_in(ParameterIn::Query);
    parameter.required(Required::False).schema(Some(schema)).build()
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// Decodes the encoding of HTML forms, in which a plus is a space.
fn decoded(text: &str) -> Result<String, Problem> {
    let text = text.replace('+', " ");
    match percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(Problem::bad_request("The query must be percent-encoded UTF-8")),
    }
}

/// Long enough for any name that was meant, short enough to send back.
fn shown(key: &str) -> String {
    key.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(read: Result<T, Problem>) -> String {
        read.err().map(|problem| problem.detail).unwrap_or_default()
    }

    #[test]
    fn values_are_decoded_and_taken_by_their_keys() {
        let mut query = Query::parse("roomId=Z%C3%BCrich+a%2Bb&limit=7&&empty").unwrap_or(Query(vec![]));
        let bounds = Bounds { least: 1, most: 7, default: 3 };
        assert_eq!(query.take_number("limit", bounds), Ok(7));
        assert_eq!(query.take_number("limit", bounds), Ok(3));
        assert_eq!(query.take("roomId").as_deref(), Some("Zürich a+b"));
        assert_eq!(query.take("empty").as_deref(), Some(""));
        assert_eq!(query.end(), Ok(()));
    }

    #[test]
    fn a_query_that_cannot_be_meant_is_refused_by_its_key() {
        assert_eq!(refusal(Query::parse("a=1&a=2")), "a must be given once");
        assert_eq!(refusal(Query::parse("a=%ff")), "The query must be percent-encoded UTF-8");
        assert_eq!(refusal(Query::parse("limt=1").and_then(Query::end)), "Unknown key \"limt\"");
        let bounds = Bounds { least: 1, most: 7, default: 3 };
        for number in ["0", "8", "", "+1", "1.0", "-1", "99999999999", "x"] {
            let raw = format!("limit={}", number.replace('+', "%2B"));
            let read = Query::parse(&raw).and_then(|mut query| query.take_number("limit", bounds));
            assert_eq!(refusal(read), "limit must be a whole number from 1 to 7", "{number}");
        }
    }
}
