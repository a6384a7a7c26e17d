//! Owns the options of a start (contract, part 1) and which of them can be honoured. Pure.
//!
//! Contract: nothing is silently ignored. An option that asks for what would happen anyway is taken,
//! any other is refused by name.

use serde_json::{Value, json};

use super::json::{object, unknown_key};
use crate::api::problem::Problem;

/// Checks the body of a start; no body at all asks for nothing.
pub fn check(body: &[u8]) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    object(body)?.iter().try_for_each(|(key, value)| check_option(key, value))
}

fn check_option(key: &str, value: &Value) -> Result<(), Problem> {
    let accepted: &[Value] = &match key {
        // Black is the background without `-light`, too.
        "layout" => vec![json!("grid"), json!("grid-dark")],
        "width" => vec![json!(1280)],
        "height" => vec![json!(720)],
        "framerate" => vec![json!(30)],
        "videoBitrate" => vec![json!(3000)],
        "audioBitrate" => vec![json!(128)],
        "audioOnly" | "videoOnly" => vec![json!(false)],
        "fit" | "filepath" | "maxDurationSeconds" => vec![],
        unknown => return Err(unknown_key(unknown)),
    };
    if accepted.contains(value) {
        return Ok(());
    }
    Err(Problem::bad_request(match accepted {
        [] => format!("{key} is not supported by this version: leave it out"),
        accepted => {
            let words: Vec<_> = accepted.iter().map(Value::to_string).collect();
            format!("{key} must be {} in this version", words.join(" or "))
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        check(body.as_bytes()).unwrap_err().detail
    }

    #[test]
    fn no_body_an_empty_object_and_the_defaults_are_taken() {
        let defaults = r#"{"layout":"grid","width":1280,"height":720,"framerate":30,
            "videoBitrate":3000,"audioBitrate":128,"audioOnly":false,"videoOnly":false}"#;
        for body in ["", "{}", defaults, r#"{"layout":"grid-dark"}"#] {
            assert_eq!(check(body.as_bytes()), Ok(()), "{body}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert_eq!(refusal(r#"{"width":1280,"hieght":720}"#), "Unknown key \"hieght\"");
    }

    #[test]
    fn a_value_that_cannot_be_honoured_is_refused_with_what_is_expected() {
        assert_eq!(refusal(r#"{"width":1920}"#), "width must be 1280 in this version");
        assert_eq!(refusal(r#"{"width":"1280"}"#), "width must be 1280 in this version");
        assert_eq!(
            refusal(r#"{"layout":"speaker"}"#),
            "layout must be \"grid\" or \"grid-dark\" in this version"
        );
        assert_eq!(
            refusal(r#"{"filepath":"x.mp4"}"#),
            "filepath is not supported by this version: leave it out"
        );
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused() {
        assert_eq!(refusal("[]"), "The body must be a JSON object");
        assert!(refusal("{").starts_with("The body is not JSON"));
    }
}
