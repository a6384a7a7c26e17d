//! The pipeline's side of a decoder: the callbacks. They run on GStreamer's threads, so they only count, send
//! to a bounded channel and notify. None of them waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};

use gst::prelude::*;
use tokio::sync::Notify;

use super::error::DecodeError;
use super::output;
use super::pipeline::Parts;
use crate::media::{Codec, Picture, Sound, TrackKind};

/// The owner bounds the frames under way to far less. The rest is for errors, and for an H.264 decoder that
/// returns all the pictures it had held back at once (16 at most, the standard's largest buffer).
const QUEUED_MAX: usize = 64;

pub enum DecoderOutput {
    Picture(Picture),
    Sound(Sound),
    Failed(DecodeError),
}

/// How far the pipeline's thread is. The pipeline has no queue. So when the source takes its next frame, or
/// finds none, the frame before is through, whatever the decoder made of it.
#[derive(Default)]
pub struct Progress {
    entered: AtomicU64,
    through: AtomicU64,
    untaken: AtomicU64,
    keyframe_wanted: AtomicBool,
    /// The frame under way has made a picture.
    seen: AtomicBool,
}

/// What it means if a frame makes no picture.
#[derive(Clone, Copy, PartialEq)]
enum NoPicture {
    /// The frame is not meant to be shown, or the decoder has asked for a keyframe itself.
    Fine,
    /// The frame was broken. avdec_h264 does not ask for a keyframe then, but continues from what it has.
    Broken,
}

/// The end of the queue that the callbacks hold.
#[derive(Clone)]
pub struct OutputSender {
    queue: SyncSender<DecoderOutput>,
    progress: Arc<Progress>,
    wake: Arc<Notify>,
}

/// Makes `parts` report everything to `sender`. Called before the pipeline starts.
pub fn connect(parts: &Parts, codec: Codec, sender: &OutputSender) {
    let no_picture = match codec {
        Codec::H264 | Codec::H265 => NoPicture::Broken,
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Opus => NoPicture::Fine,
    };
    watch_progress(parts, no_picture, sender);
    watch_keyframe_requests(parts, sender);
    watch_errors(&parts.pipeline, sender.clone());
    take_samples(&parts.sink, codec.kind(), sender.clone());
    accept_strides(parts);
}

impl OutputSender {
    pub fn new(wake: Arc<Notify>) -> (Self, Receiver<DecoderOutput>) {
        let (queue, outputs) = mpsc::sync_channel(QUEUED_MAX);
        (Self { queue, progress: Arc::default(), wake }, outputs)
    }

    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn give_media(&self, output: DecoderOutput) {
        // Counted before it is sent, as the owner counts it back when it takes it.
        self.progress.untaken.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(output).is_err() {
            self.progress.untaken.fetch_sub(1, Ordering::AcqRel);
        }
        // No wake-up here: the source soon finds no next frame and wakes the owner once for all outputs.
    }

    fn give_failure(&self, error: DecodeError) {
        // If there is no room, the queue has another failure already.
        let _ = self.queue.try_send(DecoderOutput::Failed(error));
        self.wake.notify_one();
    }
}

impl Progress {
    /// Notes that every frame that entered is through. The pipeline's thread calls this between two frames.
    fn settle(&self, no_picture: NoPicture) {
        let entered = self.entered.load(Ordering::Relaxed);
        if entered == self.through.load(Ordering::Relaxed) {
            return;
        }
        if !self.seen.swap(false, Ordering::Relaxed) && no_picture == NoPicture::Broken {
            self.keyframe_wanted.store(true, Ordering::Release);
        }
        self.through.store(entered, Ordering::Release);
    }

    /// Returns how many frames have gone through. Their outputs can be taken.
    pub fn through(&self) -> u64 {
        self.through.load(Ordering::Acquire)
    }

    pub fn untaken(&self) -> u64 {
        self.untaken.load(Ordering::Acquire)
    }

    /// Notes that one output was taken.
    pub fn taken(&self) {
        self.untaken.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns whether a keyframe is wanted, and resets this. A decoder asks again for each frame that it
    /// cannot use; one request is enough until the owner has seen it.
    pub fn take_keyframe_wanted(&self) -> bool {
        self.keyframe_wanted.swap(false, Ordering::AcqRel)
    }
}

fn watch_progress(parts: &Parts, no_picture: NoPicture, sender: &OutputSender) {
    let entering = Arc::clone(&sender.progress);
    parts.source_pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        entering.settle(no_picture);
        entering.entered.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    let (idle, wake) = (Arc::clone(&sender.progress), Arc::clone(&sender.wake));
    let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| {
        idle.settle(no_picture);
        wake.notify_one();
    });
    parts.source.set_callbacks(callbacks.build());
}

fn watch_keyframe_requests(parts: &Parts, sender: &OutputSender) {
    let (progress, wake) = (Arc::clone(&sender.progress), Arc::clone(&sender.wake));
    parts.source_pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if info.event().is_some_and(|e| gst_video::UpstreamForceKeyUnitEvent::parse(e).is_ok()) {
            progress.keyframe_wanted.store(true, Ordering::Release);
            wake.notify_one();
        }
        gst::PadProbeReturn::Ok
    });
}

fn watch_errors(pipeline: &gst::Pipeline, sender: OutputSender) {
    let Some(bus) = pipeline.bus() else { return };
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let element = error.src().map(|s| s.name().to_string()).unwrap_or_default();
            sender.give_failure(DecodeError::Element { element, reason: error.error().to_string() });
        }
        gst::BusSyncReply::Drop
    });
}

fn take_samples(sink: &gst_app::AppSink, kind: TrackKind, sender: OutputSender) {
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        sender.progress.seen.store(true, Ordering::Relaxed);
        let output = match kind {
            TrackKind::Video => output::picture(&sample).map(DecoderOutput::Picture),
            TrackKind::Audio => output::sound(&sample).map(DecoderOutput::Sound),
        };
        if let Some(output) = output {
            sender.give_media(output);
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}

/// Tells the decoder that its own strides are accepted. Otherwise it copies every picture without padding.
fn accept_strides(parts: &Parts) {
    parts.sink_pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}
