//! One track on its way from the room to the composer: encoded frames wait here until their tick is
//! due, then go through the track's decoder. Waiting is done on the encoded side, where a second costs
//! kilobytes; decoded pictures exist only for the tick that is being made.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::decode::{DecodeError, Decoded, TrackDecoder};
use crate::ids::TrackSid;
use crate::media::{Codec, EncodedFrame, MediaTime, TrackKind};

/// Ten seconds of a 60 fps track. More can only wait here if ticks have stopped.
const QUEUED_FRAMES: usize = 600;

pub struct TrackFeed {
    sid: TrackSid,
    kind: TrackKind,
    queue: VecDeque<EncodedFrame>,
    decoder: State,
    wake: Arc<Notify>,
    /// The track has ended: nothing comes after this.
    ends: Option<MediaTime>,
    counters: Counters,
}

/// What an operator asks when a tile looked wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub received: u64,
    pub decoded: u64,
    /// Frames that no decoder saw: the queue was full, or the decoder was starting anew.
    pub skipped: u64,
    pub decoder_failures: u64,
}

enum State {
    /// No frame yet, or the decoder failed: the next keyframe starts a new one.
    Idle,
    Running {
        codec: Codec,
        decoder: TrackDecoder,
    },
}

/// What came out of a feed.
pub enum Output {
    Decoded(Decoded),
    /// A new decoder is needed, and for that a keyframe.
    KeyframeWanted,
}

impl TrackFeed {
    pub fn new(sid: TrackSid, kind: TrackKind, wake: Arc<Notify>) -> Self {
        let (queue, counters) = (VecDeque::new(), Counters::default());
        Self { sid, kind, queue, decoder: State::Idle, wake, ends: None, counters }
    }

    pub fn receive(&mut self, frame: EncodedFrame) {
        self.counters.received += 1;
        if self.queue.len() == QUEUED_FRAMES {
            self.queue.pop_front();
            self.counters.skipped += 1;
        }
        self.queue.push_back(frame);
    }

    pub fn end(&mut self, at: MediaTime) {
        self.ends = Some(at);
    }

    /// Whether nothing of this track belongs to a tick at `time` or later.
    pub fn is_over(&self, time: MediaTime) -> bool {
        self.ends.is_some_and(|end| end <= time)
    }

    pub fn kind(&self) -> TrackKind {
        self.kind
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Gives the decoder every frame up to `until`, that one included.
    pub fn feed(&mut self, until: MediaTime) -> Result<(), DecodeError> {
        while self.queue.front().is_some_and(|f| f.time <= until) {
            let Some(frame) = self.queue.pop_front() else { break };
            self.decode(frame)?;
        }
        Ok(())
    }

    /// All that was fed has come out.
    pub fn caught_up(&self) -> bool {
        match &self.decoder {
            State::Idle => true,
            State::Running { decoder, .. } => decoder.caught_up(),
        }
    }

    /// What the decoder has given out since the last call, one by one.
    pub fn try_next(&mut self) -> Option<Output> {
        let State::Running { decoder, .. } = &mut self.decoder else { return None };
        let decoded = decoder.try_next()?;
        if let Decoded::Failed(error) = decoded {
            tracing::warn!(track = %self.sid, %error, "decoder failed, starting it anew");
            self.restart();
            return Some(Output::KeyframeWanted);
        }
        self.counters.decoded += u64::from(matches!(decoded, Decoded::Picture(_) | Decoded::Sound(_)));
        Some(Output::Decoded(decoded))
    }

    pub fn close(self) {
        if let State::Running { decoder, .. } = self.decoder {
            decoder.close();
        }
    }

    fn decode(&mut self, frame: EncodedFrame) -> Result<(), DecodeError> {
        // A publisher may change its codec in mid-track (backup codecs): only at a keyframe.
        let same = matches!(&self.decoder, State::Running { codec, .. } if *codec == frame.codec);
        if !same {
            let can_start = frame.keyframe || self.kind == TrackKind::Audio;
            if !can_start {
                self.counters.skipped += 1;
                return Ok(());
            }
            self.stop();
            let decoder = TrackDecoder::start(frame.codec, self.sid.as_str(), Arc::clone(&self.wake))?;
            self.decoder = State::Running { codec: frame.codec, decoder };
        }
        if let State::Running { decoder, .. } = &mut self.decoder
            && let Err(error) = decoder.push(frame)
        {
            tracing::warn!(track = %self.sid, %error, "decoder takes no frame, starting it anew");
            self.restart();
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.counters.decoder_failures += 1;
        self.stop();
    }

    fn stop(&mut self) {
        if let State::Running { decoder, .. } = std::mem::replace(&mut self.decoder, State::Idle) {
            decoder.close();
        }
    }
}
