//! The few things that the recorder reads from and changes in LiveKit's offers (RFC 8866). Pure.
//!
//! str0m handles everything else in a session description.

/// A media section of an offer, data channels left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSection {
    pub mid: String,
    /// The second word of `a=msid`: LiveKit's track sid. Empty if the section carries no track.
    pub track: String,
    pub ssrcs: Vec<u32>,
    /// The offerer sends in this section.
    pub sending: bool,
    /// The offerer accepts requests to send packets again (NACK).
    pub resends: bool,
    pub congestion: Congestion,
}

/// How the offerer learns how much the path carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    #[default]
    Unknown,
    /// From the receiver's estimate (REMB).
    Estimates,
    /// From the arrival of each packet (transport-wide feedback). If both are offered, this one is used.
    Arrivals,
}

/// Replaces `sendrecv` by `sendonly`. LiveKit offers `sendrecv` although a subscriber never sends: an answer
/// to that would have to offer streams of its own.
pub fn as_sent_to_a_subscriber(offer: &str) -> String {
    let mut in_media = false;
    let mut out = String::with_capacity(offer.len());
    for line in offer.split_inclusive('\n') {
        if line.starts_with("m=") {
            in_media = !line.starts_with("m=application");
        }
        match line.trim_end() {
            "a=sendrecv" if in_media => out.push_str("a=sendonly\r\n"),
            "a=recvonly" if in_media => out.push_str("a=inactive\r\n"),
            _ => out.push_str(line),
        }
    }
    out
}

pub fn media_sections(offer: &str) -> Vec<MediaSection> {
    let mut sections: Vec<MediaSection> = Vec::new();
    let mut in_media = false;
    for line in offer.lines().map(str::trim_end) {
        if line.starts_with("m=") {
            in_media = !line.starts_with("m=application");
            if in_media {
                sections.push(MediaSection::empty());
            }
        } else if in_media && let Some(section) = sections.last_mut() {
            section.read(line);
        }
    }
    sections
}

/// Returns the user name fragment of ICE. A new one in an offer means that ICE restarts.
pub fn ice_ufrag(offer: &str) -> Option<&str> {
    offer.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

/// Returns the candidates in the offer itself; others are trickled.
pub fn candidates(offer: &str) -> impl Iterator<Item = &str> {
    let attributes = offer.lines().filter_map(|line| line.trim_end().strip_prefix("a="));
    attributes.filter(|attribute| attribute.starts_with("candidate:"))
}

/// Returns whether a section carries another track than before. LiveKit reuses the m-line of a removed track
/// for the next one. The streams of `old` must be removed before such an offer is accepted, or the new track
/// yields no frame.
pub fn is_recycled(old: &MediaSection, new: &MediaSection) -> bool {
    let both_carry_a_track = !old.track.is_empty() && !new.track.is_empty();
    both_carry_a_track && (old.track != new.track || old.ssrcs != new.ssrcs)
}

impl MediaSection {
    fn empty() -> Self {
        Self {
            mid: String::new(),
            track: String::new(),
            ssrcs: Vec::new(),
            sending: false,
            resends: false,
            congestion: Congestion::Unknown,
        }
    }

    fn read(&mut self, line: &str) {
        if let Some(mid) = line.strip_prefix("a=mid:") {
            mid.clone_into(&mut self.mid);
        } else if let Some(msid) = line.strip_prefix("a=msid:") {
            self.track = msid.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if let Some(ssrc) = line.strip_prefix("a=ssrc:") {
            let ssrc = ssrc.split(' ').next().and_then(|s| s.parse().ok());
            self.ssrcs.extend(ssrc.filter(|s| !self.ssrcs.contains(s)));
        } else if line == "a=sendrecv" || line == "a=sendonly" {
            self.sending = true;
        } else if let Some(feedback) = line.strip_prefix("a=rtcp-fb:") {
            self.read_feedback(feedback.split_once(' ').map_or("", |(_, what)| what));
        }
    }

    fn read_feedback(&mut self, feedback: &str) {
        match feedback {
            "nack" => self.resends = true,
            "transport-cc" => self.congestion = Congestion::Arrivals,
            "goog-remb" if self.congestion == Congestion::Unknown => self.congestion = Congestion::Estimates,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\na=sendrecv\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sendrecv\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\na=sendrecv\r\na=msid:PA_1|TR_a TR_a\r\n\
        a=ssrc:11 cname:x\r\na=ssrc:11 msid:x\r\na=ssrc:12 cname:x\r\n\
        a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 goog-remb\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:2\r\na=rtcp-fb:111 nack pli\r\na=recvonly\r\n";

    #[test]
    fn only_the_directions_of_media_sections_are_rewritten() {
        let rewritten = as_sent_to_a_subscriber(OFFER);
        let directions: Vec<_> = rewritten
            .lines()
            .filter(|l| ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(l))
            .collect();
        assert_eq!(directions, ["a=sendrecv", "a=sendrecv", "a=sendonly", "a=inactive"]);
        assert_eq!(rewritten.lines().count(), OFFER.lines().count());
    }

    #[test]
    fn an_offer_tells_its_ice_generation_and_candidates() {
        let offer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:abc\r\na=candidate:1 1 tcp 5 ::1 7 typ host\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:abc\r\n";
        assert_eq!(ice_ufrag(offer), Some("abc"));
        assert_eq!(candidates(offer).collect::<Vec<_>>(), ["candidate:1 1 tcp 5 ::1 7 typ host"]);
        assert_eq!(ice_ufrag(OFFER), None);
    }

    #[test]
    fn a_section_names_its_track_and_streams() {
        let sections = media_sections(OFFER);
        let video = MediaSection {
            mid: "1".into(),
            track: "TR_a".into(),
            ssrcs: vec![11, 12],
            sending: true,
            resends: true,
            congestion: Congestion::Estimates,
        };
        let audio = MediaSection { mid: "2".into(), ..MediaSection::empty() };
        assert_eq!(sections, [video, audio]);
    }

    #[test]
    fn an_estimate_is_wanted_only_where_no_transport_wide_feedback_is() {
        let offered = |feedback: &str| {
            media_sections(&format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{feedback}"))[0].congestion
        };
        let (remb, transport_wide) = ("a=rtcp-fb:96 goog-remb\r\n", "a=rtcp-fb:96 transport-cc\r\n");
        assert_eq!(offered(""), Congestion::Unknown);
        assert_eq!(offered(remb), Congestion::Estimates);
        assert_eq!(offered(&[transport_wide, remb].concat()), Congestion::Arrivals);
        assert_eq!(offered(&[remb, transport_wide].concat()), Congestion::Arrivals);
    }

    #[test]
    fn an_m_line_is_recycled_when_another_track_or_stream_takes_it() {
        let old = MediaSection {
            mid: "1".into(),
            track: "TR_a".into(),
            ssrcs: vec![1],
            sending: true,
            ..MediaSection::empty()
        };
        let idle = MediaSection { track: String::new(), ssrcs: vec![], sending: false, ..old.clone() };
        assert!(!is_recycled(&old, &old));
        assert!(!is_recycled(&old, &idle));
        assert!(is_recycled(&old, &MediaSection { track: "TR_b".into(), ..old.clone() }));
        assert!(is_recycled(&old, &MediaSection { ssrcs: vec![2], ..old.clone() }));
    }
}
