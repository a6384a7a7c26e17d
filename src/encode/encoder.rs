//! The encoder that its owner holds, and the callbacks that fill its queue.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

use bytes::Bytes;
use gst::prelude::*;
use tokio::sync::Notify;

use super::error::EncodeError;
use super::pictures::Pictures;
use super::pipeline::{self, Ends, Parts, setup};
use super::setup::{EncoderMessage, Sequencer};
use super::start::{Alignment, StreamStart, values_before};
use super::{EncodeSettings, Encoded};
use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, EncodedSample, StreamKind};

/// How many ticks may wait in front of each encoder: enough that it never idles, and 6 MB at most.
const QUEUED_TICKS: u64 = 4;
/// How many ticks may be pushed before their video sample is taken. Far above the encoder's look-ahead (10):
/// with less, no tick could be pushed that would bring a sample out.
pub(super) const TICKS_IN_FLIGHT_MAX: u64 = 128;
/// PCM samples in one AAC-LC access unit.
const AAC_FRAME: u32 = 1024;
/// How many samples of both streams may wait to be taken. At 24 fps and more, the samples of the ticks under
/// way fit twice (one picture and up to two AAC samples each). At 1 fps, the samples of the ticks that may
/// wait before the encoders fit (47 AAC samples each).
const QUEUED_SAMPLES: usize = 1024;

/// Encodes the pushed ticks in two threads of its own. Dropping it ends the threads.
pub struct Encoder {
    parts: Parts,
    settings: EncodeSettings,
    /// `None` if there are no pictures.
    pictures: Option<Pictures>,
    messages: Receiver<EncoderMessage>,
    sequencer: Sequencer,
    first_tick: u64,
    /// How many ticks were pushed.
    ticks: u64,
    alignment: Alignment,
    /// How many values of sound were pushed.
    values: u64,
    /// How many video samples were returned.
    pictures_out: u64,
    /// How many AAC samples were returned.
    sounds_out: u64,
    /// How many ticks may be under way. Ticks without sound at the beginning are added: no sample comes out
    /// before both streams have one.
    ticks_max: u64,
}

#[derive(Clone)]
struct MessageSender {
    queue: SyncSender<EncoderMessage>,
    wake: Arc<Notify>,
}

impl Encoder {
    /// `wake` is notified whenever there may be an output to take, or room for another tick.
    pub fn start(settings: EncodeSettings, wake: Arc<Notify>) -> Result<Self, EncodeError> {
        Self::start_at(StreamStart::default(), settings, wake)
    }

    /// Starts an encoder whose streams continue those of another encoder.
    pub fn start_at(
        start: StreamStart,
        settings: EncodeSettings,
        wake: Arc<Notify>,
    ) -> Result<Self, EncodeError> {
        let parts = pipeline::build(settings)?;
        let pictures = parts.video.as_ref().map(|_| Pictures::new(settings.size)).transpose()?;
        let (queue, messages) = mpsc::sync_channel(QUEUED_SAMPLES);
        let sender = MessageSender { queue, wake };
        for (ends, stream) in [(&parts.video, StreamKind::Video), (&parts.audio, StreamKind::Audio)] {
            if let Some(Ends { source, sink }) = ends {
                take_samples(sink, stream, sender.clone());
                watch_room(source, &sender.wake);
            }
        }
        watch_errors(&parts.pipeline, sender);
        let ticks_of_pcm = start.pcm * u64::from(settings.frame_rate) / u64::from(AUDIO_RATE);
        // The encoder owns the pipeline from here on: if the start fails, the drop undoes it.
        let encoder = Self {
            parts,
            pictures,
            messages,
            sequencer: Sequencer::new(settings.streams),
            first_tick: start.tick,
            ticks: 0,
            alignment: Alignment::new(start, settings.frame_rate),
            values: 0,
            pictures_out: 0,
            sounds_out: 0,
            ticks_max: TICKS_IN_FLIGHT_MAX + ticks_of_pcm.saturating_sub(start.tick),
            settings,
        };
        encoder.parts.pipeline.set_state(gst::State::Playing).map_err(|e| setup(&e))?;
        Ok(encoder)
    }

    /// Returns whether another tick may be pushed: all ticks but a bounded number must have been encoded and
    /// their samples taken.
    pub fn ready(&self) -> bool {
        let Parts { video, audio, .. } = &self.parts;
        let mut sources = [video, audio].into_iter().flatten().map(|ends| &ends.source);
        self.ticks.saturating_sub(self.ticks_out()) < self.ticks_max
            && sources.all(|source| source.current_level_buffers() < QUEUED_TICKS)
    }

    /// Returns the number of whole ticks whose samples were returned. Without pictures, the sound determines
    /// it.
    fn ticks_out(&self) -> u64 {
        if self.parts.video.is_some() {
            return self.pictures_out;
        }
        let ticks = self.sounds_out * u64::from(AAC_FRAME) * u64::from(self.settings.frame_rate);
        ticks / u64::from(AUDIO_RATE)
    }

    /// Takes one tick: a tightly packed I420 picture, and the stereo sound of its time. A stream that the
    /// recording does not have is ignored. Never blocks. Only to be called when [`Self::ready`] returns
    /// `true`.
    pub fn push(&mut self, canvas: &[u8], sound: &[i16]) -> Result<(), EncodeError> {
        if self.parts.audio.is_some() {
            self.check_length(sound)?;
        }
        // The buffer is made before anything is pushed: a tick goes in whole or not at all.
        if let (Some(Ends { source, .. }), Some(pictures)) = (&self.parts.video, &self.pictures) {
            let picture = pictures.buffer(canvas)?;
            let (from, to) = (self.tick_time(self.ticks), self.tick_time(self.ticks + 1));
            push(source, StreamKind::Video, timed(picture, from, to))?;
        }
        if let Some(Ends { source, .. }) = &self.parts.audio {
            let sound = self.alignment.align(sound);
            if !sound.is_empty() {
                let from = sound_time(self.values);
                self.values += (sound.len() / size_of::<i16>()) as u64;
                let sound = timed(gst::Buffer::from_mut_slice(sound), from, sound_time(self.values));
                push(source, StreamKind::Audio, sound)?;
            }
        }
        self.ticks += 1;
        Ok(())
    }

    /// Ends the input; the remaining samples come out, then [`Encoded::End`].
    pub fn finish(&mut self) {
        for Ends { source, .. } in [&self.parts.video, &self.parts.audio].into_iter().flatten() {
            if let Err(error) = source.end_of_stream() {
                tracing::warn!(%error, "encoder takes no end");
            }
        }
    }

    pub fn try_next(&mut self) -> Option<Encoded> {
        while let Ok(message) = self.messages.try_recv() {
            self.sequencer.take(message);
        }
        let next = self.sequencer.next();
        if let Some(Encoded::Sample(EncodedSample { stream, .. })) = &next {
            match stream {
                StreamKind::Video => self.pictures_out += 1,
                StreamKind::Audio => self.sounds_out += 1,
            }
        }
        next
    }

    pub fn close(self) {}

    /// Returns when the tick begins, in this encoder's own time.
    fn tick_time(&self, tick: u64) -> gst::ClockTime {
        time_of(tick, self.settings.frame_rate)
    }

    fn check_length(&self, sound: &[i16]) -> Result<(), EncodeError> {
        let before = |ticks| values_before(self.first_tick + ticks, self.settings.frame_rate);
        let expected = (before(self.ticks + 1) - before(self.ticks)) as usize;
        if sound.len() == expected {
            return Ok(());
        }
        Err(EncodeError::Shape { stream: StreamKind::Audio, got: sound.len() * 2, expected: expected * 2 })
    }
}

fn sound_time(values: u64) -> gst::ClockTime {
    time_of(values / AUDIO_CHANNELS as u64, AUDIO_RATE)
}

/// Computes seconds and the rest separately: no overflow, no drift.
fn time_of(count: u64, per_second: u32) -> gst::ClockTime {
    let rate = u64::from(per_second);
    gst::ClockTime::from_seconds(count / rate)
        + gst::ClockTime::from_nseconds(count % rate * 1_000_000_000 / rate)
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // This joins the encoder threads, which may be in the middle of a picture. So it must not run in the
        // caller's thread.
        self.parts.pipeline.call_async(|pipeline| {
            if let Err(error) = pipeline.set_state(gst::State::Null) {
                tracing::warn!(%error, "encoder did not end");
            }
        });
    }
}

fn timed(mut buffer: gst::Buffer, from: gst::ClockTime, to: gst::ClockTime) -> gst::Buffer {
    let writable = buffer.make_mut();
    writable.set_pts(from);
    writable.set_duration(to - from);
    buffer
}

fn push(source: &gst_app::AppSrc, stream: StreamKind, buffer: gst::Buffer) -> Result<(), EncodeError> {
    let refused = |e: gst::FlowError| EncodeError::Refused { stream, reason: e.to_string() };
    source.push_buffer(buffer).map(drop).map_err(refused)
}

fn watch_room(source: &gst_app::AppSrc, wake: &Arc<Notify>) {
    if let Some(pad) = source.static_pad("src") {
        let wake = Arc::clone(wake);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            wake.notify_one();
            gst::PadProbeReturn::Ok
        });
    }
}

fn take_samples(sink: &gst_app::AppSink, stream: StreamKind, sender: MessageSender) {
    let at_end = sender.clone();
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let message = message_of(&sample, stream).ok_or(gst::FlowError::Error)?;
            // A lost sample would shift all samples after it, so the encoder fails instead.
            sender.give(message).map_err(|()| gst::FlowError::Error).map(|()| gst::FlowSuccess::Ok)
        })
        .eos(move |_| {
            let _ = at_end.give(EncoderMessage::End(stream));
        });
    sink.set_callbacks(callbacks.build());
}

fn message_of(sample: &gst::Sample, stream: StreamKind) -> Option<EncoderMessage> {
    let buffer = sample.buffer_owned()?;
    let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    let codec_data = sample.caps().and_then(|c| c.structure(0)).and_then(|s| s.get("codec_data").ok());
    let codec_data = codec_data.and_then(bytes_of);
    let sample = EncodedSample { stream, data: bytes_of(buffer)?, keyframe };
    Some(EncoderMessage::Sample { sample, codec_data })
}

fn bytes_of(buffer: gst::Buffer) -> Option<Bytes> {
    let mapped = buffer.into_mapped_buffer_readable().ok()?;
    Some(Bytes::copy_from_slice(&mapped))
}

fn watch_errors(pipeline: &gst::Pipeline, sender: MessageSender) {
    let Some(bus) = pipeline.bus() else { return };
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let element = error.src().map(|s| s.name().to_string()).unwrap_or_default();
            let reason = error.error().to_string();
            let _ = sender.give(EncoderMessage::Failed(EncodeError::Element { element, reason }));
        }
        gst::BusSyncReply::Drop
    });
}

impl MessageSender {
    fn give(&self, message: EncoderMessage) -> Result<(), ()> {
        let given = self.queue.try_send(message).map_err(|_| ());
        self.wake.notify_one();
        given
    }
}
