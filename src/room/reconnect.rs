//! What to do when the server, or the way to it, is gone: what to try, when, and when to give up. Pure: no
//! socket, and time is an argument.
//!
//! Two things can fail: signalling, and the media path. Lost signalling is resumed, with media going on
//! meanwhile. A silent media path is resumed too: LiveKit answers every resume with an ICE restart, which finds
//! another path (TCP, where UDP has died) without a new session. Where the server does not know this session any
//! more, the room is joined anew.
//!
//! Contract: the owner calls [`Reconnect::step`] after everything that happened and at [`Reconnect::deadline`],
//! until it answers `None`, and does what it says. Every attempt that was begun is answered by one call of
//! [`Reconnect::resumed`], [`Reconnect::rejoined`] or [`Reconnect::failed`].

use std::time::{Duration, Instant};

use livekit_protocol::{DisconnectReason, leave_request::Action};

use super::RoomEnd;

/// The first attempt is made at once; then the pauses double up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// After this long a LiveKit server forgets a participant whose signalling is gone: joining anew is as good.
const RESUME_WINDOW: Duration = Duration::from_secs(15);
/// An ICE restart over UDP takes two round trips, one over TCP a second; then joining anew is quicker.
const RESUMED_PATH: Duration = Duration::from_secs(6);
/// ICE and DTLS from nothing, over TCP, with a server that has just been started.
const JOINED_PATH: Duration = Duration::from_secs(15);
/// A connection that has lasted so long does not suffer from what broke the one before.
const STABLE: Duration = Duration::from_secs(10);

pub struct Reconnect {
    give_up_after: Duration,
    link: Link,
    /// Since when no media has come, once that is known.
    outage: Option<Instant>,
}

/// How it stands with signalling, and with what was tried for it.
#[derive(Debug)]
enum Link {
    /// `recoveries` one after the other brought it here, none if it was never lost.
    Up {
        since: Instant,
        recoveries: u32,
    },
    /// Signalling is there; the media path has until then to be there too.
    Confirming {
        trouble: Trouble,
        until: Instant,
    },
    /// The next attempt is made then.
    Waiting {
        trouble: Trouble,
        way: Way,
        at: Instant,
    },
    Trying {
        trouble: Trouble,
        way: Way,
    },
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    failures: u32,
    /// Nothing was lost: this is how every session begins.
    is_first_join: bool,
}

/// How the connection is to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Resume(ResumeReason),
    Rejoin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeReason {
    SignallingLost,
    MediaSilent,
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server does not know this session.
    Refused,
    Unreachable,
}

/// What the media path is like now.
#[derive(Clone, Copy, Debug)]
pub enum Media {
    Up,
    /// Nothing has come since then.
    SilentSince(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No media has come since then.
    Interrupted(Instant),
    Restored,
    Try(Way),
    GiveUp,
}

/// What a leave request of the server's means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterLeave {
    Resume,
    Rejoin,
    End(RoomEnd),
}

impl Reconnect {
    /// Signalling has just been set up, the media path not yet.
    pub fn new(give_up_after: Duration, now: Instant) -> Self {
        let trouble = Trouble { since: now, failures: 0, is_first_join: true };
        Self { give_up_after, link: Link::Confirming { trouble, until: now + JOINED_PATH }, outage: None }
    }

    pub fn signalling_lost(&mut self, now: Instant) {
        self.plan(Way::Resume(ResumeReason::SignallingLost), now);
    }

    /// The session is of no use any more, whatever the reason.
    pub fn session_lost(&mut self, now: Instant) {
        self.plan(Way::Rejoin, now);
    }

    /// Signalling is there again; the server restarts ICE.
    pub fn resumed(&mut self, now: Instant) {
        self.confirm(now + RESUMED_PATH);
    }

    /// A new session is there; its media path is not yet. If no outage was noticed before, one began when the old
    /// session's path was heard of last: a server that is back at once was not missed for long enough.
    pub fn rejoined(&mut self, last_heard: Instant, now: Instant) -> Option<Step> {
        self.confirm(now + JOINED_PATH);
        self.outage.is_none().then(|| self.interrupt(last_heard))
    }

    /// `chance` (0 to 1) spreads the attempts of many recorders over time.
    pub fn failed(&mut self, failure: Failure, now: Instant, chance: f64) {
        let Link::Trying { trouble, way } = &self.link else { return };
        let trouble = Trouble { failures: trouble.failures + 1, ..*trouble };
        let (way, at) = match failure {
            Failure::Refused if *way != Way::Rejoin => (Way::Rejoin, now),
            Failure::Refused | Failure::Unreachable => {
                let old = now.duration_since(trouble.since) >= RESUME_WINDOW;
                (if old { Way::Rejoin } else { *way }, now + pause(trouble.failures, chance))
            }
        };
        self.link = Link::Waiting { trouble, way, at };
    }

    /// An attempt is under way.
    pub fn is_trying(&self) -> bool {
        matches!(self.link, Link::Trying { .. })
    }

    pub fn step(&mut self, media: Media, now: Instant) -> Option<Step> {
        if let Some(step) = self.watch(media, now) {
            return Some(step);
        }
        if self.outage.is_some_and(|since| now.duration_since(since) >= self.give_up_after) {
            return Some(Step::GiveUp);
        }
        match self.link {
            Link::Confirming { trouble, until } if until <= now => {
                // A path that cannot be found must not make the server busy.
                let trouble = Trouble { failures: trouble.failures + 1, is_first_join: false, ..trouble };
                let at = now + pause(trouble.failures, 1.0);
                self.link = Link::Waiting { trouble, way: Way::Rejoin, at };
                self.outage.is_none().then(|| self.interrupt(trouble.since))
            }
            Link::Waiting { trouble, way, at } if at <= now => {
                self.link = Link::Trying { trouble, way };
                Some(Step::Try(way))
            }
            Link::Up { .. } | Link::Confirming { .. } | Link::Waiting { .. } | Link::Trying { .. } => None,
        }
    }

    /// When [`Reconnect::step`] may have something to say without anything having happened.
    pub fn deadline(&self) -> Option<Instant> {
        let link = match self.link {
            Link::Up { .. } | Link::Trying { .. } => None,
            Link::Confirming { until: at, .. } | Link::Waiting { at, .. } => Some(at),
        };
        let give_up = self.outage.map(|since| since + self.give_up_after);
        [link, give_up].into_iter().flatten().min()
    }

    fn watch(&mut self, media: Media, now: Instant) -> Option<Step> {
        match (media, &self.link) {
            (Media::Up, Link::Confirming { trouble, .. }) => {
                let recoveries = if trouble.is_first_join { 0 } else { trouble.failures + 1 };
                self.link = Link::Up { since: now, recoveries };
            }
            (Media::Up, _) => {}
            // The path of a new session takes its time.
            (Media::SilentSince(_), Link::Confirming { .. }) => return None,
            (Media::SilentSince(since), link) => {
                if matches!(link, Link::Up { .. }) {
                    self.plan(Way::Resume(ResumeReason::MediaSilent), now);
                }
                return self.outage.is_none().then(|| self.interrupt(since));
            }
        }
        self.outage.take().map(|_| Step::Restored)
    }

    fn interrupt(&mut self, since: Instant) -> Step {
        self.outage = Some(since);
        Step::Interrupted(since)
    }

    fn confirm(&mut self, until: Instant) {
        let trouble = self.trouble(until);
        self.link = Link::Confirming { trouble, until };
    }

    /// A rejoin replaces a resume that was planned; otherwise what was planned, or is under way, is waited for.
    fn plan(&mut self, way: Way, now: Instant) {
        let is_planned = match self.link {
            Link::Up { .. } | Link::Confirming { .. } => false,
            Link::Waiting { way: planned, .. } => planned == Way::Rejoin || way != Way::Rejoin,
            Link::Trying { .. } => true,
        };
        if is_planned {
            return;
        }
        let trouble = self.trouble(now);
        let at = if trouble.failures == 0 { now } else { now + pause(trouble.failures, 1.0) };
        self.link = Link::Waiting { trouble, way, at };
    }

    fn trouble(&self, now: Instant) -> Trouble {
        match self.link {
            Link::Up { since, recoveries } => {
                let is_stable = now.duration_since(since) >= STABLE;
                let failures = if is_stable { 0 } else { recoveries };
                Trouble { since: now, failures, is_first_join: false }
            }
            Link::Confirming { trouble, .. }
            | Link::Waiting { trouble, .. }
            | Link::Trying { trouble, .. } => trouble,
        }
    }
}

/// Obeys the server, but for two things: an end without a reason that concerns this room or this recorder is the
/// server's own trouble, and the room goes on; and an end that does concern them is one whatever action it names.
pub fn after_leave(reason: DisconnectReason, action: Action) -> AfterLeave {
    use DisconnectReason as Reason;
    let ends = || {
        AfterLeave::End(RoomEnd::Lost(format!("livekit sent the recorder away: {}", reason.as_str_name())))
    };
    match (reason, action) {
        (Reason::RoomDeleted | Reason::RoomClosed, _) => AfterLeave::End(RoomEnd::Closed),
        (Reason::DuplicateIdentity | Reason::ParticipantRemoved, _) => ends(),
        (_, Action::Resume) => AfterLeave::Resume,
        (_, Action::Reconnect) => AfterLeave::Rejoin,
        (
            Reason::ServerShutdown
            | Reason::StateMismatch
            | Reason::JoinFailure
            | Reason::Migration
            | Reason::SignalClose
            | Reason::ConnectionTimeout
            | Reason::MediaFailure,
            Action::Disconnect,
        ) => AfterLeave::Rejoin,
        (
            Reason::UnknownReason
            | Reason::ClientInitiated
            | Reason::UserUnavailable
            | Reason::UserRejected
            | Reason::SipTrunkFailure
            | Reason::AgentError,
            Action::Disconnect,
        ) => ends(),
    }
}

/// Between half of the full pause and all of it.
fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    let full = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
