//! What to do when signalling or the media path is lost: what to try, when, and when to give up. Pure: no
//! socket, and time is an argument.
//!
//! Two things can fail: signalling, and the media path. Lost signalling is resumed while media goes on. A
//! silent media path is resumed too: LiveKit answers every resume with an ICE restart, which finds another
//! path (TCP, if UDP has failed) without a new session. If the server does not know this session any more,
//! the room is joined again.
//!
//! Contract: after every event and at [`Reconnect::deadline`], the owner calls [`Reconnect::step`] until it
//! returns `None`, and carries out each step. For every attempt that it begins, the owner calls one of
//! [`Reconnect::resumed`], [`Reconnect::rejoined`] or [`Reconnect::failed`] once.

use std::time::{Duration, Instant};

use livekit_protocol::{DisconnectReason, leave_request::Action};

use super::RoomEnd;

/// The first attempt is made at once; then the pauses double, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// After this long a LiveKit server forgets a participant whose signalling is lost, and a resume has no
/// advantage over a rejoin.
const RESUME_WINDOW: Duration = Duration::from_secs(15);
/// An ICE restart over UDP takes two round trips, one over TCP a second. After this long a rejoin is quicker.
const RESUMED_PATH_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a new session's path may take: ICE and DTLS over TCP, with a server that has just been started.
const JOINED_PATH_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection that has lasted this long counts as sound: the failures before it are forgotten.
const STABLE_AFTER: Duration = Duration::from_secs(10);

pub struct Reconnect {
    give_up_after: Duration,
    link: Link,
    /// When media stopped, once the outage was noticed.
    outage: Option<Instant>,
}

/// The state of signalling and of the attempts to restore it.
#[derive(Debug)]
enum Link {
    /// `recoveries` counts the recoveries in quick succession that led here: zero if signalling was never
    /// lost.
    Up {
        since: Instant,
        recoveries: u32,
    },
    /// Signalling is connected. The media path must be up by `until`.
    Confirming {
        trouble: Trouble,
        until: Instant,
    },
    /// The next attempt is made at `at`.
    Waiting {
        trouble: Trouble,
        recovery: Recovery,
        at: Instant,
    },
    Trying {
        trouble: Trouble,
        recovery: Recovery,
    },
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    failures: u32,
    /// Nothing was lost: every session begins like this.
    is_first_join: bool,
}

/// How to restore the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    Resume(ResumeReason),
    Rejoin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeReason {
    SignallingLost,
    MediaSilent,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server does not know this session.
    Refused,
    Unreachable,
}

/// The present state of the media path.
#[derive(Clone, Copy, Debug)]
pub enum Media {
    Up,
    /// Nothing has come since this moment.
    SilentSince(Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No media has come since this moment.
    Interrupted(Instant),
    Restored,
    Try(Recovery),
    GiveUp,
}

/// What to do after a leave request of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterLeave {
    Resume,
    Rejoin,
    End(RoomEnd),
}

impl Reconnect {
    /// For a session whose signalling has just been connected, and whose media path is not up yet.
    pub fn new(give_up_after: Duration, now: Instant) -> Self {
        let trouble = Trouble { since: now, failures: 0, is_first_join: true };
        Self {
            give_up_after,
            link: Link::Confirming { trouble, until: now + JOINED_PATH_TIMEOUT },
            outage: None,
        }
    }

    pub fn signalling_lost(&mut self, now: Instant) {
        self.plan(Recovery::Resume(ResumeReason::SignallingLost), now);
    }

    /// Called when the session is of no use any more, whatever the reason.
    pub fn session_lost(&mut self, now: Instant) {
        self.plan(Recovery::Rejoin, now);
    }

    /// Called when signalling is connected again; the server restarts ICE.
    pub fn resumed(&mut self, now: Instant) {
        self.confirm(now + RESUMED_PATH_TIMEOUT);
    }

    /// Called when a new session has begun, whose media path is not up yet. If no outage was noticed before,
    /// one began when the old session's path last received something: the server came back before the silence
    /// was long enough.
    pub fn rejoined(&mut self, last_heard: Instant, now: Instant) -> Option<Step> {
        self.confirm(now + JOINED_PATH_TIMEOUT);
        self.outage.is_none().then(|| self.interrupt(last_heard))
    }

    /// Called when an attempt failed. `chance` (0 to 1) spreads the attempts of many recorders over time.
    pub fn failed(&mut self, failure: Failure, now: Instant, chance: f64) {
        let Link::Trying { trouble, recovery } = &self.link else { return };
        let trouble = Trouble { failures: trouble.failures + 1, ..*trouble };
        let (recovery, at) = match failure {
            Failure::Refused if *recovery != Recovery::Rejoin => (Recovery::Rejoin, now),
            Failure::Refused | Failure::Unreachable => {
                let old = now.duration_since(trouble.since) >= RESUME_WINDOW;
                (if old { Recovery::Rejoin } else { *recovery }, now + pause(trouble.failures, chance))
            }
        };
        self.link = Link::Waiting { trouble, recovery, at };
    }

    /// Returns whether an attempt is under way.
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
                // Attempts for a path that cannot be found must not keep the server busy.
                let trouble = Trouble { failures: trouble.failures + 1, is_first_join: false, ..trouble };
                let at = now + pause(trouble.failures, 1.0);
                self.link = Link::Waiting { trouble, recovery: Recovery::Rejoin, at };
                self.outage.is_none().then(|| self.interrupt(trouble.since))
            }
            Link::Waiting { trouble, recovery, at } if at <= now => {
                self.link = Link::Trying { trouble, recovery };
                Some(Step::Try(recovery))
            }
            Link::Up { .. } | Link::Confirming { .. } | Link::Waiting { .. } | Link::Trying { .. } => None,
        }
    }

    /// Returns when [`Reconnect::step`] may return a step without a new event.
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
                    self.plan(Recovery::Resume(ResumeReason::MediaSilent), now);
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

    /// Plans a recovery. A rejoin replaces a planned resume. Otherwise a recovery that is planned or under
    /// way stays.
    fn plan(&mut self, recovery: Recovery, now: Instant) {
        let is_planned = match self.link {
            Link::Up { .. } | Link::Confirming { .. } => false,
            Link::Waiting { recovery: planned, .. } => {
                planned == Recovery::Rejoin || recovery != Recovery::Rejoin
            }
            Link::Trying { .. } => true,
        };
        if is_planned {
            return;
        }
        let trouble = self.trouble(now);
        let at = if trouble.failures == 0 { now } else { now + pause(trouble.failures, 1.0) };
        self.link = Link::Waiting { trouble, recovery, at };
    }

    fn trouble(&self, now: Instant) -> Trouble {
        match self.link {
            Link::Up { since, recoveries } => {
                let is_stable = now.duration_since(since) >= STABLE_AFTER;
                let failures = if is_stable { 0 } else { recoveries };
                Trouble { since: now, failures, is_first_join: false }
            }
            Link::Confirming { trouble, .. }
            | Link::Waiting { trouble, .. }
            | Link::Trying { trouble, .. } => trouble,
        }
    }
}

/// Follows the server's request, with two exceptions. Without a reason that concerns this room or this
/// recorder, an end is the server's own trouble, and the room goes on. With such a reason it is the end,
/// whatever action the request names.
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

/// Returns a pause between half of the full one and all of it.
fn pause(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    let full = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
