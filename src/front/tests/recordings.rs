//! The calls that show the full state of a recording.

use super::*;

#[tokio::test]
async fn a_past_recording_is_shown_whole_and_without_a_path_of_the_host() {
    let api = Api::start().await;
    let answer = api.get(&format!("/v1/recordings/{PAST}")).await;
    assert_eq!(answer.status, 200);
    let expected = concat!(
        r#"{"egressId":"EG_abcdefghijkl","roomId":"room","status":"complete","#,
        r#""startedAt":"2024-04-21T10:00:00.000Z","activeAt":"2024-04-21T10:00:01.500Z","#,
        r#""endedAt":"2024-04-21T11:00:00.000Z","options":{"audioOnly":false,"#,
        r#""videoOnly":false,"layout":"speaker-light","fit":"contain","#,
        r#""width":1280,"height":720,"framerate":30,"videoBitrate":3000,"audioBitrate":128,"#,
        r#""maxDurationSeconds":null,"nameTags":true,"initials":false,"speakerBorder":false,"#,
        r#""watermark":{"position":"top-left","opacity":0.5}},"#,
        r#""file":"room/2024-04-21T10-00-00.mp4","duration":3598,"size":512000000,"error":null,"upload":null,"#,
        r#""quality":{"file":{"durationMs":0,"videoFrames":0,"hurriedFrames":0,"longestDelayMs":0,"#,
        r#""packetsLost":0,"longestFreezeMs":0},"gaps":[],"gapsLeftOut":0,"warnings":[],"#,
        r#""warningsLeftOut":0,"participants":[],"participantsLeftOut":0,"tracks":[],"tracksLeftOut":0}}"#,
    );
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn a_recording_that_nobody_made_is_a_404() {
    let api = Api::start().await;
    for id in ["EG_lkjihgfedcba", "EG_", "7"] {
        let answer = api.get(&format!("/v1/recordings/{id}")).await;
        assert_eq!(answer.problem("not-found"), (404, "No such recording".to_owned()), "{id}");
    }
}

#[tokio::test]
async fn a_list_shows_recordings_without_their_reports_and_where_the_next_page_begins() {
    let api = Api::start().await;
    let mut one = api.get(&format!("/v1/recordings/{PAST}")).await.json();
    one.as_object_mut().unwrap().remove("quality");
    let list = async |query: &str| {
        let answer = api.get(&format!("/v1/recordings{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()
    };
    let whole = serde_json::json!({"recordings": [one], "nextCursor": null});
    let nothing = serde_json::json!({"recordings": [], "nextCursor": null});
    for query in ["", "?", "?roomId=room", "?status=complete&limit=100&roomId=ro%6fm", "?status=finished"] {
        assert_eq!(list(query).await, whole, "{query}");
    }
    for query in ["?roomId=other", "?status=active", "?status=unfinished", "?roomId=room&status=failed"] {
        assert_eq!(list(query).await, nothing, "{query}");
    }
    let first = list("?limit=1").await;
    assert_eq!(first["recordings"], whole["recordings"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(list(&format!("?limit=1&cursor={cursor}")).await, nothing);
}

#[tokio::test]
async fn a_list_that_cannot_be_made_is_refused_by_the_key() {
    let api = Api::start().await;
    let limit = "limit must be a whole number from 1 to 100";
    let cursor = "cursor must be the nextCursor of an earlier answer";
    let status =
        "status must be one of starting, active, stopping, uploading, complete, failed, unfinished, finished";
    let cases = [
        ("limit=0", limit),
        ("limit=101", limit),
        ("limit=", limit),
        ("status=ended", status),
        ("status=", status),
        ("cursor=", cursor),
        ("cursor=EG_abcdefghijkl", cursor),
        ("roomId=a%2Fb", "roomId: a room name must not contain a slash"),
        ("roomId=", "roomId: a room name must have 1 to 256 bytes, this one has 0"),
        ("roomId=%ff", "The query must be percent-encoded UTF-8"),
        ("roomid=a", "Unknown key \"roomid\""),
        ("limit=1&limit=2", "limit must be given once"),
    ];
    for (query, detail) in cases {
        let answer = api.get(&format!("/v1/recordings?{query}")).await;
        assert_eq!(answer.problem("bad-request"), (400, detail.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_url_of_a_finished_file_is_good_for_as_long_as_was_asked() {
    let api = Api::start().await;
    let url = async |query: &str| api.get(&format!("/v1/recordings/{PAST}/url{query}")).await;
    for (query, signed, expires_at) in [
        ("", "sig", "2024-04-21T11:00:00.000Z"),
        ("?expiresIn=1", "sig", "2024-04-21T10:00:01.000Z"),
        ("?expiresIn=604800&download=false", "sig", "2024-04-28T10:00:00.000Z"),
        ("?download=true", "save&sig", "2024-04-21T11:00:00.000Z"),
    ] {
        let answer = url(query).await;
        let expected = format!(r#"{{"url":"https://store.example/x?{signed}","expiresAt":"{expires_at}"}}"#);
        assert_eq!((answer.status, answer.body), (200, expected), "{query}");
    }
    let seconds = "expiresIn must be a whole number from 1 to 604800";
    for (query, detail) in [
        ("?expiresIn=0", seconds),
        ("?expiresIn=604801", seconds),
        ("?expiresIn=1h", seconds),
        ("?download=yes", "download must be true or false"),
        ("?expires=1", "Unknown key \"expires\""),
    ] {
        assert_eq!(url(query).await.problem("bad-request"), (400, detail.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_file_without_a_url_says_why() {
    let api = Api::start().await;
    let cases = [
        ("EG_unfinished00", "conflict", 409, "not finished"),
        ("EG_failed000000", "not-found", 404, "Nothing of this recording"),
        ("EG_folder000000", "not-found", 404, "lie in a local folder"),
        ("EG_storegone000", "not-found", 404, "not configured any more"),
        ("EG_lkjihgfedcba", "not-found", 404, "No such recording"),
        ("7", "not-found", 404, "No such recording"),
    ];
    for (id, kind, status, words) in cases {
        let (answered, detail) = api.get(&format!("/v1/recordings/{id}/url")).await.problem(kind);
        assert_eq!(answered, status, "{id}");
        assert!(detail.contains(words), "{id}: {detail}");
    }
}

#[tokio::test]
async fn a_picture_of_a_running_recording_is_a_jpeg_that_nobody_keeps() {
    let api = Api::start().await;
    let answer = api.get("/v1/recordings/EG_active000000/preview.jpg").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "jpeg"));
    for line in ["content-type: image/jpeg", "cache-control: no-store"] {
        assert!(answer.head.lines().any(|found| found == line), "{line} is not in {}", answer.head);
    }
}

#[tokio::test]
async fn where_there_is_no_picture_the_answer_says_why() {
    let api = Api::start().await;
    let cases = [
        (PAST, "conflict", 409, "takes in no media"),
        ("EG_starting0000", "conflict", 409, "No frame"),
        ("EG_busy00000000", "unavailable", 503, "in time"),
        ("EG_lkjihgfedcba", "not-found", 404, "No such recording"),
        ("7", "not-found", 404, "No such recording"),
    ];
    for (id, kind, status, words) in cases {
        let (answered, detail) = api.get(&format!("/v1/recordings/{id}/preview.jpg")).await.problem(kind);
        assert_eq!(answered, status, "{id}");
        assert!(detail.contains(words), "{id}: {detail}");
    }
    let query = api.get("/v1/recordings/EG_active000000/preview.jpg?width=1").await;
    assert_eq!(query.problem("bad-request"), (400, "Unknown key \"width\"".to_owned()));
}
