//! Proof 4: the recording calls key by key, and who is let in. Signatures are made by `tests/py/sign.py`.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::picture::plain;
use crate::support::rest::{Answer, Call, Caller, unix_seconds};
use crate::support::stage::{Options, Stage};

/// How long after stop the state may still say that media is taken in.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Some frames: one that is stopped within the first one holds nothing, and says so.
const RECORDED: Duration = Duration::from_millis(200);
/// Requests may be this old or this far ahead (contract, part 2); tested from both sides with room for the
/// seconds that the test itself takes.
const SKEW_S: i64 = 300;
const SKEW_ROOM_S: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_starts_make_one_recording_and_every_answer_has_its_keys() {
    let mut stage = Stage::open_with("race", Options::HALF).await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let caller = stage.caller();

    let (start, stop, state) = (stage.path("/start"), stage.path("/stop"), stage.path(""));
    let call = caller.sign(Method::POST, &start, "");
    let (one, two) = tokio::join!(caller.send(call.clone()), caller.send(call));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201], "one start makes it, the other finds it: {one:?} {two:?}");
    for answer in [&one, &two] {
        assert_eq!(answer.keys(), ["egressId", "startedAt", "status"]);
        assert!(["starting", "active"].iter().any(|status| answer.json["status"] == *status), "{answer:?}");
    }
    assert_eq!(one.json["egressId"], two.json["egressId"]);
    assert_eq!(one.json["startedAt"], two.json["startedAt"]);
    the_id_and_the_time_have_the_documented_form(&one);

    let running = stage.record().await;
    assert_eq!(one.json["egressId"], running.egress_id.as_str(), "a third start finds it too");
    let found = caller.get(&state).await;
    let expected = json!({"active": true, "egressId": running.egress_id, "startedAt": running.started_at});
    assert_eq!((found.status, &found.json), (200, &expected));

    tokio::time::sleep(RECORDED).await;
    let stopped = caller.post(&stop, "").await;
    let expected = json!({"egressId": running.egress_id, "status": "stopping"});
    assert_eq!((stopped.status, &stopped.json), (200, &expected));
    until_inactive(caller, &state).await;
    stage.fetch(&running).await;
    assert_eq!(
        stage.minio.objects().as_object().map(serde_json::Map::len),
        Some(1),
        "one recording, one object"
    );

    let nothing = caller.post(&stop, "").await;
    is_problem(&nothing, 404, "not-found", "Not Found");
    assert_eq!(nothing.json["detail"], "No active recording for this room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_livekit_does_not_have_is_not_found() {
    let stage = Stage::open_with("nobody", Options::HALF).await;
    let answer = stage.caller().post(&stage.path("/start"), "").await;
    is_problem(&answer, 404, "not-found", "Not Found");
    let state = stage.caller().get(&stage.path("")).await;
    assert_eq!((state.status, state.json), (200, json!({"active": false})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_signed_by_another_implementation_is_served_and_a_spoiled_one_refused() {
    let stage = Stage::open_with("signed", Options::HALF).await;
    let caller = stage.caller();

    for call in good_calls(caller, &stage.path("")) {
        let answer = caller.send(call.clone()).await;
        assert_eq!((answer.status, answer.json), (200, json!({"active": false})), "{}", call.path);
    }
    for (fault, call, status) in spoiled_calls(caller, &stage.path("")) {
        let answer = caller.send(call).await;
        let (kind, title) = match status {
            401 => ("unauthorized", "Unauthorized"),
            _ => ("forbidden", "Forbidden"),
        };
        assert_eq!(answer.status, status, "{fault}: {answer:?}");
        is_problem(&answer, status, kind, title);
    }
    let body = r#"{"url":"http://127.0.0.1:9/","secret":"s","events":["egress_ended"]}"#;
    let webhook = caller.sign(Method::POST, "/v1/webhooks", body);
    let other_body = Call { body: body.replace(":9/", ":8/").into_bytes(), ..webhook.clone() };
    is_problem(&caller.send(other_body).await, 403, "forbidden", "Forbidden");
    assert_eq!(caller.send(webhook).await.status, 201, "a body as it was signed");

    let health =
        Call { key: None, timestamp: None, signature: None, ..caller.sign(Method::GET, "/v1/health", "") };
    assert_eq!(caller.send(health).await.status, 200, "health asks for no key");
}

fn good_calls(caller: &Caller, path: &str) -> Vec<Call> {
    let plain = caller.sign(Method::GET, path, "");
    let prefixed = plain.signature.as_ref().map(|hex| format!("sha256={hex}"));
    vec![
        Call { signature: prefixed, ..plain.clone() },
        plain,
        caller.sign_at(unix_seconds() - SKEW_S + SKEW_ROOM_S, Method::GET, path, ""),
        caller.sign_at(unix_seconds() + SKEW_S - SKEW_ROOM_S, Method::GET, path, ""),
        // Signed as sent: still percent-encoded, query included.
        caller.sign(Method::GET, "/v1/rooms/Z%C3%BCrich%20caf%C3%A9/recording", ""),
        caller.sign(Method::GET, &format!("{path}?at=now"), ""),
    ]
}

fn spoiled_calls(caller: &Caller, path: &str) -> Vec<(&'static str, Call, u16)> {
    let good = caller.sign(Method::GET, path, "");
    let sign_at = |timestamp| caller.sign_at(timestamp, Method::GET, path, "");
    let hex = good.signature.clone().unwrap_or_default();
    let other_digit = if hex.starts_with('0') { "1" } else { "0" };
    vec![
        ("no key", Call { key: None, ..good.clone() }, 401),
        ("a wrong key", Call { key: Some("another-key".into()), ..good.clone() }, 401),
        ("no timestamp", Call { timestamp: None, ..good.clone() }, 401),
        ("no signature", Call { signature: None, ..good.clone() }, 401),
        (
            "one digit off",
            Call { signature: Some(format!("{other_digit}{}", &hex[1..])), ..good.clone() },
            403,
        ),
        ("a cut signature", Call { signature: Some(hex[..62].into()), ..good.clone() }, 403),
        ("no hex", Call { signature: Some("not-hex".into()), ..good.clone() }, 403),
        (
            "another time than signed",
            Call { timestamp: Some((unix_seconds() - 5).to_string()), ..good.clone() },
            403,
        ),
        ("another path than signed", Call { path: format!("{path}?x=1"), ..good.clone() }, 403),
        (
            "another method than signed",
            Call { method: Method::POST, path: format!("{path}/stop"), ..good.clone() },
            403,
        ),
        ("a time that is no number", Call { timestamp: Some("now".into()), ..good.clone() }, 403),
        (
            "a time with a fraction",
            Call { timestamp: Some(format!("{}.5", unix_seconds())), ..good.clone() },
            403,
        ),
        ("too old", sign_at(unix_seconds() - SKEW_S - SKEW_ROOM_S), 403),
        ("too far ahead", sign_at(unix_seconds() + SKEW_S + SKEW_ROOM_S), 403),
    ]
}

fn the_id_and_the_time_have_the_documented_form(start: &Answer) {
    let id = start.json["egressId"].as_str().unwrap_or_default();
    let random = id.strip_prefix("EG_").unwrap_or_default();
    assert!(random.len() == 12 && random.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    let time = start.json["startedAt"].as_str().unwrap_or_default();
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z", "{time}");
}

async fn until_inactive(caller: &Caller, path: &str) {
    let begin = Instant::now();
    loop {
        let state = caller.get(path).await;
        if state.json["active"] == false {
            assert_eq!(state.json, json!({"active": false}), "no other key");
            return;
        }
        assert!(begin.elapsed() < STOP_LIMIT, "still active after stop: {state:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_problem(answer: &Answer, status: u16, kind: &str, title: &str) {
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (status, "application/problem+json"),
        "{answer:?}"
    );
    assert_eq!(answer.keys(), ["detail", "status", "title", "type"]);
    assert_eq!(answer.json["type"], format!("https://rtcstack.dev/errors/{kind}"));
    assert_eq!((&answer.json["status"], &answer.json["title"]), (&status.into(), &title.into()));
}
