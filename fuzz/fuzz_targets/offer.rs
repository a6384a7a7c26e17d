//! A session description of LiveKit's, as far as egressd reads it itself.
//!
//! Holds: the rewriting changes no section but its direction, leaves none in which we would send, and changes nothing
//! the second time.

#![no_main]

use egressd::room::fuzzing::{
    MediaSection, as_sent_to_a_subscriber, candidates, ice_ufrag, is_recycled, media_sections,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|offer: &str| {
    let sections = media_sections(offer);
    let rewritten = as_sent_to_a_subscriber(offer);
    let of = |sections: &[MediaSection]| -> Vec<(String, String, Vec<u32>)> {
        let parts = |s: &MediaSection| (s.mid.clone(), s.track.clone(), s.ssrcs.clone());
        sections.iter().map(parts).collect()
    };
    assert_eq!(of(&sections), of(&media_sections(&rewritten)));
    assert_eq!(as_sent_to_a_subscriber(&rewritten), rewritten);
    let _ = ice_ufrag(offer);
    for candidate in candidates(offer) {
        assert!(offer.contains(candidate));
    }
    for section in &sections {
        assert!(!is_recycled(section, section));
    }
});
