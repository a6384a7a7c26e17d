//! Owns how the options of a start, and a change of view, are read from a body (contract, part 1). Pure.
//!
//! Contract: nothing is silently ignored. An unknown key, or a value that cannot be honoured, is refused. The
//! message names the key and says what is expected.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::json::{Object, object, unknown_key};
use crate::filepath::Filepath;
use crate::front::http::problem::Problem;
use crate::media::{FitChoice, Streams};
use crate::options::{
    AUDIO_KBPS, AskedOptions, AskedWatermark, CORNER_WORDS, FIT_WORDS, FRAME_RATES, LAYOUT_WORDS, Look,
    OPACITIES, PIXELS_MAX, SIDES, VIDEO_KBPS, ViewChange, corner_from_word, fit_from_word,
};

/// Keys that describe the picture.
const OF_THE_PICTURE: &[&str] = &[
    "layout",
    "fit",
    "width",
    "height",
    "framerate",
    "videoBitrate",
    "nameTags",
    "initials",
    "speakerBorder",
    "watermark",
];
const OF_THE_SOUND: &[&str] = &["audioBitrate"];

/// Reads the options of a start. An empty body asks for the defaults.
pub fn asked(body: &[u8]) -> Result<AskedOptions, Problem> {
    let mut asked = AskedOptions::default();
    if body.is_empty() {
        return Ok(asked);
    }
    let object = object(body)?;
    for (key, value) in &object {
        take_option(&mut asked, key, value)?;
    }
    asked.streams = streams(&object)?;
    let pixels = asked.width.zip(asked.height).map(|(width, height)| width * height);
    if pixels.is_some_and(|pixels| pixels > PIXELS_MAX) {
        let detail = format!("width times height must be at most {PIXELS_MAX} pixels (3840 x 2160)");
        return Err(Problem::bad_request(detail));
    }
    Ok(asked)
}

/// Reads a change of the picture's look. `null` for `fit` restores the choice by shape.
pub fn view_change(body: &[u8]) -> Result<ViewChange, Problem> {
    let mut change = ViewChange::default();
    for (key, value) in &object(body)? {
        match (key.as_str(), value) {
            ("layout", layout) => change.look = Some(look(layout)?),
            ("fit", Value::Null) => change.fit = Some(FitChoice::ByShape),
            ("fit", choice) => change.fit = Some(fit(choice)?),
            (unknown, _) => return Err(unknown_key(unknown)),
        }
    }
    match change == ViewChange::default() {
        true => Err(Problem::bad_request("There is nothing to change: layout and fit are missing")),
        false => Ok(change),
    }
}

fn take_option(asked: &mut AskedOptions, key: &str, value: &Value) -> Result<(), Problem> {
    match key {
        "layout" => asked.view.look = Some(look(value)?),
        "fit" => asked.view.fit = Some(fit(value)?),
        "width" => asked.width = Some(side(key, value)?),
        "height" => asked.height = Some(side(key, value)?),
        "framerate" => asked.frame_rate = Some(whole(key, value, FRAME_RATES)?),
        "videoBitrate" => asked.video_kbps = Some(whole(key, value, VIDEO_KBPS)?),
        "audioBitrate" => asked.audio_kbps = Some(whole(key, value, AUDIO_KBPS)?),
        "maxDurationSeconds" => asked.max_duration_seconds = Some(whole(key, value, 1..=u32::MAX)?),
        "nameTags" => asked.name_tags = Some(truth(key, value)?),
        "initials" => asked.initials = Some(truth(key, value)?),
        "speakerBorder" => asked.speaker_border = Some(truth(key, value)?),
        "watermark" => asked.watermark = Some(watermark(value)?),
        // They decide which other keys may be there, which `streams` checks after everything is read.
        "audioOnly" | "videoOnly" => drop(truth(key, value)?),
        "filepath" => asked.filepath = Some(filepath(value)?),
        unknown => return Err(unknown_key(unknown)),
    }
    Ok(())
}

/// Returns whether the file has a picture, sound or both. Refuses options of the one that it does not have.
fn streams(object: &Object) -> Result<Streams, Problem> {
    let is_asked = |key: &str| object.get(key) == Some(&Value::Bool(true));
    let (streams, only, of_no_use, what) = match (is_asked("audioOnly"), is_asked("videoOnly")) {
        (false, false) => return Ok(Streams::Both),
        (true, false) => (Streams::AudioOnly, "audioOnly", OF_THE_PICTURE, "picture"),
        (false, true) => (Streams::VideoOnly, "videoOnly", OF_THE_SOUND, "sound"),
        (true, true) => {
            let detail = "audioOnly and videoOnly must not both be true: nothing would be left to record";
            return Err(Problem::bad_request(detail));
        }
    };
    // `false` is allowed for a thing that will not be there.
    let vain =
        of_no_use.iter().find(|key| object.get(**key).is_some_and(|value| *value != Value::Bool(false)));
    match vain {
        Some(key) => {
            Err(Problem::bad_request(format!("{key} must be left out with {only}: there will be no {what}")))
        }
        None => Ok(streams),
    }
}

fn filepath(value: &Value) -> Result<Filepath, Problem> {
    let template = value.as_str().ok_or_else(|| expected("filepath", "a string"))?;
    template.parse().map_err(|fault| Problem::bad_request(format!("filepath {fault}")))
}

fn look(value: &Value) -> Result<Look, Problem> {
    let look = value.as_str().and_then(Look::from_word);
    look.ok_or_else(|| expected("layout", LAYOUT_WORDS))
}

fn fit(value: &Value) -> Result<FitChoice, Problem> {
    value.as_str().and_then(fit_from_word).ok_or_else(|| expected("fit", FIT_WORDS))
}

fn side(key: &str, value: &Value) -> Result<u32, Problem> {
    let even = number(value).filter(|side| SIDES.contains(side) && side % 2 == 0);
    even.ok_or_else(|| {
        expected(key, &format!("an even whole number from {} to {}", SIDES.start(), SIDES.end()))
    })
}

fn whole(key: &str, value: &Value, range: RangeInclusive<u32>) -> Result<u32, Problem> {
    let (from, to) = (range.start(), range.end());
    let within = number(value).filter(|number| range.contains(number));
    within.ok_or_else(|| expected(key, &format!("a whole number from {from} to {to}")))
}

fn truth(key: &str, value: &Value) -> Result<bool, Problem> {
    value.as_bool().ok_or_else(|| expected(key, "true or false"))
}

fn watermark(value: &Value) -> Result<AskedWatermark, Problem> {
    match value {
        Value::Bool(false) => Ok(AskedWatermark::Off),
        Value::Bool(true) => Ok(AskedWatermark::On { corner: None, opacity: None }),
        Value::Object(details) => watermark_as_said(details),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(expected("watermark", "true, false or an object with position and opacity"))
        }
    }
}

fn watermark_as_said(details: &Object) -> Result<AskedWatermark, Problem> {
    let (mut corner, mut opacity) = (None, None);
    for (key, value) in details {
        match key.as_str() {
            "position" => {
                let word = value.as_str().and_then(corner_from_word);
                corner = Some(word.ok_or_else(|| expected("watermark.position", CORNER_WORDS))?);
            }
            "opacity" => {
                let within = value.as_f64().map(|n| n as f32).filter(|n| OPACITIES.contains(n));
                let number = within.ok_or_else(|| expected("watermark.opacity", "a number from 0 to 1"))?;
                opacity = Some(number);
            }
            unknown => return Err(unknown_key(&format!("watermark.{unknown}"))),
        }
    }
    Ok(AskedWatermark::On { corner, opacity })
}

/// Accepts 30.0 as a whole number, too: JSON does not distinguish it from 30.
fn number(value: &Value) -> Option<u32> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

fn expected(key: &str, what: &str) -> Problem {
    Problem::bad_request(format!("{key} must be {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Corner, Layout, Theme};

    fn refusal<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        result.unwrap_err().detail
    }

    fn refused(body: &str) -> String {
        refusal(asked(body.as_bytes()))
    }

    #[test]
    fn no_body_and_an_empty_object_ask_for_nothing() {
        for body in ["", "{}", r#"{"audioOnly":false,"videoOnly":false}"#] {
            assert_eq!(asked(body.as_bytes()), Ok(AskedOptions::default()), "{body}");
        }
    }

    #[test]
    fn every_option_is_read() {
        let body = r#"{"layout":"speaker-light","fit":"contain","width":1920,"height":1080,"framerate":25,
            "videoBitrate":4500,"audioBitrate":192,"maxDurationSeconds":3600,"nameTags":true,"initials":true,
            "speakerBorder":false,"watermark":{"position":"top-left","opacity":0.5}}"#;
        let look = Look { layout: Layout::Speaker, theme: Theme::Light };
        let expected = AskedOptions {
            filepath: None,
            streams: Streams::Both,
            view: ViewChange { look: Some(look), fit: Some(FitChoice::Contain) },
            width: Some(1920),
            height: Some(1080),
            frame_rate: Some(25),
            video_kbps: Some(4500),
            audio_kbps: Some(192),
            max_duration_seconds: Some(3600),
            name_tags: Some(true),
            initials: Some(true),
            speaker_border: Some(false),
            watermark: Some(AskedWatermark::On { corner: Some(Corner::TopLeft), opacity: Some(0.5) }),
        };
        assert_eq!(asked(body.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_watermark_can_be_asked_for_and_left_out() {
        let read = |body: &str| asked(body.as_bytes()).unwrap().watermark;
        let on = AskedWatermark::On { corner: None, opacity: None };
        assert_eq!(read(r#"{"watermark":true}"#), Some(on));
        assert_eq!(read(r#"{"watermark":{}}"#), Some(on));
        assert_eq!(read(r#"{"watermark":false}"#), Some(AskedWatermark::Off));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        assert_eq!(refused(r#"{"width":1280,"hieght":720}"#), "Unknown key \"hieght\"");
        assert_eq!(refused(r#"{"watermark":{"file":"/etc/passwd"}}"#), "Unknown key \"watermark.file\"");
    }

    #[test]
    fn a_size_that_no_encoder_takes_is_refused() {
        for (key, value) in
            [("width", "1279"), ("width", "0"), ("width", "\"1280\""), ("height", "3842"), ("height", "-2")]
        {
            let expected = format!("{key} must be an even whole number from 128 to 3840");
            assert_eq!(refused(&format!("{{\"{key}\":{value}}}")), expected, "{value}");
        }
        let largest = r#"{"width":2160,"height":3840}"#;
        assert!(asked(largest.as_bytes()).is_ok());
        let detail = "width times height must be at most 8294400 pixels (3840 x 2160)";
        assert_eq!(refused(r#"{"width":3840,"height":2162}"#), detail);
    }

    #[test]
    fn a_rate_outside_of_its_range_is_refused_with_the_range() {
        let cases = [
            (r#"{"framerate":0}"#, "framerate must be a whole number from 1 to 60"),
            (r#"{"framerate":61}"#, "framerate must be a whole number from 1 to 60"),
            (r#"{"framerate":29.97}"#, "framerate must be a whole number from 1 to 60"),
            (r#"{"videoBitrate":63}"#, "videoBitrate must be a whole number from 64 to 50000"),
            (r#"{"audioBitrate":321}"#, "audioBitrate must be a whole number from 32 to 320"),
            (r#"{"maxDurationSeconds":0}"#, "maxDurationSeconds must be a whole number from 1 to 4294967295"),
        ];
        for (body, detail) in cases {
            assert_eq!(refused(body), detail);
        }
    }

    #[test]
    fn a_word_that_is_none_is_refused_with_those_there_are() {
        let layout = "layout must be grid, speaker or single-speaker, alone or with -dark or -light";
        for body in [r#"{"layout":"mosaic"}"#, r#"{"layout":null}"#, r#"{"layout":"grid-pink"}"#] {
            assert_eq!(refused(body), layout);
        }
        let fit = "fit must be cover or contain";
        for body in [r#"{"fit":"stretch"}"#, r#"{"fit":"by-shape"}"#, r#"{"fit":null}"#] {
            assert_eq!(refused(body), fit);
        }
        let cases = [
            (r#"{"nameTags":1}"#, "nameTags must be true or false"),
            (r#"{"watermark":7}"#, "watermark must be true, false or an object with position and opacity"),
            (
                r#"{"watermark":{"position":"middle"}}"#,
                "watermark.position must be top-left, top-right, bottom-left or bottom-right",
            ),
            (r#"{"watermark":{"opacity":1.1}}"#, "watermark.opacity must be a number from 0 to 1"),
        ];
        for (body, detail) in cases {
            assert_eq!(refused(body), detail);
        }
    }

    #[test]
    fn a_filepath_is_read_as_a_template_and_what_is_wrong_with_it_is_said() {
        let read = asked(br#"{"filepath":"a/{room_name}-{time}.mp4"}"#).unwrap().filepath;
        assert_eq!(read, Some("a/{room_name}-{time}.mp4".parse().unwrap()));
        let up = "filepath must not have a part that is \".\" or \"..\"";
        assert_eq!(refused(r#"{"filepath":"../x.mp4"}"#), up);
        let braces =
            "filepath must have no other braces than {room_name}, {room_id}, {egress_id}, {time} and {utc}";
        assert_eq!(refused(r#"{"filepath":"{room}.mp4"}"#), braces);
        assert_eq!(refused(r#"{"filepath":7}"#), "filepath must be a string");
    }

    #[test]
    fn one_of_picture_and_sound_can_be_left_out() {
        let streams = |body: &str| asked(body.as_bytes()).unwrap().streams;
        assert_eq!(streams(r#"{"audioOnly":true,"videoOnly":false,"audioBitrate":64}"#), Streams::AudioOnly);
        assert_eq!(streams(r#"{"videoOnly":true,"width":640}"#), Streams::VideoOnly);
        assert_eq!(streams(r#"{"audioOnly":true,"nameTags":false,"watermark":false}"#), Streams::AudioOnly);
        let both = "audioOnly and videoOnly must not both be true: nothing would be left to record";
        assert_eq!(refused(r#"{"videoOnly":true,"audioOnly":true}"#), both);
        assert_eq!(refused(r#"{"audioOnly":1}"#), "audioOnly must be true or false");
        assert_eq!(refused(r#"{"videoOnly":"true"}"#), "videoOnly must be true or false");
    }

    #[test]
    fn nothing_can_be_asked_of_a_picture_or_a_sound_that_there_will_not_be() {
        for (key, value) in [
            ("layout", r#""grid""#),
            ("fit", r#""cover""#),
            ("width", "640"),
            ("height", "360"),
            ("framerate", "30"),
            ("videoBitrate", "3000"),
            ("nameTags", "true"),
            ("initials", "true"),
            ("speakerBorder", "true"),
            ("watermark", "{}"),
        ] {
            let body = format!(r#"{{"{key}":{value},"audioOnly":true}}"#);
            let detail = format!("{key} must be left out with audioOnly: there will be no picture");
            assert_eq!(refused(&body), detail);
        }
        let sound = "audioBitrate must be left out with videoOnly: there will be no sound";
        assert_eq!(refused(r#"{"videoOnly":true,"audioBitrate":128}"#), sound);
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused() {
        assert_eq!(refused("[]"), "The body must be a JSON object");
        assert!(refused("{").starts_with("The body is not JSON"));
        assert!(refusal(view_change(b"")).starts_with("The body is not JSON"));
    }

    #[test]
    fn a_change_names_what_changes_and_nothing_else() {
        let read = |body: &str| view_change(body.as_bytes());
        let look = Look { layout: Layout::Grid, theme: Theme::Light };
        let expected = ViewChange { look: Some(look), fit: None };
        assert_eq!(read(r#"{"layout":"grid-light"}"#), Ok(expected));
        let given_back = ViewChange { look: None, fit: Some(FitChoice::ByShape) };
        assert_eq!(read(r#"{"fit":null}"#), Ok(given_back));
        assert_eq!(refusal(read("{}")), "There is nothing to change: layout and fit are missing");
        assert_eq!(refusal(read(r#"{"width":640}"#)), "Unknown key \"width\"");
    }
}
