//! What every kill is measured in: a deployment with a webhook, and what must be true of it afterwards.

use std::collections::BTreeSet;
use std::env;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::picture::{
    both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before,
    the_streams_are_h264_and_aac,
};
use crate::support::hooks::{Delivery, Receiver};
use crate::support::participants::Act;
use crate::support::probe::Recording;
use crate::support::stage::{Options, Running, Stage, object_key};

/// Some; `./dev kill` takes twenty.
const DEFAULT_KILLS: u64 = 3;
const DEFAULT_SEED: u64 = 5;
/// What a kill may cost.
const LOST_AT_MOST_S: f64 = 2.0;
/// Flashes come once a second.
const FLASH_PERIOD_S: f64 = 1.0;
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// A second event would come at once.
const NO_MORE_COMES: Duration = Duration::from_millis(500);

pub struct Scene {
    pub stage: Stage,
    pub random: StdRng,
    receiver: Receiver,
    room: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Complete,
    Failed,
}

pub fn kills() -> u64 {
    setting("EGRESSD_KILLS", DEFAULT_KILLS)
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

impl Scene {
    pub async fn open(room: &'static str, act: Act) -> Self {
        let seed = setting("EGRESSD_KILLS_SEED", DEFAULT_SEED);
        let mut stage = Stage::open_with(room, Options::HALF).await;
        let receiver = Receiver::start().await;
        let webhook = json!({"url": receiver.url(), "secret": "s", "events": ["egress_ended"]}).to_string();
        assert_eq!(stage.caller().post("/v1/webhooks", &webhook).await.status, 201);
        stage.participants.join("ann", act);
        Self { stage, random: StdRng::seed_from_u64(seed), receiver, room }
    }

    /// The process that records, once there is one and it is not `before`.
    pub async fn the_worker(&self, before: Option<u32>) -> u32 {
        let begin = Instant::now();
        loop {
            let workers = self.stage.service.workers();
            assert!(workers.len() <= 1, "one recording, one worker");
            if let Some(&worker) = workers.first()
                && Some(worker) != before
            {
                return worker;
            }
            assert!(begin.elapsed() < LIMIT, "no worker records");
            tokio::time::sleep(POLL).await;
        }
    }

    /// The API has never stopped to say that it records.
    pub async fn is_active(&self, running: &Running) {
        let state = self.stage.caller().get(&self.stage.path("")).await.json;
        assert_eq!(
            (&state["active"], &state["egressId"]),
            (&true.into(), &running.egress_id.as_str().into())
        );
    }

    /// The bodies of the events that told of its end.
    pub fn told(&self, running: &Running) -> Vec<Value> {
        self.deliveries(running).iter().map(Delivery::json).collect()
    }

    fn deliveries(&self, running: &Running) -> Vec<Delivery> {
        let mut all = self.receiver.all();
        all.retain(|delivery| delivery.json()["egressId"] == running.egress_id.as_str());
        all
    }

    /// One playable file, one object, one event, nothing left over.
    pub async fn is_one_recording(&self, running: &Running, verdict: Verdict) -> Recording {
        let begin = Instant::now();
        while self.told(running).is_empty() {
            assert!(begin.elapsed() < LIMIT, "nobody tells of the end");
            tokio::time::sleep(POLL).await;
        }
        let recording = self.stage.fetch(running).await;
        the_streams_are_h264_and_aac(&recording);
        every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
        assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
        self.was_told_once(running, verdict).await;
        self.nothing_is_left(running).await;
        recording
    }

    async fn was_told_once(&self, running: &Running, verdict: Verdict) {
        tokio::time::sleep(NO_MORE_COMES).await;
        let deliveries = self.deliveries(running);
        let ids: BTreeSet<&str> =
            deliveries.iter().map(|delivery| delivery.header("x-rtcstack-webhook-delivery")).collect();
        assert_eq!(ids.len(), 1, "one end, one event: {deliveries:?}");
        let key = object_key(self.room, &running.started_at);
        for event in deliveries.iter().map(Delivery::json) {
            assert_eq!(event["file"], key.as_str(), "{event}");
            assert_eq!(event["size"], self.stage.minio.head(&key)["size"], "{event}");
            assert_eq!(event.get("error").is_some(), verdict == Verdict::Failed, "{event}");
        }
    }

    /// The sizes of the parts that are in the bucket without being an object.
    pub fn unfinished_parts(&self, running: &Running) -> Vec<u64> {
        self.stage.minio.unfinished_parts(&object_key(self.room, &running.started_at))
    }

    async fn nothing_is_left(&self, running: &Running) {
        let key = object_key(self.room, &running.started_at);
        assert!(self.unfinished_parts(running).is_empty(), "parts are left in the bucket");
        let objects = self.stage.minio.objects();
        let others = objects.as_object().into_iter().flatten().filter(|(other, _)| {
            let stem = key.strip_suffix(".mp4").unwrap_or(&key);
            **other != key && other.starts_with(stem)
        });
        assert_eq!(others.count(), 0, "{objects}");
        let spools = self.stage.service.data().join("spool");
        let begin = Instant::now();
        while std::fs::read_dir(&spools).is_ok_and(|mut entries| entries.next().is_some()) {
            assert!(begin.elapsed() < LIMIT, "a spool is left in {}", spools.display());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The file is as long as the recording was, and what was recorded before the kill is in it.
    pub async fn went_on(&self, running: &Running, killed: Duration, lasted: Duration) {
        let recording = self.stage.fetch(running).await;
        both_streams_last(&recording, lasted);
        let report = self.stage.report(running).await;
        let gaps = report["gaps"].as_array().expect("a list of gaps");
        let [gap] = gaps.as_slice() else { panic!("there was one gap, not {gaps:?}") };
        let seconds = |name: &str| gap[name].as_u64().map(|ms| ms as f64 / 1000.0).expect("milliseconds");
        let (from, to) = (seconds("fromMs"), seconds("toMs"));
        let killed = killed.as_secs_f64();
        println!("killed at {killed:.2} s, gap from {from:.2} to {to:.2} s");
        assert!(from >= killed - LOST_AT_MOST_S, "{} s are lost before the kill", killed - from);
        let flashes: Vec<f64> = recording.flashes().iter().map(|flash| flash.at).collect();
        // The flashes that should be there before and after the gap are; in it there is none.
        let times = [&[0.0][..], &flashes, &[recording.duration("v")]].concat();
        for pair in times.windows(2) {
            let is_about_the_gap = pair[0] <= from + FLASH_PERIOD_S && pair[1] >= from;
            assert!(
                pair[1] - pair[0] <= 1.5 * FLASH_PERIOD_S || is_about_the_gap,
                "no flash from {} to {} s: {flashes:?}",
                pair[0],
                pair[1]
            );
        }
        let last = flashes.iter().copied().filter(|at| *at <= from).fold(0.0, f64::max);
        assert!(last >= from - 1.5 * FLASH_PERIOD_S, "the last flash before {from} s is at {last} s");
    }
}
