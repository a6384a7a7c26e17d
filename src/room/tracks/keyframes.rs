//! Decides, for one video track, which frames a decoder may get and when to ask for a keyframe. Pure: time is
//! an argument.

use std::time::{Duration, Instant};

/// The shortest time between two requests. Keyframes are large, and the SFU passes each request on to the
/// publisher.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// Contract: after a gap, and at the start, no frame passes before the next keyframe.
#[derive(Debug, Default)]
pub struct KeyframeGate {
    state: State,
    last_request: Option<Instant>,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    Waiting,
    Open,
    /// The track is not shown.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateDecision {
    Pass,
    /// Useless without a keyframe. One has been asked for already, or none is needed.
    Drop,
    /// Useless without a keyframe: ask for one now.
    DropAndRequest,
}

impl KeyframeGate {
    pub fn frame(&mut self, keyframe: bool, contiguous: bool, now: Instant) -> GateDecision {
        match self.state {
            State::Open | State::Waiting if keyframe => self.state = State::Open,
            State::Open if !contiguous => self.state = State::Waiting,
            State::Open | State::Waiting | State::Closed => {}
        }
        match self.state {
            State::Open => GateDecision::Pass,
            State::Closed => GateDecision::Drop,
            State::Waiting => {
                if self.may_request(now) {
                    GateDecision::DropAndRequest
                } else {
                    GateDecision::Drop
                }
            }
        }
    }

    /// Notes that the decoder needs a keyframe; returns whether to ask for it now.
    pub fn wanted(&mut self, now: Instant) -> bool {
        self.may_request(now)
    }

    /// Called when the track is no longer shown; a few of its frames may still arrive.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Called when the track was silent on purpose: a decoder must start with the next keyframe.
    pub fn restart(&mut self) {
        self.state = State::Waiting;
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn may_request(&mut self, now: Instant) -> bool {
        let due = self.last_request.is_none_or(|last| now.duration_since(last) >= REQUEST_INTERVAL);
        if due {
            self.last_request = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn nothing_passes_before_the_first_keyframe() {
        let (mut gate, t) = (KeyframeGate::default(), Instant::now());
        assert_eq!(gate.frame(false, true, t), GateDecision::DropAndRequest);
        assert_eq!(gate.frame(false, true, at(t, 33)), GateDecision::Drop);
        assert_eq!(gate.frame(true, true, at(t, 66)), GateDecision::Pass);
        assert_eq!(gate.frame(false, true, at(t, 100)), GateDecision::Pass);
    }

    #[test]
    fn after_a_gap_frames_wait_for_a_keyframe_that_is_asked_for_twice_a_second() {
        let (mut gate, t) = (KeyframeGate::default(), Instant::now());
        assert_eq!(gate.frame(true, true, t), GateDecision::Pass);
        assert_eq!(gate.frame(false, false, at(t, 33)), GateDecision::DropAndRequest);
        assert_eq!(gate.frame(false, true, at(t, 532)), GateDecision::Drop);
        assert_eq!(gate.frame(false, true, at(t, 533)), GateDecision::DropAndRequest);
        assert_eq!(gate.frame(true, true, at(t, 566)), GateDecision::Pass);
    }

    #[test]
    fn a_keyframe_after_a_gap_passes() {
        let mut gate = KeyframeGate::default();
        assert_eq!(gate.frame(true, false, Instant::now()), GateDecision::Pass);
    }

    #[test]
    fn a_track_that_is_not_shown_passes_nothing_and_asks_for_nothing_until_it_is_again() {
        let (mut gate, t) = (KeyframeGate::default(), Instant::now());
        gate.frame(true, true, t);
        gate.close();
        assert_eq!(gate.frame(false, true, at(t, 600)), GateDecision::Drop);
        assert_eq!(gate.frame(true, true, at(t, 633)), GateDecision::Drop);
        gate.restart();
        assert_eq!(gate.frame(false, true, at(t, 666)), GateDecision::DropAndRequest);
        assert_eq!(gate.frame(true, true, at(t, 700)), GateDecision::Pass);
    }

    #[test]
    fn a_restarted_track_waits_for_a_keyframe() {
        let (mut gate, t) = (KeyframeGate::default(), Instant::now());
        gate.frame(true, true, t);
        gate.restart();
        assert_eq!(gate.frame(false, true, t), GateDecision::DropAndRequest);
    }
}
