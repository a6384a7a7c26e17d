//! What LiveKit tells of the room: participants, who speaks, candidates. Each a message in protobuf.
//!
//! Holds: a participant joins once until he leaves, nothing is told of a track that was never published, and whoever
//! speaks is in the room. That a sid names one track only is up to LiveKit.

#![no_main]

use std::collections::{BTreeSet, HashSet};

use egressd::ids::TrackSid;
use egressd::room::fuzzing::{
    Change, Roster, Speakers, candidate, rejoin_roster, update_roster, update_speakers,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Signal<'a> {
    Participants(&'a [u8]),
    /// The room was joined anew.
    Rejoined(&'a [u8]),
    GivenUp,
    /// A track has a picture and takes its predecessor's place.
    Seen(u8),
    Speakers(&'a [u8]),
    Trickle(&'a [u8]),
}

fuzz_target!(|signals: Vec<Signal>| {
    let (mut roster, mut speakers) = (Roster::default(), Speakers::default());
    let mut room = Room::default();
    for signal in signals {
        match signal {
            Signal::Participants(message) => room.change(update_roster(&mut roster, message)),
            Signal::Rejoined(message) => room.change(rejoin_roster(&mut roster, message)),
            Signal::GivenUp => room.change(Some(roster.give_up_absent())),
            Signal::Seen(which) => {
                let seen = room.published.iter().nth(usize::from(which)).cloned();
                if let Some(before) = seen.and_then(|sid| roster.succeeded(&TrackSid(sid))) {
                    assert!(room.published.contains(&before.0), "{before}");
                }
            }
            Signal::Speakers(message) => {
                update_speakers(&mut speakers, message);
                for speaker in speakers.list(&roster) {
                    assert!(room.present.contains(&speaker.identity));
                }
            }
            Signal::Trickle(message) => {
                let _ = candidate(message);
            }
        }
    }
});

/// What has been told so far.
#[derive(Default)]
struct Room {
    present: HashSet<String>,
    /// Whatever was published once.
    published: BTreeSet<String>,
}

impl Room {
    fn change(&mut self, changes: Option<Vec<Change>>) {
        for change in changes.into_iter().flatten() {
            match change {
                Change::Joined(participant) => assert!(self.present.insert(participant.identity)),
                Change::Left(identity) => assert!(self.present.remove(&identity), "{identity}"),
                Change::Published(track) => {
                    self.published.insert(track.sid.0);
                }
                Change::Unpublished(sid) | Change::Muted(sid, _) => {
                    assert!(self.published.contains(&sid.0), "{sid}");
                }
            }
        }
    }
}
