//! The relay does what it was told, and to the recorder only.

use super::*;
use crate::picture::plain;
use crate::support::servers::{Feedback, Network};
use crate::support::stage::{Options, Stage};

const SENT: u64 = 2000;
/// Fewer than a socket's buffer holds.
const BURST: u64 = 50;
const LIMIT: Duration = Duration::from_secs(20);

/// What came back of `SENT` numbered datagrams to a server that returns each, through a relay that takes the
/// sockets of `recorder` for the recorder's.
async fn echoed(faults: Faults, recorder: u32) -> (Vec<u64>, Counts) {
    let port = free_port();
    let server = UdpSocket::bind((BACK, port)).await.expect("the port is free");
    let echo = tokio::spawn(async move {
        let mut buffer = [0; DATAGRAM_BYTES];
        while let Ok((len, from)) = server.recv_from(&mut buffer).await {
            server.send_to(&buffer[..len], from).await.expect("loopback can be reached");
        }
    });
    let proxy = FaultProxy::open(port, 1);
    proxy.aim_at(recorder);
    proxy.set(faults);
    let client = UdpSocket::bind((BACK, 0)).await.expect("loopback has a free port");
    client.connect((FRONT, port)).await.expect("loopback can be reached");
    let mut came = Vec::new();
    let begin = Instant::now();
    for number in 0..SENT {
        client.send(&number.to_be_bytes()).await.expect("loopback can be reached");
        while number % BURST == BURST - 1 && !settled(&proxy, number + 1, &came) {
            assert!(begin.elapsed() < LIMIT, "{} of {} came: {:?}", came.len(), number + 1, proxy.counts());
            let mut bytes = [0; 8];
            let next = tokio::time::timeout(Duration::from_millis(1), client.recv(&mut bytes));
            if let Ok(Ok(_)) = next.await {
                came.push(u64::from_be_bytes(bytes));
            }
        }
    }
    echo.abort();
    (came, proxy.counts())
}

/// Whether each of `sent` datagrams has come back or is known to be gone.
fn settled(proxy: &FaultProxy, sent: u64, came: &[u64]) -> bool {
    let Counts { to_recorder: to, from_recorder: from } = proxy.counts();
    let counted = to.passed + from.passed + to.lost + from.lost + from.blocked > 0;
    !counted && came.len() as u64 == sent
        || from.passed + from.lost + from.blocked == sent
            && to.passed + to.lost + to.blocked + to.overflowed == from.passed
            && to.passed == came.len() as u64
}

#[tokio::test]
async fn without_faults_everything_passes_in_order() {
    let (came, counts) = echoed(Faults::default(), std::process::id()).await;
    assert_eq!(came, (0..SENT).collect::<Vec<_>>());
    assert_eq!((counts.from_recorder.passed, counts.to_recorder.passed), (SENT, SENT));
}

#[tokio::test]
async fn the_share_that_is_asked_for_is_lost_in_either_direction() {
    let (came, counts) = echoed(Faults { loss: 0.15, ..Faults::default() }, std::process::id()).await;
    let Counts { to_recorder: to, from_recorder: from } = counts;
    assert_eq!(came.len() as u64, SENT - from.lost - to.lost);
    // Four standard deviations of so many draws are 0.032.
    for tally in [from, to] {
        let share = tally.lost as f64 / (tally.lost + tally.passed) as f64;
        assert!((share - 0.15).abs() < 0.035, "{share} of {tally:?}");
    }
}

#[tokio::test]
async fn a_narrow_way_carries_what_it_can_in_order_and_loses_what_its_queue_cannot_hold() {
    // Eight bytes at a time: 0.1 ms each, so that a queue of 2 ms holds fewer than come in a burst.
    let width = Width { bits_per_second: 640_000, queue: Duration::from_millis(2) };
    let begin = Instant::now();
    let (came, counts) = echoed(Faults { width: Some(width), ..Faults::default() }, std::process::id()).await;
    let to = counts.to_recorder;
    assert!(came.is_sorted());
    assert_eq!((came.len() as u64, to.passed + to.overflowed), (to.passed, SENT));
    assert_eq!((counts.from_recorder.passed, counts.from_recorder.overflowed), (SENT, 0));
    assert!(to.overflowed > 0, "{to:?}");
    assert!(begin.elapsed() >= Duration::from_micros(100 * to.passed), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn jitter_makes_datagrams_overtake_one_another_and_loses_none() {
    let jitter = Duration::from_millis(20);
    let (mut came, _) = echoed(Faults { jitter, ..Faults::default() }, std::process::id()).await;
    assert!(!came.is_sorted());
    came.sort_unstable();
    assert_eq!(came, (0..SENT).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_passes_a_blocked_relay() {
    let (came, counts) = echoed(Faults { blocked: true, ..Faults::default() }, std::process::id()).await;
    assert_eq!((came.len(), counts.from_recorder.blocked), (0, SENT));
}

#[tokio::test]
async fn others_than_the_recorder_meet_no_fault() {
    // Process 1 holds no socket of this test.
    let (came, counts) = echoed(Faults { blocked: true, ..Faults::default() }, 1).await;
    assert_eq!((came.len() as u64, counts.from_recorder.blocked), (SENT, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn livekits_media_takes_the_way_through_the_relay() {
    let options =
        Options { network: Network::Faulty { seed: 1, feedback: Feedback::Estimate }, ..Options::default() };
    let mut stage = Stage::open_with("relay", options).await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    stage.record().await;
    let blocked = Faults { blocked: true, ..Faults::default() };
    let met: fn(&Counts) -> bool = |counts| counts.to_recorder.blocked > 100;
    let passed: fn(&Counts) -> bool = |counts| counts.to_recorder.passed > 100;
    for (faults, seen) in [(Faults::default(), passed), (blocked, met)] {
        stage.livekit.faults().set(faults);
        let begin = Instant::now();
        while !seen(&stage.livekit.faults().counts()) {
            assert!(begin.elapsed() < LIMIT, "{faults:?}: {:?}", stage.livekit.faults().counts());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
