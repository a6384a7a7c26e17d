//! Proof 3: lips match voices, measured as flash against beep over a minute.

use std::time::Duration;

use crate::support::participants::Act;
use crate::support::stage::Stage;

const RECORDED: Duration = Duration::from_secs(60);
/// Flashes come once a second; the first and the last may be cut.
const LEAST_PAIRS: usize = 55;
/// ITU-R BT.1359 puts the limit of what viewers notice at 45 ms of early and 125 ms of late sound.
const MEDIAN_LIMIT_S: f64 = 0.040;
const SINGLE_LIMIT_S: f64 = 0.100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beep_is_heard_when_its_flash_is_seen() {
    let mut stage = Stage::open("sync").await;
    stage.participants.join("metronome", Act::FlashAndBeep);
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;

    let offsets = recording.beeps_after_flashes();
    let mut heard: Vec<f64> = offsets.iter().flatten().copied().collect();
    assert!(heard.len() >= LEAST_PAIRS, "{} of {} flashes have a beep", heard.len(), offsets.len());
    heard.sort_by(f64::total_cmp);
    let (median, first, last) = (heard[heard.len() / 2], heard[0], heard[heard.len() - 1]);
    println!(
        "beep after flash: median {median:+.3} s, from {first:+.3} to {last:+.3} s in {} pairs",
        heard.len()
    );
    assert!(median.abs() <= MEDIAN_LIMIT_S, "median {median} s");
    assert!(first >= -SINGLE_LIMIT_S && last <= SINGLE_LIMIT_S, "from {first} to {last} s");
}
