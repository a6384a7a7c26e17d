//! One track on its way from the room to the composer: encoded frames wait here until their tick is
//! due, then go through the track's decoder. Waiting is done on the encoded side, where a second costs
//! kilobytes; decoded pictures exist only for the tick that is being made.
//!
//! Contract: nothing that a track brings fails a recording. A decoder gets a frame only if it got all that came
//! before it, from a keyframe on; where that cannot be, the feed wants a keyframe and skips what comes until then.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::decode::{DecodeError, Decoded, TrackDecoder};
use crate::ids::TrackSid;
use crate::media::{Codec, EncodedFrame, MediaTime, Picture, Sound, TrackKind};

/// A minute of a 60 fps track, some ten megabytes: so long may ticks take to come to the present after a gap of
/// minutes. Otherwise more than a second can only wait here if ticks have stopped.
const QUEUED_FRAMES: usize = 3600;
/// So many decoders of one codec may fail one after the other without a single output: then no other one will do
/// better, and the publisher need not be asked for keyframes for ever.
const FAILURES_IN_A_ROW: u32 = 5;

pub struct TrackFeed {
    sid: TrackSid,
    kind: TrackKind,
    queue: VecDeque<EncodedFrame>,
    decoder: State,
    /// Decoders that failed since the last output.
    failures: u32,
    /// What is to be told besides what the decoder gives out.
    event: Option<FeedEvent>,
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
    /// Sound that was made up for lost packets.
    pub concealed: Duration,
}

enum State {
    /// No frame yet, or something is missing: the next keyframe starts a new decoder.
    Idle,
    Running {
        codec: Codec,
        decoder: TrackDecoder,
    },
    /// There is no decoder for this codec, or none that takes this stream. Frames in another one start anew.
    Undecodable(Codec),
}

/// What came out of a feed.
pub enum FeedEvent {
    Picture(Picture),
    Sound(Sound),
    /// Nothing comes out before a keyframe.
    KeyframeWanted,
    /// The decoder was of no more use. The next keyframe, which is wanted, gets a new one.
    Failed(DecodeError),
    /// Nothing comes out as long as the track is in this codec. Told once.
    Undecodable {
        codec: Codec,
        reason: DecodeError,
    },
}

impl TrackFeed {
    pub fn new(sid: TrackSid, kind: TrackKind, wake: Arc<Notify>) -> Self {
        let (queue, counters) = (VecDeque::new(), Counters::default());
        Self { sid, kind, queue, decoder: State::Idle, failures: 0, event: None, wake, ends: None, counters }
    }

    pub fn receive(&mut self, frame: EncodedFrame) {
        self.counters.received += 1;
        if self.queue.len() == QUEUED_FRAMES {
            self.queue.pop_front();
            self.counters.skipped += 1;
            self.interrupted();
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
        Counters { concealed: self.counters.concealed + concealed(&self.decoder), ..self.counters }
    }

    /// Gives the decoder every frame up to `until`, that one included.
    pub fn feed(&mut self, until: MediaTime) {
        while let Some(frame) = self.queue.pop_front_if(|frame| frame.time <= until) {
            self.decode(frame);
        }
    }

    /// All that was fed has come out.
    pub fn caught_up(&self) -> bool {
        match &self.decoder {
            State::Idle | State::Undecodable(_) => true,
            State::Running { decoder, .. } => decoder.caught_up(),
        }
    }

    /// What the decoder has given out since the last call, one by one.
    pub fn try_next(&mut self) -> Option<FeedEvent> {
        if let Some(event) = self.event.take() {
            return Some(event);
        }
        let State::Running { codec, decoder } = &mut self.decoder else { return None };
        let output = match decoder.try_next()? {
            Decoded::Picture(picture) => FeedEvent::Picture(picture),
            Decoded::Sound(sound) => FeedEvent::Sound(sound),
            Decoded::KeyframeWanted => return Some(FeedEvent::KeyframeWanted),
            Decoded::Failed(error) => {
                let codec = *codec;
                self.failed(codec, error);
                return self.event.take();
            }
        };
        self.counters.decoded += 1;
        self.failures = 0;
        Some(output)
    }

    pub fn close(mut self) {
        self.replace(State::Idle);
    }

    fn decode(&mut self, frame: EncodedFrame) {
        let codec = frame.codec;
        match &mut self.decoder {
            State::Undecodable(refused) if *refused == codec => self.counters.skipped += 1,
            State::Running { codec: running, decoder } if *running == codec => {
                if let Err(error) = decoder.push(frame) {
                    self.failed(codec, error);
                }
            }
            // A publisher may change its codec in mid-track (backup codecs): only at a keyframe.
            State::Idle | State::Running { .. } | State::Undecodable(_) => self.start_with(frame),
        }
    }

    fn start_with(&mut self, frame: EncodedFrame) {
        let codec = frame.codec;
        if !frame.keyframe && self.kind == TrackKind::Video {
            self.counters.skipped += 1;
            // Again for each: a request may be lost, or come too soon after another one.
            self.event.get_or_insert(FeedEvent::KeyframeWanted);
            return;
        }
        self.replace(State::Idle);
        match TrackDecoder::start(codec, self.sid.as_str(), Arc::clone(&self.wake)) {
            Ok(decoder) => {
                self.decoder = State::Running { codec, decoder };
                self.decode(frame);
            }
            Err(reason) => self.give_up(codec, reason),
        }
    }

    /// The decoder is of no more use.
    fn failed(&mut self, codec: Codec, error: DecodeError) {
        self.counters.decoder_failures += 1;
        self.failures += 1;
        if self.failures == FAILURES_IN_A_ROW {
            return self.give_up(codec, error);
        }
        self.replace(State::Idle);
        self.event = Some(FeedEvent::Failed(error));
    }

    fn give_up(&mut self, codec: Codec, reason: DecodeError) {
        self.failures = 0;
        self.replace(State::Undecodable(codec));
        self.event = Some(FeedEvent::Undecodable { codec, reason });
    }

    /// The decoder cannot go on with the next frame.
    fn interrupted(&mut self) {
        if matches!(self.decoder, State::Running { .. }) {
            self.replace(State::Idle);
            self.event.get_or_insert(FeedEvent::KeyframeWanted);
        }
    }

    fn replace(&mut self, state: State) {
        self.counters.concealed += concealed(&self.decoder);
        if let State::Running { decoder, .. } = std::mem::replace(&mut self.decoder, state) {
            decoder.close();
        }
    }
}

fn concealed(state: &State) -> Duration {
    match state {
        State::Idle | State::Undecodable(_) => Duration::ZERO,
        State::Running { decoder, .. } => decoder.concealed(),
    }
}

#[cfg(test)]
mod tests;
