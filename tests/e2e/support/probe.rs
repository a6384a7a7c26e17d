//! What a finished file is, asked of FFmpeg, mp4box.js and NumPy. Answers only; the tests judge.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::grid::{HEIGHT, WIDTH};
use super::tools;

/// A recording on disk.
pub struct Recording {
    file: PathBuf,
}

/// A flash that is seen in a recording, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Flash {
    pub at: f64,
    /// How much later its beep is heard; `None` if it is not.
    pub beep_after: Option<f64>,
}

/// What became of the published pictures in one tile.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    pub shown: u64,
    /// Between two that were shown.
    pub missed: u64,
    /// An older one after a newer one.
    pub back: u64,
}

/// One frame as RGB.
pub struct Frame {
    pixels: Vec<u8>,
    /// How much smaller than the canvas it is, in each direction.
    shrunk: u32,
}

impl Recording {
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    pub fn path(&self) -> &Path {
        &self.file
    }

    /// ffprobe's description of the only stream of a kind (`v` or `a`).
    pub fn stream(&self, kind: &str) -> Value {
        let probe = self.ffprobe(&["-select_streams", kind, "-show_streams"]);
        let streams = probe["streams"].as_array().expect("ffprobe lists streams");
        assert_eq!(streams.len(), 1, "one stream of kind {kind} in {}", self.file.display());
        streams[0].clone()
    }

    /// The seconds that a stream lasts, by its own duration.
    pub fn duration(&self, kind: &str) -> f64 {
        let stream = self.stream(kind);
        stream["duration"].as_str().and_then(|text| text.parse().ok()).expect("a stream has a duration")
    }

    /// Presentation times of all video frames that can be decoded, in order, in seconds.
    pub fn frame_times(&self) -> Vec<f64> {
        let probe = self.ffprobe(&["-select_streams", "v", "-show_entries", "frame=pts_time"]);
        let frames = probe["frames"].as_array().expect("ffprobe lists frames");
        frames
            .iter()
            .map(|frame| frame["pts_time"].as_str().and_then(|t| t.parse().ok()).expect("a frame has a time"))
            .collect()
    }

    /// What FFmpeg complains about when it decodes the whole file; empty for a sound one.
    pub fn complaints(&self) -> String {
        let done = Command::new("ffmpeg")
            .args(["-v", "warning", "-nostdin", "-xerror", "-i"])
            .arg(&self.file)
            .args(["-f", "null", "-"])
            .output()
            .expect("ffmpeg can be started");
        String::from_utf8_lossy(&done.stderr).into_owned()
    }

    /// The frame that is shown at `seconds`.
    pub fn frame_at(&self, seconds: f64) -> Frame {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-nostdin", "-ss", &format!("{seconds:.3}"), "-i"])
            .arg(&self.file)
            .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let pixels = tools::output(&mut command);
        assert_eq!(
            pixels.len(),
            (WIDTH * HEIGHT * 3) as usize,
            "a whole frame at {seconds} s of {}",
            self.file.display()
        );
        Frame { pixels, shrunk: 1 }
    }

    /// Every `step`th frame, shrunk to an eighth, from one pass over the file.
    pub fn thumbnails(&self, step: u32) -> Vec<Frame> {
        let size = (WIDTH / Frame::SHRUNK, HEIGHT / Frame::SHRUNK);
        let filter = format!("select=not(mod(n\\,{step})),scale={}:{}:flags=area", size.0, size.1);
        let mut command = Command::new("ffmpeg");
        command
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(&self.file)
            .args(["-vf", &filter, "-fps_mode", "passthrough"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let pixels = tools::output(&mut command);
        let frames = pixels.chunks_exact((size.0 * size.1 * 3) as usize);
        frames.map(|pixels| Frame { pixels: pixels.to_owned(), shrunk: Frame::SHRUNK }).collect()
    }

    /// The mean colour around a point in every frame.
    pub fn colours(&self, (x, y): (u32, u32)) -> Vec<[u8; 3]> {
        let (side, half) = (Frame::HALF * 2, Frame::HALF);
        let square = format!("crop={side}:{side}:{}:{},scale=1:1:flags=area", x - half, y - half);
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-i"]).arg(&self.file).args([
            "-vf",
            &square,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ]);
        tools::output(&mut command).chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect()
    }

    /// The box structure by mp4box.js (tests/js/boxes.mjs says what is in it).
    pub fn boxes(&self) -> Value {
        tools::json(tools::node("boxes.mjs").arg(&self.file))
    }

    /// How far each tone stands out of the spectrum, in dB.
    pub fn tones(&self, hertz: &[u32]) -> Vec<f64> {
        let mut command = tools::python("measure.py");
        let levels = tools::json(command.arg("tones").arg(&self.file).args(hertz.iter().map(u32::to_string)));
        hertz.iter().map(|tone| levels[tone.to_string()].as_f64().expect("a level for each tone")).collect()
    }

    /// How loud each tone is in the left and in the right channel between two times, full scale being 1.
    pub fn stereo(&self, (from, to): (f64, f64), hertz: &[u32]) -> [Vec<f64>; 2] {
        let mut command = tools::python("measure.py");
        command.arg("stereo").arg(&self.file).args([from.to_string(), to.to_string()]);
        let channels = tools::json(command.args(hertz.iter().map(u32::to_string)));
        [0, 1].map(|channel| {
            let level = |tone: &u32| channels[channel][tone.to_string()].as_f64().expect("a level");
            hertz.iter().map(level).collect()
        })
    }

    /// The largest sample between two times, full scale being 1.
    pub fn peak(&self, (from, to): (f64, f64)) -> f64 {
        let mut command = tools::python("measure.py");
        command.arg("silence").arg(&self.file).args([from.to_string(), to.to_string()]);
        tools::json(&mut command)["peak"].as_f64().expect("a level")
    }

    /// Beep minus flash in seconds, for each flash of the file; `None` for a flash without a beep.
    pub fn beeps_after_flashes(&self) -> Vec<Option<f64>> {
        self.flashes().into_iter().map(|flash| flash.beep_after).collect()
    }

    /// Each flash of the file, in order.
    pub fn flashes(&self) -> Vec<Flash> {
        let measured = tools::json(tools::python("measure.py").arg("flashes").arg(&self.file));
        let list = |name: &str| measured[name].as_array().cloned().unwrap_or_default();
        let pairs = list("times").into_iter().zip(list("offsets"));
        pairs
            .map(|(at, beep_after)| Flash {
                at: at.as_f64().expect("a flash has a time"),
                beep_after: beep_after.as_f64(),
            })
            .collect()
    }

    /// How the test picture's bar went on in each of `tiles`, from one time until another in seconds.
    pub fn bars(&self, (from, to): (f64, f64), tiles: &[(u32, u32, u32, u32)]) -> Vec<Motion> {
        let mut command = tools::python("measure.py");
        command.arg("bars").arg(&self.file).args([from.to_string(), to.to_string()]);
        command.args(tiles.iter().map(|(x, y, width, height)| format!("{x},{y},{width},{height}")));
        let measured = tools::json(&mut command);
        let count = |motion: &Value, what: &str| motion[what].as_u64().expect("a count");
        let motion = |motion: &Value| Motion {
            shown: count(motion, "shown"),
            missed: count(motion, "missed"),
            back: count(motion, "back"),
        };
        measured.as_array().expect("a list of tiles").iter().map(motion).collect()
    }

    fn ffprobe(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new("ffprobe");
        tools::json(command.args(["-v", "error", "-of", "json"]).args(arguments).arg(&self.file))
    }
}

impl Frame {
    /// Half the side of the square that [`Frame::colour`] averages: large enough to level out coding noise.
    const HALF: u32 = 8;
    const SHRUNK: u32 = 8;

    /// What FFmpeg makes of a JPEG, which must be as large as the canvas.
    pub fn of_jpeg(file: &Path) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-xerror", "-f", "jpeg_pipe", "-i"]).arg(file);
        let pixels = tools::output(command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]));
        assert_eq!(pixels.len(), (WIDTH * HEIGHT * 3) as usize, "a whole frame in {}", file.display());
        Self { pixels, shrunk: 1 }
    }

    /// The mean colour around a point of the canvas.
    pub fn colour(&self, (x, y): (u32, u32)) -> [u8; 3] {
        let [x, y, half, width] = [x, y, Self::HALF, WIDTH].map(|length| length / self.shrunk);
        let mut sums = [0_u32; 3];
        for row in y - half..y + half {
            for column in x - half..x + half {
                let at = ((row * width + column) * 3) as usize;
                for (sum, value) in sums.iter_mut().zip(&self.pixels[at..at + 3]) {
                    *sum += u32::from(*value);
                }
            }
        }
        let count = 4 * half * half;
        sums.map(|sum| u8::try_from(sum / count).expect("a mean of bytes is a byte"))
    }

    /// A single pixel of the canvas, for what is narrower than that.
    pub fn pixel(&self, (x, y): (u32, u32)) -> [u8; 3] {
        let [x, y, width] = [x, y, WIDTH].map(|length| length / self.shrunk);
        let at = ((y * width + x) * 3) as usize;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }
}
