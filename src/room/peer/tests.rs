//! A peer connection against another one of str0m's that sends, in memory and with made-up time: what is asked for
//! again, and what feedback the sender gets.

use str0m::bwe::Bitrate;
use str0m::change::SdpPendingOffer;
use str0m::media::{Direction, MediaTime, Pt};
use str0m::stats::PeerStats;

use super::*;

const STEP: Duration = Duration::from_millis(5);
/// Thirty pictures a second, in steps.
const PICTURE_EVERY: u64 = 7;
/// A picture of this size takes four packets.
const PICTURE_BYTES: usize = 4000;

/// The SFU's end, and what its end knows of the network.
struct Sender {
    rtc: Rtc,
    mid: Mid,
    address: SocketAddr,
    stats: Option<PeerStats>,
    sent: u64,
}

impl Sender {
    fn new(now: Instant) -> (Self, String, SdpPendingOffer) {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_vp8(true)
            .enable_bwe(Some(Bitrate::mbps(2)))
            .set_stats_interval(Some(Duration::from_millis(500)))
            .build(now);
        let address = SocketAddr::from(([127, 0, 0, 1], 1000));
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let track = ("PA_a".to_owned(), "TR_v".to_owned());
        let mid =
            changes.add_media(MediaKind::Video, Direction::SendOnly, Some(track.0), Some(track.1), None);
        let (offer, pending) = changes.apply().unwrap();
        (Self { rtc, mid, address, stats: None, sent: 0 }, offer.to_sdp_string(), pending)
    }

    fn send_picture(&mut self, step: u64, now: Instant) {
        let Some(writer) = self.rtc.writer(self.mid) else { return };
        let Some(pt) = writer.payload_params().next().map(|params| params.pt()) else { return };
        let pt: Pt = pt;
        let at = MediaTime::from_90khz(step * 90 * STEP.as_millis() as u64);
        if writer.write(pt, now, at, vec![0_u8; PICTURE_BYTES]).is_ok() {
            self.sent += 1;
        }
    }

    /// The datagrams that it has to send.
    fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            match self.rtc.poll_output().unwrap() {
                str0m::Output::Timeout(_) => return datagrams,
                str0m::Output::Transmit(transmit) => datagrams.push(transmit.contents.to_vec()),
                str0m::Output::Event(Event::PeerStats(stats)) => self.stats = Some(stats),
                str0m::Output::Event(_) => {}
            }
        }
    }
}

/// What came of ten seconds, and what the sender knew of it in the end.
struct Outcome {
    answer: String,
    sent: u64,
    /// Whether each frame went on from the one before.
    contiguous: Vec<bool>,
    counts: Option<IngressCounts>,
    stats: PeerStats,
}

/// Media for ten seconds, over a network that loses each datagram to the receiver whose number says so.
fn run(is_lost: impl Fn(u64) -> bool) -> Outcome {
    let start = Instant::now();
    let (mut sender, offer, pending) = Sender::new(start);
    let address = SocketAddr::from(([127, 0, 0, 1], 2000));
    let mut peer = Peer::new([address].into_iter(), &[Codec::Vp8], start).unwrap();
    let answered = peer.accept_offer(&offer).unwrap();
    assert_eq!(answered.added, [(TrackSid("TR_v".into()), TrackKind::Video)]);
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answered.sdp).unwrap();
    sender.rtc.sdp_api().accept_answer(pending, answer).unwrap();

    let path = Path { transport: Transport::Udp, local: address, remote: sender.address };
    let (mut contiguous, mut counts, mut number) = (Vec::new(), None, 0);
    for step in 0..2000_u64 {
        let now = start + STEP * step as u32;
        peer.timeout(now);
        loop {
            match peer.poll().unwrap() {
                Output::Wait(_) => break,
                Output::Transmit(_, datagram) => {
                    let contents = datagram.as_slice().try_into().unwrap();
                    let proto = Protocol::Udp;
                    let receive = Receive { proto, source: address, destination: sender.address, contents };
                    sender.rtc.handle_input(Input::Receive(now, receive)).unwrap();
                    sender.poll().into_iter().for_each(|datagram| peer.receive(path, &datagram, now));
                }
                Output::Frame(_, frame) => contiguous.push(frame.contiguous),
                Output::Counts(_, new) => counts = Some(new),
                Output::Connected | Output::PathFound | Output::Report(..) => {}
            }
        }
        sender.rtc.handle_input(Input::Timeout(now)).unwrap();
        if step % PICTURE_EVERY == 0 && sender.rtc.is_connected() {
            sender.send_picture(step, now);
        }
        for datagram in sender.poll() {
            number += 1;
            if !is_lost(number) {
                peer.receive(path, &datagram, now);
            }
        }
    }
    let stats = sender.stats.take().expect("ten seconds bring statistics");
    Outcome { answer: answered.sdp, sent: sender.sent, contiguous, counts, stats }
}

#[test]
fn lost_packets_are_sent_again_so_that_every_picture_is_whole() {
    // The handshake is over by then.
    let outcome = run(|number| number > 100 && number % 12 == 0);
    assert!(
        outcome.contiguous.len() as u64 + 5 >= outcome.sent,
        "{} of {}",
        outcome.contiguous.len(),
        outcome.sent
    );
    assert!(outcome.contiguous.iter().all(|contiguous| *contiguous), "{:?}", outcome.contiguous);
    assert!(outcome.counts.is_some_and(|counts| counts.nacks > 10), "they were asked for");
    assert!(
        outcome.answer.contains("rtx/90000") && outcome.answer.contains("nack pli"),
        "{}",
        outcome.answer
    );
}

#[test]
fn the_sender_hears_from_transport_wide_feedback_what_arrived() {
    let outcome = run(|number| number > 100 && number % 12 == 0);
    assert!(outcome.answer.contains("transport-cc"), "{}", outcome.answer);
    // Without the feedback, none of this is known to it.
    let loss = outcome.stats.egress_loss_fraction.expect("the sender knows what was lost");
    assert!((0.02..0.2).contains(&loss), "every twelfth was lost, it was told {loss}");
    assert!(outcome.stats.bwe_tx.is_some(), "it has an estimate");
}
