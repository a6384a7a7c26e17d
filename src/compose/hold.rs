//! The last frame of a recording that another composer began. It is shown until everybody in the room can be
//! seen again.

use std::time::Duration;

use crate::media::MediaTime;

/// The events of the participants in the room come right after joining, one after the other.
const JOIN_EVENTS_WAIT: Duration = Duration::from_millis(250);
/// A keyframe of each track is requested and comes within a second. A track that is published and sends
/// nothing must not hold up the others for long.
const RESUME_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) enum Hold {
    #[default]
    Over,
    On {
        frame: Vec<u8>,
        /// When the room was joined.
        joined: MediaTime,
    },
}

impl Hold {
    /// Ends the hold at the tick at `now` if everybody in the room can be seen, or if that takes too long.
    pub(super) fn advance(&mut self, now: MediaTime, all_are_there: impl FnOnce() -> bool) {
        let Self::On { joined, .. } = self else { return };
        if now >= *joined + RESUME_TIMEOUT || (now >= *joined + JOIN_EVENTS_WAIT && all_are_there()) {
            *self = Self::Over;
        }
    }

    /// Returns the held frame, or `canvas` once the hold is over.
    pub(super) fn over<'a>(&'a self, canvas: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Over => canvas,
            Self::On { frame, .. } => frame,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOINED: MediaTime = MediaTime::from_millis(60_000);

    /// Returns whether the frame is still held at a moment after joining.
    fn held(after_ms: i64, all_are_there: bool) -> bool {
        let mut hold = Hold::On { frame: vec![7], joined: JOINED };
        let now = MediaTime::from_millis(60_000 + after_ms);
        hold.advance(now, || all_are_there);
        hold.over(&[1]) == [7]
    }

    #[test]
    fn the_frame_stands_still_until_the_room_was_joined_and_those_in_it_told() {
        assert!(held(-10_000, true));
        assert!(held(0, true));
        assert!(!held(250, true));
    }

    #[test]
    fn who_is_not_seen_yet_is_waited_for_but_not_for_ever() {
        assert!(held(2999, false));
        assert!(!held(3000, false));
    }
}
