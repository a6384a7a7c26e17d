//! Access tokens: a worker has one for its room, gets others while it records, and never LiveKit's secret.

use std::time::Duration;

use egressd::worker::messages::{Command, EndReason, Event, WorkerSpec};
use jiff::Timestamp;

use crate::support::servers::LiveKit;
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Stage};
use crate::support::worker::{Worker, finished, spec};

/// LiveKit takes a token for a minute longer than it is valid, as clocks may differ.
const LEEWAY: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(4);
const ROOM: &str = "tokens";
/// Whom the tokens of the worker name.
const FIRST: &str = "EG_firstfirstfi";
const SECOND: &str = "EG_secondsecond";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_token_has_expired_joins_again_with_a_newer_one() {
    let mut stage = Stage::open_with(ROOM, Options::HALF).await;
    let short = LiveKit::recorder_token(ROOM, FIRST, Timestamp::now() - LEEWAY + LIFE);
    let spool = stage.folder().join("spool.mp4");
    let spec = WorkerSpec { token: short.as_str().into(), ..spec(&stage.livekit, ROOM, spool.clone()) };
    let mut worker = Worker::start(spec).await;
    worker.joined().await;
    while stage.livekit.takes(&short).await {
        worker.record(Duration::from_millis(200)).await;
    }
    // LiveKit has sent a newer one by itself.
    server_comes_back_and_is_joined_by(FIRST, &mut stage, &mut worker).await;
    let sent = LiveKit::recorder_token(ROOM, SECOND, Timestamp::now() + LEEWAY);
    worker.tell(&Command::Token { token: sent.into() }).await;
    server_comes_back_and_is_joined_by(SECOND, &mut stage, &mut worker).await;

    let Event::Ended { reason, error, .. } = worker.stop().await else { unreachable!("the last event") };
    assert_eq!((reason, error), (EndReason::Stopped, None));
    assert_eq!(finished(&spool).complaints(), "");
}

/// A server that is new knows no session: it lets nobody in without a token that is valid.
async fn server_comes_back_and_is_joined_by(identity: &str, stage: &mut Stage, worker: &mut Worker) {
    kill_hard(stage.livekit.id());
    stage.livekit.start_again().await;
    for reachable in [false, true] {
        worker.until(|event| (*event == Event::Reachable { reachable }).then_some(())).await;
    }
    let participants = stage.livekit.participants(ROOM).await;
    assert_eq!(participants[0]["identity"], identity, "{participants}");
    worker.record(Duration::from_secs(1)).await;
}
