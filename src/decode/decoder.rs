//! One track's decoder as its owner holds it: what goes in, what comes out, and how much may be under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use gst::prelude::*;
use tokio::sync::Notify;

use super::conceal::{Concealer, Missing};
use super::error::DecodeError;
use super::outlet::{self, Outlet, Output, Progress};
use super::turns::Turns;
use super::{Decoded, output, pipeline};
use crate::media::{Codec, EncodedFrame, TrackKind};

/// Frames in the pipeline and outputs not taken yet, together. Decoded pictures are megabytes and
/// encoded ones kilobytes, so what is pushed faster than it is taken waits encoded. Some are needed,
/// or the decoder would idle between two turns of the owner's loop.
const UNDER_WAY: u64 = 8;
/// Frames that may wait encoded: 20 s of a 60 fps track. An owner that pushes more has stopped taking.
const WAITING: usize = 1200;

/// What goes into the pipeline, in order.
enum Input {
    Frame(gst::Buffer),
    Missing(Missing),
}

/// Decodes what is pushed, in a thread of its own. Dropping it ends it.
pub struct TrackDecoder {
    codec: Codec,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    waiting: VecDeque<Input>,
    /// Frames given to the pipeline so far.
    entered: u64,
    turns: Turns,
    concealer: Concealer,
    concealed: Duration,
    outputs: Receiver<Output>,
    progress: Arc<Progress>,
}

impl TrackDecoder {
    /// `wake` is notified when what was pushed is through, or waits for outputs to be taken.
    /// `name` shows up in errors and GStreamer's own log.
    pub fn start(codec: Codec, name: &str, wake: Arc<Notify>) -> Result<Self, DecodeError> {
        let parts = pipeline::build(codec, name)?;
        let (outlet, outputs) = Outlet::new(wake);
        let progress = Arc::clone(outlet.progress());
        outlet::connect(&parts, codec, &outlet);
        let pipeline::Parts { pipeline, source, .. } = parts;
        // Owned from here on: a start that fails is undone by the drop.
        let (waiting, turns) = (VecDeque::new(), Turns::default());
        let (concealer, concealed) = (Concealer::default(), Duration::ZERO);
        let decoder = Self {
            codec,
            pipeline,
            source,
            waiting,
            entered: 0,
            turns,
            concealer,
            concealed,
            outputs,
            progress,
        };
        let started = decoder.pipeline.set_state(gst::State::Playing);
        started.map_err(|e| DecodeError::Setup { codec, reason: format!("{name}: {e}") })?;
        Ok(decoder)
    }

    /// Never blocks. Frames must come in decoding order, video beginning with a keyframe. After an error
    /// this decoder is of no more use.
    pub fn push(&mut self, mut frame: EncodedFrame) -> Result<(), DecodeError> {
        if self.waiting.len() == WAITING {
            return Err(DecodeError::Full { codec: self.codec, waiting: WAITING });
        }
        if frame.codec == Codec::Opus
            && let Some(missing) = self.concealer.before(&frame)
        {
            self.concealed += missing.length;
            self.waiting.push_back(Input::Missing(missing));
            // Nothing is missing any more: the decoder goes on from what it made up.
            frame.discontinuity = false;
        }
        self.turns.entered(frame.time, frame.rotation);
        self.waiting.push_back(Input::Frame(buffer(frame)));
        self.fill()
    }

    /// Never blocks. To be called until it answers `None`: taking an output makes room for frames that wait.
    pub fn try_next(&mut self) -> Option<Decoded> {
        if let Err(error) = self.fill() {
            return Some(Decoded::Failed(error));
        }
        if self.progress.take_keyframe_wanted() {
            return Some(Decoded::KeyframeWanted);
        }
        Some(match self.outputs.try_recv().ok()? {
            Output::Failed(error) => Decoded::Failed(error),
            Output::Picture(mut picture) => {
                self.progress.taken();
                picture.rotation = self.turns.of(picture.time);
                Decoded::Picture(picture)
            }
            Output::Sound(sound) => {
                self.progress.taken();
                Decoded::Sound(sound)
            }
        })
    }

    /// Whether all that was pushed has gone through, decoded or given up. Its outputs may still be there
    /// to be taken.
    pub fn caught_up(&self) -> bool {
        self.waiting.is_empty() && self.progress.through() >= self.entered
    }

    /// How much sound was made up for lost packets.
    pub fn concealed(&self) -> Duration {
        self.concealed
    }

    /// Ends it without waiting for what is under way.
    pub fn close(self) {}

    fn fill(&mut self) -> Result<(), DecodeError> {
        while self.entered + self.progress.untaken() < self.progress.through() + UNDER_WAY {
            let Some(input) = self.waiting.pop_front() else { break };
            match input {
                Input::Frame(buffer) => {
                    let refused =
                        |e: gst::FlowError| DecodeError::Refused { codec: self.codec, reason: e.to_string() };
                    self.source.push_buffer(buffer).map_err(refused)?;
                    self.entered += 1;
                }
                // Serialized: it stays between the frames around it. A source that takes none has failed
                // and says so at the next frame.
                Input::Missing(missing) => _ = self.source.send_event(gap(missing)),
            }
        }
        Ok(())
    }
}

impl Drop for TrackDecoder {
    fn drop(&mut self) {
        // Joins the pipeline's thread, which may be in the middle of a frame: not on the caller's time.
        self.pipeline.call_async(|pipeline| {
            if let Err(error) = pipeline.set_state(gst::State::Null) {
                tracing::warn!(%error, "decoder did not end");
            }
        });
    }
}

/// What opusdec takes for a lost packet. An empty buffer would be ignored.
fn gap(missing: Missing) -> gst::Event {
    let length = gst::ClockTime::from_nseconds(missing.length.as_nanos() as u64);
    gst::event::Gap::builder(output::to_clock_time(missing.from)).duration(length).build()
}

fn buffer(frame: EncodedFrame) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(frame.data);
    let writable = buffer.make_mut();
    writable.set_pts(output::to_clock_time(frame.time));
    if frame.discontinuity {
        writable.set_flags(gst::BufferFlags::DISCONT);
    }
    if frame.codec.kind() == TrackKind::Video && !frame.keyframe {
        writable.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    buffer
}
