//! One track's decoder, as its owner uses it: its input, its output, and the limits between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use gst::prelude::*;
use tokio::sync::Notify;

use super::conceal::{Concealer, Missing};
use super::error::DecodeError;
use super::output_sender::{self, DecoderOutput, OutputSender, Progress};
use super::rotations::Rotations;
use super::{Decoded, output, pipeline};
use crate::media::{Codec, EncodedFrame, TrackKind};

/// The most frames in the pipeline plus outputs that were not taken yet. Decoded pictures are megabytes and
/// encoded ones kilobytes, so frames that are pushed faster than outputs are taken wait encoded. With fewer
/// under way, the decoder would idle between two rotations of the owner's loop.
const IN_FLIGHT_MAX: u64 = 8;
/// How many frames may wait encoded: 20 s of a 60 fps track. An owner that pushes more takes no outputs any
/// more.
const WAITING_MAX: usize = 1200;

/// The inputs of the pipeline, in order.
enum Input {
    Frame(gst::Buffer),
    Missing(Missing),
}

/// Decodes the pushed frames in a thread of its own. Dropping it ends the thread.
pub struct TrackDecoder {
    codec: Codec,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    waiting: VecDeque<Input>,
    /// How many frames the pipeline got so far.
    entered: u64,
    rotations: Rotations,
    concealer: Concealer,
    concealed: Duration,
    outputs: Receiver<DecoderOutput>,
    progress: Arc<Progress>,
}

impl TrackDecoder {
    /// `wake` is notified when all pushed frames are through, or when frames wait until outputs are taken.
    /// `name` appears in errors and in GStreamer's own log.
    pub fn start(codec: Codec, name: &str, wake: Arc<Notify>) -> Result<Self, DecodeError> {
        let parts = pipeline::build(codec, name)?;
        let (sender, outputs) = OutputSender::new(wake);
        let progress = Arc::clone(sender.progress());
        output_sender::connect(&parts, codec, &sender);
        let pipeline::Parts { pipeline, source, .. } = parts;
        // The decoder owns the pipeline from here on: if the start fails, the drop undoes it.
        let (waiting, rotations) = (VecDeque::new(), Rotations::default());
        let (concealer, concealed) = (Concealer::default(), Duration::ZERO);
        let decoder = Self {
            codec,
            pipeline,
            source,
            waiting,
            entered: 0,
            rotations,
            concealer,
            concealed,
            outputs,
            progress,
        };
        let started = decoder.pipeline.set_state(gst::State::Playing);
        started.map_err(|e| DecodeError::Setup { codec, reason: format!("{name}: {e}") })?;
        Ok(decoder)
    }

    /// Takes a frame; never blocks. Frames must come in decoding order, video beginning with a keyframe.
    /// After an error this decoder cannot be used any more.
    pub fn push(&mut self, mut frame: EncodedFrame) -> Result<(), DecodeError> {
        if self.waiting.len() == WAITING_MAX {
            return Err(DecodeError::Full { codec: self.codec, waiting: WAITING_MAX });
        }
        if frame.codec == Codec::Opus
            && let Some(missing) = self.concealer.before(&frame)
        {
            self.concealed += missing.length;
            self.waiting.push_back(Input::Missing(missing));
            // Nothing is missing any more: the decoder continues from the concealed sound.
            frame.discontinuity = false;
        }
        self.rotations.entered(frame.time, frame.rotation);
        self.waiting.push_back(Input::Frame(buffer(frame)));
        self.fill()
    }

    /// Returns the next output; never blocks. The owner calls this until it returns `None`: taking an output
    /// makes room for frames that wait.
    pub fn try_next(&mut self) -> Option<Decoded> {
        if let Err(error) = self.fill() {
            return Some(Decoded::Failed(error));
        }
        if self.progress.take_keyframe_wanted() {
            return Some(Decoded::KeyframeWanted);
        }
        Some(match self.outputs.try_recv().ok()? {
            DecoderOutput::Failed(error) => Decoded::Failed(error),
            DecoderOutput::Picture(mut picture) => {
                self.progress.taken();
                picture.rotation = self.rotations.of(picture.time);
                Decoded::Picture(picture)
            }
            DecoderOutput::Sound(sound) => {
                self.progress.taken();
                Decoded::Sound(sound)
            }
        })
    }

    /// Returns whether all pushed frames have gone through, decoded or given up. There may still be outputs
    /// to take.
    pub fn caught_up(&self) -> bool {
        self.waiting.is_empty() && self.progress.through() >= self.entered
    }

    /// Returns how much sound was concealed.
    pub fn concealed(&self) -> Duration {
        self.concealed
    }

    /// Ends the decoder without waiting for frames under way.
    pub fn close(self) {}

    fn fill(&mut self) -> Result<(), DecodeError> {
        while self.entered + self.progress.untaken() < self.progress.through() + IN_FLIGHT_MAX {
            let Some(input) = self.waiting.pop_front() else { break };
            match input {
                Input::Frame(buffer) => {
                    let refused =
                        |e: gst::FlowError| DecodeError::Refused { codec: self.codec, reason: e.to_string() };
                    self.source.push_buffer(buffer).map_err(refused)?;
                    self.entered += 1;
                }
                // The event is serialized: it stays between the frames around it. A source that refuses it
                // has failed and returns the error at the next frame.
                Input::Missing(missing) => _ = self.source.send_event(gap(missing)),
            }
        }
        Ok(())
    }
}

impl Drop for TrackDecoder {
    fn drop(&mut self) {
        // This joins the pipeline's thread, which may be in the middle of a frame. So it must not run in the
        // caller's thread.
        self.pipeline.call_async(|pipeline| {
            if let Err(error) = pipeline.set_state(gst::State::Null) {
                tracing::warn!(%error, "decoder did not end");
            }
        });
    }
}

/// Returns the event that opusdec takes for a lost packet. It would ignore an empty buffer.
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
