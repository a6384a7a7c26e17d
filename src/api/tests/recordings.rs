//! The full state of a recording.

use super::*;

#[tokio::test]
async fn a_past_recording_is_shown_whole_and_without_a_path_of_the_host() {
    let api = Api::start().await;
    let answer = api.get(&format!("/v1/recordings/{PAST}")).await;
    assert_eq!(answer.status, 200);
    let expected = concat!(
        r#"{"egressId":"EG_abcdefghijkl","roomId":"room","status":"complete","#,
        r#""startedAt":"2024-04-21T10:00:00.000Z","activeAt":"2024-04-21T10:00:01.500Z","#,
        r#""endedAt":"2024-04-21T11:00:00.000Z","options":{"layout":"speaker-light","fit":"contain","#,
        r#""width":1280,"height":720,"framerate":30,"videoBitrate":3000,"audioBitrate":128,"#,
        r#""maxDurationSeconds":null,"nameTags":true,"initials":false,"speakerBorder":false,"#,
        r#""watermark":{"position":"top-left","opacity":0.5}},"#,
        r#""file":"room/2024-04-21T10-00-00.mp4","duration":3598,"size":512000000,"error":null,"#,
        r#""quality":{"file":{"durationMs":0,"videoFrames":0,"hurriedFrames":0,"longestDelayMs":0,"#,
        r#""packetsLost":0,"longestFreezeMs":0},"gaps":[],"gapsLeftOut":0,"warnings":[],"#,
        r#""warningsLeftOut":0,"participants":[],"participantsLeftOut":0,"tracks":[],"tracksLeftOut":0},"upload":null}"#,
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
