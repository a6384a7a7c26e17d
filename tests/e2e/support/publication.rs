//! What a test participant publishes, in words that the publishing processes understand (`tests/py/participant.py`,
//! `tests/js/browser.mjs`). Owns no process. Python's client knows no stereo, the browser's no flash, noise or rotation.

use serde_json::{Value, json};

/// Picture, codec and sound of a participant: `Publication { codec: "av1", ..Publication::DEFAULT }`.
#[derive(Clone, Copy, Debug)]
pub struct Publication {
    pub picture: Picture,
    /// `vp8`, `vp9`, `h264`, `av1`; or, encoded beforehand, `h264-high`.
    pub codec: &'static str,
    pub layers: Layers,
    pub size: (u32, u32),
    pub fps: u32,
    /// By how many degrees clockwise the receiver must turn the picture.
    pub rotation: u32,
    /// The video's greatest bit rate, if not what the picture needs.
    pub kbps: Option<u32>,
    pub video: bool,
    /// A frequency for each channel; none: no microphone.
    pub hertz: &'static [u32],
    pub dtx: bool,
    pub red: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Picture {
    /// A plain colour with a bar moving through the lowest quarter.
    Bar([u8; 3]),
    /// The colour at the upper left, white at the upper right, black at the lower left, grey at the lower right.
    Quarters([u8; 3]),
    /// A white flash every second; then the microphone beeps with it.
    Flash,
    /// What cannot be compressed well.
    Noise,
    /// The browser's own, a figure that turns on green.
    FakeCamera,
}

#[derive(Clone, Copy, Debug)]
pub enum Layers {
    Single,
    /// Encodings of several sizes, each a stream of its own: halves and quarters. VP8 and H.264 only.
    Simulcast,
    /// One stream in layers: `L1T3`, `L3T3`, `L3T3_KEY` ...
    Scalable(&'static str),
}

impl Publication {
    /// A plain VP8 camera with a microphone; what most tests change a little.
    pub const DEFAULT: Self = Self {
        picture: Picture::Bar([0, 0, 0]),
        codec: "vp8",
        layers: Layers::Single,
        size: (640, 360),
        fps: 30,
        rotation: 0,
        kbps: None,
        video: true,
        hertz: &[400],
        dtx: false,
        red: true,
    };

    pub fn to_json(self) -> Value {
        let (mode, rgb) = match self.picture {
            Picture::Bar(rgb) => ("bar", rgb),
            Picture::Quarters(rgb) => ("quarters", rgb),
            Picture::Flash => ("flash", [0; 3]),
            Picture::Noise => ("noise", [0; 3]),
            Picture::FakeCamera => ("fake-camera", [0; 3]),
        };
        let (simulcast, scalability) = match self.layers {
            Layers::Single => (false, None),
            Layers::Simulcast => (true, None),
            Layers::Scalable(mode) => (false, Some(mode)),
        };
        json!({
            "mode": mode, "rgb": rgb, "codec": self.codec, "simulcast": simulcast, "scalability": scalability,
            "width": self.size.0, "height": self.size.1, "fps": self.fps, "rotation": self.rotation,
            "kbps": self.kbps, "video": self.video, "hertz": self.hertz, "dtx": self.dtx, "red": self.red,
        })
    }
}
