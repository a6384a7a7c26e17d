//! CPU time of the composer alone: pictures of a fixed source, 30 a second for each track, and a
//! voice for each. Prints CPU-seconds per second of recording; the machine may be busy meanwhile,
//! as only this thread's own time is counted.
//!
//! `cargo bench --profile dev --bench compose`

use std::sync::Arc;
use std::time::Duration;

use egressd::compose::{ComposeOptions, Composer, VideoTrack};
use egressd::ids::TrackSid;
use egressd::media::{
    Decorations, I420, MediaTime, Picture, Plane, Rotation, Size, Sound, Streams, VideoSource, View,
};

/// Length of a run. The kernel counts CPU time in steps of up to 4 ms.
const SECONDS: u64 = 4;
/// The least disturbed of so many runs counts: neighbours on the machine take away its caches.
const RUNS: usize = 5;
const FRAME_RATE: u32 = 30;
/// Different pictures of each track, so that no picture is found in a processor's cache.
const PICTURES: usize = 8;

struct Image {
    size: Size,
    bytes: Vec<u8>,
}

struct Case {
    tracks: usize,
    size: Size,
    rotation: Rotation,
    names: bool,
}

impl I420 for Image {
    fn size(&self) -> Size {
        self.size
    }

    fn planes(&self) -> [Plane<'_>; 3] {
        let (width, luma) = (self.size.width as usize, self.bytes.len() / 3 * 2);
        let (y, chroma) = self.bytes.split_at(luma);
        let (u, v) = chroma.split_at(luma / 4);
        [(y, width), (u, width / 2), (v, width / 2)].map(|(data, stride)| Plane { data, stride })
    }
}

fn main() {
    println!("tracks  picture                   CPU-s per s   us per picture");
    for (width, height) in [(320, 180), (640, 360), (1280, 720)] {
        for tracks in [1, 4, 9, 16, 25] {
            let size = Size { width, height };
            report(&Case { tracks, size, rotation: Rotation::Upright, names: false });
        }
    }
    let size = Size { width: 640, height: 360 };
    for rotation in [Rotation::By90, Rotation::By180, Rotation::By270] {
        report(&Case { tracks: 9, size, rotation, names: false });
    }
    report(&Case { tracks: 9, size, rotation: Rotation::Upright, names: true });
}

fn report(case: &Case) {
    let runs = (0..RUNS).map(|_| cpu_time_of(case));
    let least = runs.min().unwrap_or_default();
    let cost = least.as_secs_f64() / SECONDS as f64;
    let extras = match (case.rotation, case.names) {
        (Rotation::Upright, false) => String::new(),
        (Rotation::Upright, true) => "names".to_owned(),
        (rotation, _) => format!("{rotation:?}"),
    };
    println!(
        "{:6}  {:4}x{:<4} {:12}   {:11.4}   {:14.0}",
        case.tracks,
        case.size.width,
        case.size.height,
        extras,
        cost,
        cost / (case.tracks as f64 * f64::from(FRAME_RATE)) * 1e6,
    );
}

fn cpu_time_of(case: &Case) -> Duration {
    let mut composer = Composer::new(ComposeOptions {
        streams: Streams::Both,
        size: Size { width: 1280, height: 720 },
        frame_rate: FRAME_RATE,
        view: View::default(),
        decorations: Decorations { names: case.names, ..Decorations::default() },
    })
    .expect("these options are valid");
    let tracks: Vec<_> = (0..case.tracks).map(|track| TrackSid(format!("TR_{track}"))).collect();
    for (order, sid) in tracks.iter().enumerate() {
        composer.add_audio(sid.clone());
        composer.add_video(
            VideoTrack {
                sid: sid.clone(),
                publisher: format!("Participant {order}"),
                source: VideoSource::Camera,
                order: order as u64,
            },
            MediaTime::ZERO,
        );
    }
    let images: Vec<_> = (0..case.tracks * PICTURES).map(|seed| noise(case.size, seed as u32)).collect();
    let block: Vec<i16> = (0..3200).map(|i| (i * 37 % 2000) as i16).collect();

    let start = thread_cpu_time();
    for tick in 0..SECONDS * u64::from(FRAME_RATE) {
        let time = composer.next_tick_time();
        for (track, sid) in tracks.iter().enumerate() {
            let image = Arc::clone(&images[track * PICTURES + tick as usize % PICTURES]);
            composer.picture(sid, Picture { time, rotation: case.rotation, image });
            let samples = block.clone();
            composer.sound(sid, &Sound { time, samples });
        }
        std::hint::black_box(composer.tick().canvas[0]);
    }
    thread_cpu_time() - start
}

fn noise(size: Size, seed: u32) -> Arc<dyn I420> {
    let mut state = seed + 1;
    let bytes = (0..size.width * size.height / 2 * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let bytes = bytes.collect();
    Arc::new(Image { size, bytes })
}

/// User and system time of this thread so far.
fn thread_cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let on_cpu = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(on_cpu.expect("Linux tells a thread's CPU time"))
}
