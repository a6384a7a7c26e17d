//! A peer connection against a sending one of str0m's, in memory and in simulated time: what the receiver
//! asks for again, and which feedback the sender gets.

use std::collections::{HashSet, VecDeque};

use str0m::bwe::BweKind;
use str0m::change::SdpPendingOffer;
use str0m::media::{Direction, MediaTime, Pt};
use str0m::rtp::rtcp::Rtcp;
use str0m::stats::PeerStats;

use super::*;

const STEP: Duration = Duration::from_millis(5);
/// In steps: thirty pictures a second.
const PICTURE_EVERY: u64 = 7;
/// A picture of this size takes four packets.
const PICTURE_BYTES: usize = 4000;

/// The SFU's end, and what it knows of the network.
struct Sender {
    rtc: Rtc,
    mid: Mid,
    address: SocketAddr,
    stats: Option<PeerStats>,
    sent: u64,
    /// The bandwidth estimates that came by REMB, in bits a second.
    estimates: Vec<u64>,
    /// The streams that transport-wide feedback named.
    named: HashSet<u32>,
}

/// Sound tracks that send nothing. str0m takes one of five streams at random.
const SOUNDS: [&str; 4] = ["TR_a", "TR_b", "TR_c", "TR_d"];

impl Sender {
    fn new(now: Instant) -> (Self, String, SdpPendingOffer) {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .enable_raw_packets(true)
            .enable_bwe(Some(Bitrate::mbps(2)))
            .set_stats_interval(Some(Duration::from_millis(500)))
            .build(now);
        let address = SocketAddr::from(([127, 0, 0, 1], 1000));
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut changes = rtc.sdp_api();
        let track = ("PA_a".to_owned(), "TR_v".to_owned());
        let mid =
            changes.add_media(MediaKind::Video, Direction::SendOnly, Some(track.0), Some(track.1), None);
        for sound in SOUNDS {
            let (stream, track) = (Some("PA_a".to_owned()), Some(sound.to_owned()));
            changes.add_media(MediaKind::Audio, Direction::SendOnly, stream, track, None);
        }
        let (offer, pending) = changes.apply().unwrap();
        let sender =
            Self { rtc, mid, address, stats: None, sent: 0, estimates: Vec::new(), named: HashSet::new() };
        (sender, offer.to_sdp_string(), pending)
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

    /// Returns the datagrams to send.
    fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            match self.rtc.poll_output().unwrap() {
                str0m::Output::Timeout(_) => return datagrams,
                str0m::Output::Transmit(transmit) => datagrams.push(transmit.contents.to_vec()),
                str0m::Output::Event(Event::PeerStats(stats)) => self.stats = Some(stats),
                str0m::Output::Event(Event::EgressBitrateEstimate(BweKind::Remb { estimate, mid })) => {
                    assert_eq!(mid, self.mid);
                    self.estimates.push(estimate.as_u64());
                }
                str0m::Output::Event(Event::RawPacket(packet)) => {
                    if let RawPacket::RtcpRx(Rtcp::Twcc(feedback)) = *packet {
                        self.named.insert(*feedback.ssrc);
                    }
                }
                str0m::Output::Event(_) => {}
            }
        }
    }
}

/// The path from the sender to the receiver.
struct Network<L> {
    /// Loses each datagram for whose number this is `true`.
    is_lost: L,
    /// How much the path carries in a second, from the fourth second on. The rest waits, or is lost once the
    /// queue is half a second long.
    bytes_per_second: Option<u64>,
    queue: VecDeque<(Instant, Vec<u8>)>,
    busy_until: Option<Instant>,
    number: u64,
}

impl<L: Fn(u64) -> bool> Network<L> {
    fn losing(is_lost: L) -> Self {
        Self { is_lost, bytes_per_second: None, queue: VecDeque::new(), busy_until: None, number: 0 }
    }

    fn put(&mut self, datagram: Vec<u8>, elapsed: Duration, now: Instant) {
        self.number += 1;
        let mut due = self.busy_until.map_or(now, |until| until.max(now));
        if (self.is_lost)(self.number) || due > now + Duration::from_millis(500) {
            return;
        }
        if let Some(width) = self.bytes_per_second.filter(|_| elapsed > Duration::from_secs(3)) {
            due += Duration::from_micros(datagram.len() as u64 * 1_000_000 / width);
            self.busy_until = Some(due);
        }
        self.queue.push_back((due, datagram));
    }

    fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.queue.pop_front_if(|(due, _)| *due <= now).map(|(_, datagram)| datagram)
    }
}

/// The result of ten seconds, and what the sender knew in the end.
struct Outcome {
    offer: String,
    answer: String,
    sent: u64,
    /// Whether each frame continued the one before.
    contiguous: Vec<bool>,
    counts: Option<IngressCounts>,
    stats: PeerStats,
    estimates: Vec<u64>,
    named: HashSet<u32>,
}

/// Sends media for ten seconds over a network that loses each datagram for whose number `is_lost` is `true`.
fn run(is_lost: impl Fn(u64) -> bool) -> Outcome {
    run_over(Network::losing(is_lost), str::to_owned)
}

/// The receiver gets the offer as `offered` changes it.
fn run_over(mut network: Network<impl Fn(u64) -> bool>, offered: impl Fn(&str) -> String) -> Outcome {
    let start = Instant::now();
    let (mut sender, offer, pending) = Sender::new(start);
    let address = SocketAddr::from(([127, 0, 0, 1], 2000));
    let mut peer = Peer::new([address].into_iter(), &[Codec::Vp8], start).unwrap();
    let answered = peer.accept_offer(&offered(&offer)).unwrap();
    let sounds = SOUNDS.map(|sid| (TrackSid(sid.into()), TrackKind::Audio));
    assert_eq!(answered.added[0], (TrackSid("TR_v".into()), TrackKind::Video));
    assert_eq!(answered.added[1..], sounds);
    let answer = str0m::change::SdpAnswer::from_sdp_string(&answered.sdp).unwrap();
    sender.rtc.sdp_api().accept_answer(pending, answer).unwrap();

    let path = Path { transport: Transport::Udp, local: address, remote: sender.address };
    let (mut contiguous, mut counts) = (Vec::new(), None);
    for step in 0..2000_u64 {
        let now = start + STEP * step as u32;
        peer.timeout(now);
        loop {
            match peer.poll().unwrap() {
                PeerEvent::Wait(_) => break,
                PeerEvent::Transmit(_, datagram) => {
                    let contents = datagram.as_slice().try_into().unwrap();
                    let proto = Protocol::Udp;
                    let receive = Receive { proto, source: address, destination: sender.address, contents };
                    sender.rtc.handle_input(Input::Receive(now, receive)).unwrap();
                    sender.poll().into_iter().for_each(|datagram| network.put(datagram, now - start, now));
                }
                PeerEvent::Frame(_, frame) => contiguous.push(frame.contiguous),
                PeerEvent::Counts(_, new) => counts = Some(new),
                PeerEvent::Connected | PeerEvent::PathFound | PeerEvent::Report(..) => {}
            }
        }
        sender.rtc.handle_input(Input::Timeout(now)).unwrap();
        if step % PICTURE_EVERY == 0 && sender.rtc.is_connected() {
            sender.send_picture(step, now);
        }
        sender.poll().into_iter().for_each(|datagram| network.put(datagram, now - start, now));
        while let Some(datagram) = network.take(now) {
            peer.receive(path, &datagram, now);
        }
    }
    let Sender { stats, sent, estimates, named, .. } = sender;
    let stats = stats.expect("ten seconds bring statistics");
    Outcome { offer, answer: answered.sdp, sent, contiguous, counts, stats, estimates, named }
}

#[test]
fn lost_packets_are_sent_again_so_that_every_picture_is_whole() {
    // The handshake is over by the hundredth datagram.
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
    // Without the feedback, the sender knows nothing of this.
    let loss = outcome.stats.egress_loss_fraction.expect("the sender knows what was lost");
    assert!((0.02..0.2).contains(&loss), "every twelfth was lost, it counted {loss}");
    assert!(outcome.stats.bwe_tx.is_some(), "it has an estimate");
}

#[test]
fn transport_wide_feedback_names_the_stream_of_video_whatever_else_there_is() {
    let outcome = run(|_| false);
    let sections = sdp::media_sections(&outcome.offer);
    let video = sections.iter().find(|section| section.track == "TR_v").expect("video is offered");
    assert_eq!(outcome.named, HashSet::from([video.ssrcs[0]]));
}

/// About half the bandwidth that the pictures need.
const NARROW: Option<u64> = Some(60_000);

/// LiveKit's default offer: video has REMB only.
fn without_transport_wide_feedback(offer: &str) -> String {
    offer
        .split_inclusive('\n')
        .filter(|line| !line.contains("transport-cc") && !line.contains("transport-wide"))
        .collect()
}

#[test]
fn a_sender_that_takes_estimates_hears_how_much_a_narrow_path_carries() {
    let network = Network { bytes_per_second: NARROW, ..Network::losing(|_| false) };
    let outcome = run_over(network, without_transport_wide_feedback);
    let (first, rest) = outcome.estimates.split_first().expect("it got an estimate");
    assert!(*first > 99_000_000, "{first}");
    assert!(rest.len() > 12, "{rest:?}");
    assert!(rest.iter().all(|bps| (300_000..480_000).contains(bps)), "{rest:?}");
}

#[test]
fn a_sender_hears_nothing_of_a_path_that_merely_loses() {
    let network = Network::losing(|number| number > 100 && number % 7 == 0);
    let estimates = run_over(network, without_transport_wide_feedback).estimates;
    assert!(estimates.is_empty(), "{estimates:?}");
}

#[test]
fn a_sender_that_learns_from_transport_wide_feedback_gets_no_estimate() {
    let network = Network { bytes_per_second: NARROW, ..Network::losing(|_| false) };
    let estimates = run_over(network, str::to_owned).estimates;
    assert!(estimates.is_empty(), "{estimates:?}");
}
