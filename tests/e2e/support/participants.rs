//! Participants of a room: LiveKit's own clients, one process for all of a test (`tests/py/participant.py`,
//! `tests/js/browser.mjs`), commanded by JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::publication::{Picture, Publication};
use super::servers::LiveKit;
use super::tools;

/// What a participant's camera shows and what its microphone hears.
#[derive(Clone, Copy)]
pub enum Act {
    /// A plain colour with a bar moving at the bottom, and a steady tone.
    Plain { codec: &'static str, rgb: [u8; 3], hertz: u32 },
    /// A white flash and a beep every second, from one clock.
    FlashAndBeep,
    /// Pictures that cannot be compressed well.
    Noise,
    /// Whatever else.
    Publish(Publication),
    /// Nothing is published.
    Silent,
}

/// Participants of egressd's own.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// `vp8`, `h264` or `h265`.
    pub codec: &'static str,
    pub count: u32,
    pub size: (u32, u32),
    /// The pictures cost as many bits as busy ones do.
    pub busy: bool,
    /// Halves and quarters of the pictures come as well.
    pub simulcast: bool,
    /// Nobody has a microphone.
    pub silent: bool,
}

impl Crowd {
    /// Small cards.
    pub const fn of(codec: &'static str, count: u32) -> Self {
        Self { codec, count, size: (160, 90), busy: false, simulcast: false, silent: false }
    }
}

pub struct Participants {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    commands: u64,
    unanswered: u32,
    /// How long the process may take to end when it is no longer needed.
    farewell: Duration,
}

impl Participants {
    /// LiveKit's client for Python, which is the one that the Rust and C++ SDKs have.
    pub fn start(folder: &Path, livekit: &LiveKit, room: &str) -> Self {
        let mut command = tools::python("participant.py");
        // Killed rather than asked: a client that vanishes is what LiveKit must cope with anyway.
        Self::spawn(
            Self::in_room(&mut command, livekit, room),
            &folder.join("participants.log"),
            Duration::ZERO,
        )
    }

    /// LiveKit's client for browsers, in a Chromium.
    pub fn start_browser(folder: &Path, livekit: &LiveKit, room: &str) -> Self {
        const CHROMIUM_ENDS: Duration = Duration::from_secs(10);
        let profile = folder.join("chromium");
        std::fs::create_dir(&profile).expect("the test's folder can be written to");
        let mut command = tools::node("browser.mjs");
        command.arg("--profile").arg(profile).env("EGRESSD_CHROMIUM", tools::chromium());
        Self::spawn(Self::in_room(&mut command, livekit, room), &folder.join("browser.log"), CHROMIUM_ENDS)
    }

    /// Participants of egressd's own, with cards encoded beforehand: dozens of them cost less than one that encodes. They
    /// know `join` and `leave` and are called "1", "2" ...
    pub fn start_crowd(folder: &Path, livekit: &LiveKit, room: &str, crowd: Crowd) -> Self {
        let Crowd { codec, count, size: (width, height), busy, simulcast, silent } = crowd;
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        command
            .args(["publish", "--commands", "--look", if busy { "busy" } else { "card" }])
            .args(["--width", &width.to_string(), "--height", &height.to_string()])
            .args(["--url", &livekit.url(), "--room", room, "--codec", codec, "--count", &count.to_string()])
            .args(["--api-key", LiveKit::KEY, "--api-secret", LiveKit::SECRET])
            .args(simulcast.then_some("--simulcast"))
            .args(silent.then_some("--silent"));
        Self::spawn(&mut command, &folder.join("crowd.log"), Duration::ZERO)
    }

    fn in_room<'a>(command: &'a mut Command, livekit: &LiveKit, room: &str) -> &'a mut Command {
        command
            .args(["--url", &livekit.url(), "--room", room, "--key", LiveKit::KEY])
            .env("LIVEKIT_API_SECRET", LiveKit::SECRET)
    }

    fn spawn(command: &mut Command, log: &Path, farewell: Duration) -> Self {
        let log = File::create(log).expect("a log file can be made");
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = pipes.spawn().expect("the participants' process can be started");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Self { child, stdin, stdout, commands: 0, unanswered: 0, farewell }
    }

    /// Returns once LiveKit knows the participant and its tracks.
    pub fn join(&mut self, identity: &str, act: Act) {
        self.join_as(identity, "", act);
    }

    /// Joins with a name to be shown.
    pub fn join_as(&mut self, identity: &str, name: &str, act: Act) {
        let publish = match act {
            Act::Plain { codec, rgb, hertz } => {
                json!({"mode": "bar", "codec": codec, "rgb": rgb, "hertz": [hertz]})
            }
            Act::FlashAndBeep => Publication { picture: Picture::Flash, ..Publication::DEFAULT }.to_json(),
            Act::Noise => Publication { picture: Picture::Noise, fps: 15, ..Publication::DEFAULT }.to_json(),
            Act::Publish(publication) => publication.to_json(),
            Act::Silent => Value::Null,
        };
        self.tell(json!({"do": "join", "identity": identity, "name": name, "publish": publish}));
    }

    pub fn mute_video(&mut self, identity: &str) {
        self.order("mute", identity);
    }

    pub fn unmute_video(&mut self, identity: &str) {
        self.order("unmute", identity);
    }

    pub fn mute_microphone(&mut self, identity: &str) {
        self.order("mute_microphone", identity);
    }

    pub fn unmute_microphone(&mut self, identity: &str) {
        self.order("unmute_microphone", identity);
    }

    /// The camera has another size from its next frame on.
    pub fn resize(&mut self, identity: &str, (width, height): (u32, u32)) {
        self.tell(json!({"do": "resize", "identity": identity, "width": width, "height": height}));
    }

    /// The receiver must turn the camera's next frames clockwise.
    pub fn rotate(&mut self, identity: &str, degrees: u32) {
        self.tell(json!({"do": "rotate", "identity": identity, "degrees": degrees}));
    }

    /// An open microphone that hears nothing.
    pub fn silence(&mut self, identity: &str) {
        self.order("silence", identity);
    }

    pub fn speak(&mut self, identity: &str) {
        self.order("speak", identity);
    }

    /// Shares a screen, without sound, beside the camera.
    pub fn share_screen(&mut self, identity: &str, screen: Publication) {
        self.tell(json!({"do": "share", "identity": identity, "publish": screen.to_json()}));
    }

    pub fn unshare_screen(&mut self, identity: &str) {
        self.order("unshare", identity);
    }

    pub fn leave(&mut self, identity: &str) {
        self.order("leave", identity);
    }

    /// `present` and `seen`: whom this participant sees now, and whom it ever saw.
    pub fn others(&mut self, identity: &str) -> Value {
        self.tell(json!({"do": "others", "identity": identity}))
    }

    /// Joins or leaves, without waiting for it; [`Participants::settle`] does.
    pub fn begin(&mut self, what: &'static str, identity: &str) {
        self.send(json!({"do": what, "identity": identity}));
        self.unanswered += 1;
    }

    /// Waits for the answers to all that was begun.
    pub fn settle(&mut self) {
        for _ in 0..std::mem::take(&mut self.unanswered) {
            let answer = self.hear();
            assert_eq!(answer["ok"], true, "{answer}");
        }
    }

    fn order(&mut self, what: &str, identity: &str) {
        self.tell(json!({"do": what, "identity": identity}));
    }

    fn tell(&mut self, command: Value) -> Value {
        assert_eq!(self.unanswered, 0, "the answer to {command} would be another's");
        let id = self.send(command.clone());
        let answer = self.hear();
        assert_eq!((&answer["id"], &answer["ok"]), (&id.into(), &Value::Bool(true)), "{command}: {answer}");
        answer
    }

    fn send(&mut self, mut command: Value) -> u64 {
        self.commands += 1;
        command["id"] = self.commands.into();
        let stdin = self.stdin.as_mut().expect("standard input is a pipe until the end");
        writeln!(stdin, "{command}").expect("the participants take commands");
        self.commands
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the participants answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("no answer but {line:?}: {error}"))
    }
}

impl Drop for Participants {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let begin = Instant::now();
        while begin.elapsed() < self.farewell && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

mod tests;
