//! One track's decoder as its owner holds it: what goes in, what comes out, and how much may be under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use gst::prelude::*;
use tokio::sync::Notify;

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

/// Decodes what is pushed, in a thread of its own. Dropping it ends it.
pub struct TrackDecoder {
    codec: Codec,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    waiting: VecDeque<gst::Buffer>,
    /// Frames given to the pipeline so far.
    entered: u64,
    turns: Turns,
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
        let decoder = Self { codec, pipeline, source, waiting, entered: 0, turns, outputs, progress };
        let started = decoder.pipeline.set_state(gst::State::Playing);
        started.map_err(|e| DecodeError::Setup { codec, reason: format!("{name}: {e}") })?;
        Ok(decoder)
    }

    /// Never blocks. Frames must come in decoding order, video beginning with a keyframe. After an error
    /// this decoder is of no more use.
    pub fn push(&mut self, frame: EncodedFrame) -> Result<(), DecodeError> {
        if self.waiting.len() == WAITING {
            return Err(DecodeError::Full { codec: self.codec, waiting: WAITING });
        }
        self.turns.entered(frame.time, frame.rotation);
        self.waiting.push_back(buffer(frame));
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

    /// Ends it without waiting for what is under way.
    pub fn close(self) {}

    fn fill(&mut self) -> Result<(), DecodeError> {
        while self.entered + self.progress.untaken() < self.progress.through() + UNDER_WAY {
            let Some(buffer) = self.waiting.pop_front() else { break };
            let refused =
                |e: gst::FlowError| DecodeError::Refused { codec: self.codec, reason: e.to_string() };
            self.source.push_buffer(buffer).map_err(refused)?;
            self.entered += 1;
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
