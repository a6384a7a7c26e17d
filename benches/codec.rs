//! CPU time of the decoders and of the encoder, in CPU-seconds per second of recording: user and system
//! time of the whole process while it works through moving pictures as fast as it can.
//!
//! `cargo bench --profile dev --bench codec`

use std::sync::Arc;

use bytes::Bytes;
use egressd::decode::{Decoded, TrackDecoder};
use egressd::encode::{EncodeSettings, Encoded, Encoder};
use egressd::media::{Codec, EncodedFrame, MediaTime, Rotation, Size, Streams};
use gst::prelude::*;
use tokio::sync::Notify;

const SECONDS: u32 = 10;
const TRACKS: usize = 9;
/// The encoder's pictures go round after this many: it looks ten ahead.
const PICTURES: u32 = 90;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    gst::init()?;
    for (codec, what) in [
        (
            Codec::Vp8,
            video("640x360", "vp8enc deadline=1 cpu-used=8 target-bitrate=500000 keyframe-max-dist=300"),
        ),
        (
            Codec::H264,
            video(
                "640x360",
                "x264enc tune=zerolatency speed-preset=superfast bitrate=500 \
                ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au",
            ),
        ),
        (
            Codec::Vp9,
            video(
                "640x360",
                "vp9enc deadline=1 cpu-used=8 lag-in-frames=0 target-bitrate=500000 keyframe-max-dist=300",
            ),
        ),
        (
            Codec::H265,
            video(
                "640x360",
                "x265enc tune=zerolatency speed-preset=superfast bitrate=500 \
                ! video/x-h265,stream-format=byte-stream,alignment=au",
            ),
        ),
        (
            Codec::Av1,
            video(
                "640x360",
                "av1enc usage-profile=realtime cpu-used=10 lag-in-frames=0 target-bitrate=500 keyframe-max-dist=300",
            ),
        ),
        (Codec::Opus, voice()),
    ] {
        let frames = clip(codec, &what)?;
        report(&format!("decode {TRACKS} x {codec:?}"), decode(codec, &frames).await?);
    }
    let pictures = pictures()?;
    report("encode 1280x720 and sound", encode(&pictures).await?);
    Ok(())
}

fn report(what: &str, cpu_seconds: f64) {
    println!("{what:28} {:.4} CPU-s per s", cpu_seconds / f64::from(SECONDS));
}

async fn decode(codec: Codec, frames: &[EncodedFrame]) -> anyhow::Result<f64> {
    let wake = Arc::new(Notify::new());
    let start = |n: usize| TrackDecoder::start(codec, &format!("bench-{n}"), Arc::clone(&wake));
    let mut decoders = (0..TRACKS).map(start).collect::<Result<Vec<_>, _>>()?;
    let (before, mut out) = (cpu_seconds()?, 0);
    for frame in frames {
        for decoder in &mut decoders {
            decoder.push(frame.clone())?;
        }
        loop {
            let caught_up = decoders.iter().all(TrackDecoder::caught_up);
            for decoder in &mut decoders {
                while let Some(decoded) = decoder.try_next() {
                    out += usize::from(matches!(decoded, Decoded::Picture(_) | Decoded::Sound(_)));
                }
            }
            if caught_up {
                break;
            }
            wake.notified().await;
        }
    }
    anyhow::ensure!(out == frames.len() * TRACKS, "{out} outputs of {} frames", frames.len());
    Ok(cpu_seconds()? - before)
}

async fn encode(pictures: &[Bytes]) -> anyhow::Result<f64> {
    let wake = Arc::new(Notify::new());
    let size = Size { width: 1280, height: 720 };
    let streams = Streams::Both;
    let settings = EncodeSettings { streams, size, frame_rate: 30, video_kbps: 3000, audio_kbps: 128 };
    let mut encoder = Encoder::start(settings, Arc::clone(&wake))?;
    let sounds: Vec<_> = (0..PICTURES).map(sound).collect();
    let (before, mut tick, mut bytes) = (cpu_seconds()?, 0, 0);
    loop {
        while encoder.ready() && tick < SECONDS * 30 {
            let n = (tick % PICTURES) as usize;
            encoder.push(&pictures[n], &sounds[n])?;
            tick += 1;
            if tick == SECONDS * 30 {
                encoder.finish();
            }
        }
        while let Some(encoded) = encoder.try_next() {
            match encoded {
                Encoded::Setup(_) => {}
                Encoded::Sample(sample) => bytes += sample.data.len(),
                Encoded::Failed(error) => return Err(error.into()),
                Encoded::End => {
                    println!("{:28} {} kbit/s", "encoded", bytes as u32 * 8 / 1000 / SECONDS);
                    return Ok(cpu_seconds()? - before);
                }
            }
        }
        wake.notified().await;
    }
}

/// A voice's worth of harmonics.
fn sound(tick: u32) -> Vec<i16> {
    let at = |n: u32| (1..12).map(|h| (n as f32 * h as f32 * 0.0183).sin() / h as f32).sum::<f32>();
    (tick * 1600..(tick + 1) * 1600).flat_map(|n| [(at(n) * 6000.0) as i16; 2]).collect()
}

fn video(size: &str, encoder: &str) -> String {
    let (width, height) = size.split_once('x').unwrap_or_default();
    format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={} ! \
         video/x-raw,format=I420,width={width},height={height},framerate=30/1 ! {encoder}",
        SECONDS * 30
    )
}

fn voice() -> String {
    format!(
        "audiotestsrc wave=pink-noise samplesperbuffer=960 num-buffers={} ! audio/x-raw,rate=48000,channels=2 ! \
         opusenc bitrate=32000",
        SECONDS * 50
    )
}

fn pictures() -> anyhow::Result<Vec<Bytes>> {
    let what = format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={PICTURES} ! \
         video/x-raw,format=I420,width=1280,height=720,framerate=30/1"
    );
    samples(&what)?.iter().map(bytes).collect()
}

fn clip(codec: Codec, what: &str) -> anyhow::Result<Vec<EncodedFrame>> {
    let step = if codec == Codec::Opus { 20_000_000 } else { 33_333_333 };
    let frame = |(n, sample): (i64, &gst::Sample)| {
        let delta = sample.buffer().is_some_and(|b| b.flags().contains(gst::BufferFlags::DELTA_UNIT));
        let time = MediaTime::from_nanos(n * step);
        Ok(EncodedFrame {
            codec,
            time,
            data: bytes(sample)?,
            keyframe: !delta,
            discontinuity: false,
            rotation: Rotation::Upright,
        })
    };
    (0..).zip(&samples(what)?).map(frame).collect()
}

fn samples(what: &str) -> anyhow::Result<Vec<gst::Sample>> {
    let pipeline = gst::parse::launch(&format!("{what} ! appsink name=out sync=false"))?;
    let bin = pipeline.downcast_ref::<gst::Bin>().ok_or_else(|| anyhow::anyhow!("not a pipeline"))?;
    let sink = bin.by_name("out").and_downcast::<gst_app::AppSink>();
    let sink = sink.ok_or_else(|| anyhow::anyhow!("no sink"))?;
    pipeline.set_state(gst::State::Playing)?;
    let samples = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    pipeline.set_state(gst::State::Null)?;
    Ok(samples)
}

fn bytes(sample: &gst::Sample) -> anyhow::Result<Bytes> {
    let buffer = sample.buffer().ok_or_else(|| anyhow::anyhow!("no buffer"))?;
    Ok(Bytes::copy_from_slice(&buffer.map_readable()?))
}

/// User and system time of all threads so far (proc(5): fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or_else(|| anyhow::anyhow!("not a stat line"))?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}
