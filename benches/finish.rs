//! Spools of any size without hours of recording: two seconds of a real one, again and again. Says what it takes to find
//! the end of such a spool, to read its index and to make the head of the finished file.
//!
//! `cargo bench --profile dev --bench finish -- --gib 10 --spool /tmp/big.mp4`, and with `--object /tmp/object.mp4` the
//! finished file too. `--hours 24` makes an index as long as that, without a file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use egressd::encode::{EncodeSettings, Encoded, Encoder};
use egressd::media::{EncodedSample, Size, StreamKind, Streams};
use egressd::mp4::{AAC_FRAME, FragmentWriter, Index, MovieConfig, SpoolRange, SpoolReader, scan};
use tokio::sync::Notify;

const SIZE: Size = Size { width: 1280, height: 720 };
const FRAME_RATE: u32 = 30;
/// A group of pictures: each round begins with a keyframe.
const TICKS: u32 = 60;
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Parser)]
struct Args {
    /// Makes a spool of so many GiB.
    #[arg(long, default_value_t = 1.0)]
    gib: f64,
    /// Where the spool goes and stays; without it, to a temporary file.
    #[arg(long)]
    spool: Option<PathBuf>,
    /// Where the finished file goes.
    #[arg(long, requires = "spool")]
    object: Option<PathBuf>,
    /// Makes only the index of a recording of so many hours.
    #[arg(long)]
    hours: Option<u32>,
    /// `cargo bench` says so.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The two seconds.
struct Round {
    config: MovieConfig,
    video: Vec<EncodedSample>,
    audio: Vec<EncodedSample>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let round = Round::encode().await?;
    let Some(hours) = args.hours else {
        let temporary = tempfile::Builder::new().suffix(".mp4").tempfile()?;
        let spool = args.spool.as_deref().unwrap_or(temporary.path());
        make(&round, spool, (args.gib * f64::from(1 << 30)) as u64)?;
        return measure(spool, args.object.as_deref());
    };
    let mut reader = SpoolReader::new();
    round.write(&mut |piece: &[u8]| Ok(reader.feed(piece).map(drop)?), |ticks, _| {
        ticks >= u64::from(hours) * 3600 * u64::from(FRAME_RATE)
    })?;
    head(&reader.finish()?);
    Ok(())
}

impl Round {
    async fn encode() -> anyhow::Result<Self> {
        let wake = Arc::new(Notify::new());
        let (streams, frame_rate) = (Streams::Both, FRAME_RATE);
        let settings = EncodeSettings { streams, size: SIZE, frame_rate, video_kbps: 3000, audio_kbps: 128 };
        let mut encoder = Encoder::start(settings, Arc::clone(&wake))?;
        let (mut setup, mut video, mut audio) = (None, Vec::new(), Vec::new());
        let mut tick = 0;
        loop {
            while tick < TICKS && encoder.ready() {
                encoder.push(&picture(tick), &sound(tick))?;
                tick += 1;
                if tick == TICKS {
                    encoder.finish();
                }
            }
            match encoder.try_next() {
                None => wake.notified().await,
                Some(Encoded::Setup(told)) => setup = Some(told),
                Some(Encoded::Sample(sample)) if sample.stream == StreamKind::Video => video.push(sample),
                Some(Encoded::Sample(sample)) => audio.push(sample),
                Some(Encoded::Failed(error)) => return Err(error.into()),
                Some(Encoded::End) => break,
            }
        }
        let setup = setup.context("no setup")?;
        let config = MovieConfig::new(SIZE, FRAME_RATE, setup);
        Ok(Self { config, video, audio })
    }

    /// Gives the pieces of a spool to `out`, until `enough` says so of its ticks and bytes.
    fn write(
        &self,
        out: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
        enough: impl Fn(u64, u64) -> bool,
    ) -> anyhow::Result<()> {
        let (mut writer, head) = FragmentWriter::new(self.config.clone());
        out(&head)?;
        let mut bytes = head.len() as u64;
        let mut sounds = self.audio.iter().cycle();
        let (mut ticks, mut pcm) = (0, 0);
        for picture in self.video.iter().cycle() {
            if enough(ticks, bytes) {
                break;
            }
            ticks += 1;
            let mut pieces: Vec<_> = writer.push(picture.clone()).into_iter().collect();
            while pcm < ticks * 48_000 / u64::from(FRAME_RATE) {
                pieces.extend(writer.push(sounds.next().context("no sound")?.clone()));
                pcm += u64::from(AAC_FRAME);
            }
            for piece in pieces {
                bytes += piece.len() as u64;
                out(&piece)?;
            }
        }
        writer.finish().map_or(Ok(()), |piece| out(&piece))
    }
}

fn make(round: &Round, path: &Path, len: u64) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut file = BufWriter::with_capacity(CHUNK_BYTES, File::create(path)?);
    round.write(&mut |piece: &[u8]| Ok(file.write_all(piece)?), |_, bytes| bytes >= len)?;
    file.into_inner()?.sync_data()?;
    told(&format!("spool of {} bytes written", std::fs::metadata(path)?.len()), begin.elapsed());
    Ok(())
}

fn measure(spool: &Path, object: Option<&Path>) -> anyhow::Result<()> {
    let file = File::open(spool)?;
    let len = file.metadata()?.len();
    let begin = Instant::now();
    let scanned = scan(len, |at, buffer| file.read_at(buffer, at))?;
    told("end found", begin.elapsed());
    println!("{:?}", scanned.position);
    ensure!(scanned.position.bytes == len && scanned.fault.is_none(), "the spool is not whole");

    let begin = Instant::now();
    let (index, ranges) = index(&file)?;
    told("index read, without the media", begin.elapsed());
    let head = head(&index);
    if let Some(object) = object {
        let begin = Instant::now();
        let mut out = BufWriter::with_capacity(CHUNK_BYTES, File::create(object)?);
        out.write_all(&head)?;
        let mut spool = BufReader::with_capacity(CHUNK_BYTES, file);
        for SpoolRange { offset, len } in ranges {
            spool.seek(SeekFrom::Start(offset))?;
            std::io::copy(&mut spool.by_ref().take(len), &mut out)?;
        }
        out.flush()?;
        told("object written", begin.elapsed());
    }
    Ok(())
}

fn index(file: &File) -> anyhow::Result<(Index, Vec<SpoolRange>)> {
    let len = file.metadata()?.len();
    let (mut reader, mut ranges, mut buffer) = (SpoolReader::new(), Vec::new(), [0; 4096]);
    loop {
        let read = file.read_at(&mut buffer, reader.needs())?;
        ranges.extend(reader.feed(&buffer[..read])?);
        ranges.extend(reader.skip(len.saturating_sub(reader.needs()))?);
        if read == 0 {
            return Ok((reader.finish()?, ranges));
        }
    }
}

fn head(index: &Index) -> Vec<u8> {
    let before = peak_memory_mb();
    let begin = Instant::now();
    let head = index.head();
    let hours = index.duration().as_secs_f64() / 3600.0;
    told(&format!("head of {} bytes for {hours:.2} h", head.len()), begin.elapsed());
    println!("{before} MB at most before it, {} MB with it", peak_memory_mb());
    head
}

fn told(what: &str, took: Duration) {
    println!("{what}: {:.3} s", took.as_secs_f64());
}

fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

/// Grey that grows lighter from tick to tick, and as much grain as the bit rate can carry.
fn picture(tick: u32) -> Vec<u8> {
    let (luma, mut random) = ((SIZE.width * SIZE.height) as usize, tick.wrapping_mul(2_654_435_761) | 1);
    let mut bytes = vec![128; luma * 3 / 2];
    for pixel in &mut bytes[..luma] {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        *pixel = 40 + tick as u8 * 2 + (random % 32) as u8;
    }
    bytes
}

fn sound(tick: u32) -> Vec<i16> {
    let value = |n: u32| ((f64::from(n) * 440.0 * std::f64::consts::TAU / 48_000.0).sin() * 8000.0) as i16;
    (tick * 1600..(tick + 1) * 1600).flat_map(|n| [value(n); 2]).collect()
}
