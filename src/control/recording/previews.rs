//! The previews of a running recording: who waits for one, and how long one is used. Pure: time is an
//! argument.
//!
//! Contract: the worker makes one preview at a time. A caller gets one that is no older than [`GOOD_FOR`], or
//! the reason why there is none.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a preview is used. So a recording makes one a second at most, whatever the number of callers.
pub const GOOD_FOR: Duration = Duration::from_secs(1);

/// Why there is no preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPreview {
    /// The recording takes in no media (any more).
    NotActive,
    NoFrame,
    /// The worker could not make one.
    Failed,
}

pub type Preview = Result<Bytes, NoPreview>;

/// What to do after a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    AskWorker,
    Nothing,
}

#[derive(Debug, Default)]
pub enum Previews {
    #[default]
    None,
    /// The worker makes one for these callers.
    Underway(Vec<oneshot::Sender<Preview>>),
    Made {
        jpeg: Bytes,
        at: Instant,
    },
}

impl Previews {
    /// Gives the caller a preview, or adds it to those who wait.
    pub fn ask(&mut self, asking: oneshot::Sender<Preview>, now: Instant) -> Next {
        match self {
            Self::Made { jpeg, at } if now.duration_since(*at) <= GOOD_FOR => {
                give(asking, Ok(jpeg.clone()));
                Next::Nothing
            }
            Self::Underway(waiting) => {
                // Callers that have gone are removed.
                waiting.retain(|waiting| !waiting.is_closed());
                waiting.push(asking);
                Next::Nothing
            }
            Self::None | Self::Made { .. } => {
                *self = Self::Underway(vec![asking]);
                Next::AskWorker
            }
        }
    }

    /// Gives the result of the worker to those who wait.
    pub fn answered(&mut self, preview: Preview, now: Instant) {
        let next = match &preview {
            Ok(jpeg) => Self::Made { jpeg: jpeg.clone(), at: now },
            Err(_) => Self::None,
        };
        if let Self::Underway(waiting) = std::mem::replace(self, next) {
            waiting.into_iter().for_each(|waiting| give(waiting, preview.clone()));
        }
    }
}

pub fn give(asking: oneshot::Sender<Preview>, preview: Preview) {
    // The caller may have gone.
    let _taken = asking.send(preview);
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: Bytes = Bytes::from_static(b"jpeg");

    fn ask(previews: &mut Previews, now: Instant) -> (Next, oneshot::Receiver<Preview>) {
        let (asking, answer) = oneshot::channel();
        (previews.ask(asking, now), answer)
    }

    #[test]
    fn all_who_ask_while_one_is_made_share_it() {
        let (mut previews, now) = (Previews::default(), Instant::now());
        let (first, mut one) = ask(&mut previews, now);
        let (second, mut two) = ask(&mut previews, now + 5 * GOOD_FOR);
        assert_eq!((first, second), (Next::AskWorker, Next::Nothing));
        previews.answered(Ok(JPEG), now + 6 * GOOD_FOR);
        assert_eq!((one.try_recv(), two.try_recv()), (Ok(Ok(JPEG)), Ok(Ok(JPEG))));
    }

    #[test]
    fn a_picture_is_good_for_a_second_and_no_longer() {
        let (mut previews, now) = (Previews::default(), Instant::now());
        let (_, _waiting) = ask(&mut previews, now);
        previews.answered(Ok(JPEG), now);
        let (next, mut answer) = ask(&mut previews, now + GOOD_FOR);
        assert_eq!((next, answer.try_recv()), (Next::Nothing, Ok(Ok(JPEG))));
        let (next, mut answer) = ask(&mut previews, now + GOOD_FOR + Duration::from_millis(1));
        assert_eq!(next, Next::AskWorker);
        assert!(answer.try_recv().is_err(), "it waits for a newer one");
    }

    #[test]
    fn a_failure_is_told_to_all_and_the_next_one_asks_again() {
        let (mut previews, now) = (Previews::default(), Instant::now());
        let (_, mut one) = ask(&mut previews, now);
        previews.answered(Err(NoPreview::Failed), now);
        assert_eq!(one.try_recv(), Ok(Err(NoPreview::Failed)));
        assert_eq!(ask(&mut previews, now).0, Next::AskWorker);
    }

    #[test]
    fn only_those_wait_who_are_still_there() {
        let (mut previews, now) = (Previews::default(), Instant::now());
        for _ in 0..1000 {
            drop(ask(&mut previews, now));
        }
        let (_, _there) = ask(&mut previews, now);
        let Previews::Underway(waiting) = previews else { panic!("none is under way") };
        assert_eq!(waiting.len(), 1);
    }
}
