//! One track's decoder: the handle, and the callbacks that fill its queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};

use gst::prelude::*;
use tokio::sync::Notify;

use super::error::DecodeError;
use super::{Decoded, output, pipeline};
use crate::media::{Codec, EncodedFrame, TrackKind};

/// Outputs that may wait to be taken: they are taken at every tick, and one tick has a few. What does
/// not fit is dropped, as a callback must not wait.
const QUEUED_OUTPUTS: usize = 128;

/// Decodes what is pushed, in a thread of its own. Dropping it ends it.
pub struct TrackDecoder {
    codec: Codec,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    outputs: Receiver<Decoded>,
    pushed: u64,
    progress: Arc<Progress>,
}

/// How far the pipeline's thread is. There is no queue in the pipeline, so when the source takes the next
/// frame, or finds none, the one before is through, whatever the decoder made of it.
#[derive(Default)]
struct Progress {
    entered: AtomicU64,
    done: AtomicU64,
}

/// The callbacks' end.
#[derive(Clone)]
struct Outlet {
    queue: SyncSender<Decoded>,
    wake: Arc<Notify>,
}

impl TrackDecoder {
    /// `wake` is notified whenever there may be something to take. `name` shows up in logs.
    pub fn start(codec: Codec, name: &str, wake: Arc<Notify>) -> Result<Self, DecodeError> {
        let parts = pipeline::build(codec)?;
        let (queue, outputs) = mpsc::sync_channel(QUEUED_OUTPUTS);
        let outlet = Outlet { queue, wake };
        let progress = Arc::new(Progress::default());
        watch_progress(&parts.source, &progress, &outlet);
        watch_keyframe_requests(&parts.source, &outlet);
        watch_errors(&parts.pipeline, &outlet);
        take_samples(&parts.sink, codec.kind(), outlet);
        accept_strides(&parts.sink);
        parts.pipeline.set_state(gst::State::Playing).map_err(|e| {
            let _ = parts.pipeline.set_state(gst::State::Null);
            DecodeError::Setup { codec, reason: format!("{name}: {e}") }
        })?;
        let (pipeline, source) = (parts.pipeline, parts.source);
        Ok(Self { codec, pipeline, source, outputs, pushed: 0, progress })
    }

    /// Never blocks. Frames must come in decoding order, video beginning with a keyframe.
    pub fn push(&mut self, frame: EncodedFrame) -> Result<(), DecodeError> {
        let mut buffer = gst::Buffer::from_slice(frame.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(output::to_clock_time(frame.time));
            if frame.discontinuity {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
            if frame.codec.kind() == TrackKind::Video && !frame.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.pushed += 1;
        let refused = |e: gst::FlowError| DecodeError::Refused { codec: self.codec, reason: e.to_string() };
        self.source.push_buffer(buffer).map(drop).map_err(refused)
    }

    pub fn try_next(&mut self) -> Option<Decoded> {
        self.outputs.try_recv().ok()
    }

    /// Whether all that was pushed has gone through, decoded or given up.
    pub fn caught_up(&self) -> bool {
        self.progress.done.load(Ordering::Acquire) >= self.pushed
    }

    pub fn close(self) {}
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

impl Outlet {
    fn give(&self, decoded: Decoded) {
        let _ = self.queue.try_send(decoded);
        self.wake.notify_one();
    }
}

fn watch_progress(source: &gst_app::AppSrc, progress: &Arc<Progress>, outlet: &Outlet) {
    let (entering, wake) = (Arc::clone(progress), Arc::clone(&outlet.wake));
    if let Some(pad) = source.static_pad("src") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let before = entering.entered.fetch_add(1, Ordering::Relaxed);
            entering.done.store(before, Ordering::Release);
            gst::PadProbeReturn::Ok
        });
    }
    let idle = Arc::clone(progress);
    let callbacks = gst_app::AppSrcCallbacks::builder().need_data(move |_, _| {
        idle.done.store(idle.entered.load(Ordering::Relaxed), Ordering::Release);
        wake.notify_one();
    });
    source.set_callbacks(callbacks.build());
}

fn watch_keyframe_requests(source: &gst_app::AppSrc, outlet: &Outlet) {
    let Some(pad) = source.static_pad("src") else { return };
    let outlet = outlet.clone();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if info.event().is_some_and(|e| gst_video::UpstreamForceKeyUnitEvent::parse(e).is_ok()) {
            outlet.give(Decoded::KeyframeWanted);
        }
        gst::PadProbeReturn::Ok
    });
}

fn watch_errors(pipeline: &gst::Pipeline, outlet: &Outlet) {
    let Some(bus) = pipeline.bus() else { return };
    let outlet = outlet.clone();
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let element = error.src().map(|s| s.name().to_string()).unwrap_or_default();
            outlet.give(Decoded::Failed(DecodeError::Element { element, reason: error.error().to_string() }));
        }
        gst::BusSyncReply::Drop
    });
}

fn take_samples(sink: &gst_app::AppSink, kind: TrackKind, outlet: Outlet) {
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let decoded = match kind {
            TrackKind::Video => output::picture(&sample).map(Decoded::Picture),
            TrackKind::Audio => output::sound(&sample).map(Decoded::Sound),
        };
        if let Some(decoded) = decoded {
            outlet.give(decoded);
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
}

/// Tells the decoder that its own strides are welcome, or it copies every picture into tight ones.
fn accept_strides(sink: &gst_app::AppSink) {
    let Some(pad) = sink.static_pad("sink") else { return };
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}
