//! Who was in the room, and when. Pure, and bounded.

use std::collections::HashMap;

use super::{bounded, since_start, time};
use crate::media::{MediaTime, Participant};
use crate::report::ParticipantReport;

/// More than can be in a room that is recorded.
const PEOPLE_MAX: usize = 1000;

#[derive(Default)]
pub struct People {
    /// In the order in which they came.
    people: Vec<Person>,
    places: HashMap<String, usize>,
    left_out: u64,
}

struct Person {
    participant: Participant,
    from: MediaTime,
    /// Not while he is there.
    left: Option<MediaTime>,
}

impl People {
    /// Those of an earlier report, none of whom is there until he is told to be.
    pub fn carried(reports: Vec<ParticipantReport>, left_out: u64) -> Self {
        let person = |report: ParticipantReport| Person {
            participant: Participant { identity: report.identity, name: report.name, order: 0 },
            from: time(report.from_ms),
            left: Some(time(report.to_ms)),
        };
        let people: Vec<_> = reports.into_iter().map(person).collect();
        let places = people.iter().map(|person| person.participant.identity.clone()).zip(0..).collect();
        Self { people, places, left_out }
    }

    pub fn joined(&mut self, participant: &Participant, at: MediaTime) {
        if let Some(place) = self.places.get(&participant.identity) {
            let person = &mut self.people[*place];
            person.left = None;
            person.participant.name.clone_from(&participant.name);
        } else if self.people.len() < PEOPLE_MAX {
            self.places.insert(participant.identity.clone(), self.people.len());
            self.people.push(Person { participant: participant.clone(), from: at, left: None });
        } else {
            self.left_out += 1;
        }
    }

    pub fn left(&mut self, identity: &str, at: MediaTime) {
        if let Some(place) = self.places.get(identity) {
            self.people[*place].left = Some(at);
        }
    }

    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub fn report(&self, now: MediaTime) -> Vec<ParticipantReport> {
        let report = |person: &Person| ParticipantReport {
            identity: bounded(&person.participant.identity),
            name: bounded(&person.participant.name),
            from_ms: since_start(person.from.min(now)),
            to_ms: since_start(person.left.unwrap_or(now).min(now)),
        };
        self.people.iter().map(report).collect()
    }
}
