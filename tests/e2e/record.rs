//! `egressd record`: one room into one file, without a service. The file is what a service makes, whatever ends it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::picture::{
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, the_streams_are_h264_and_aac,
    tiles_show,
};
use crate::support::probe::Recording;
use crate::support::servers::LiveKit;
use crate::support::service::{kill_hard, terminate};
use crate::support::stage::Stage;

const RED: [u8; 3] = [200, 40, 40];
/// sysexits.h: somebody has to try again.
const EX_TEMPFAIL: i32 = 75;
/// Far above what is seen.
const LIMIT: Duration = Duration::from_secs(90);
const RECORDED: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_recording_and_its_file_is_whole() {
    let mut scene = Scene::open("alone").await;
    let run = scene.record(&["--name-tags"]);
    let lasted = scene.recorded_for(RECORDED).await;
    terminate(run.id());
    let (code, said) = gone(run).await;
    assert_eq!(code, Some(0), "{said}");
    let recording = scene.recording();
    the_streams_are_h264_and_aac(&recording);
    let (video, sound) = (recording.duration("v"), recording.duration("a"));
    // It began before its first fragment was seen, which a slow machine makes late.
    assert!((lasted.as_secs_f64()..lasted.as_secs_f64() + 10.0).contains(&video), "{video} s of {lasted:?}");
    assert!((video - sound).abs() < 0.1, "{video} s of pictures, {sound} s of sound");
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    tiles_show(&recording, 2.0, &[RED]);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    scene.only_the_file_is_left();
    assert!(!said.contains(LiveKit::SECRET), "{said}");
    assert!(said.lines().all(|line| line.starts_with('{')), "nothing but log lines: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_ends_with_its_duration_and_with_its_room_and_never_takes_a_file_s_place() {
    let mut scene = Scene::open("ends").await;
    let (code, said) = gone(scene.record(&["--duration", "3"])).await;
    assert_eq!(code, Some(0), "{said}");
    let first = scene.recording().duration("v");
    assert!((2.9..4.0).contains(&first), "{first} s");

    let (code, said) = gone(scene.record(&[])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("exists already; --force replaces it"), "{said}");
    assert_eq!(scene.recording().duration("v"), first);

    let run = scene.record(&["--force", "--width", "640", "--height", "360"]);
    scene.recorded_for(Duration::from_secs(5)).await;
    scene.stage.livekit.delete_room("ends").await;
    let (code, said) = gone(run).await;
    assert_eq!(code, Some(0), "{said}");
    let second = scene.recording();
    assert_eq!(second.stream("v")["width"], 640);
    assert!(second.duration("v") > first);
    scene.only_the_file_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_was_killed_goes_on_and_one_that_lost_its_room_is_finished() {
    let mut scene = Scene::open("killed").await;
    let run = scene.record(&[]);
    scene.recorded_for(RECORDED).await;
    kill_hard(run.id());
    gone(run).await;
    assert!(!scene.file.exists());
    let (code, said) = gone(scene.record(&[])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--resume"), "{said}");

    let run = scene.run(&["--resume"]);
    scene.recorded_for(RECORDED).await;
    kill_hard(run.id());
    gone(run).await;
    let (code, said) = gone(scene.without_livekit(&["--finish"])).await;
    assert_eq!(code, Some(0), "{said}");
    let recording = scene.recording();
    the_streams_are_h264_and_aac(&recording);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let lasts = recording.duration("v");
    assert!(lasts >= RECORDED.as_secs_f64(), "both runs are in it: {lasts} s");
    scene.only_the_file_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_is_said_and_leaves_nothing() {
    let scene = Scene::open("refused").await;
    for (room, settings, words) in [
        ("nowhere", &[][..], "LiveKit has no room nowhere"),
        ("refused", &[("LIVEKIT_API_KEY", "nobodys")], "does not know the API key"),
        ("refused", &[("LIVEKIT_API_KEY", "")], "LIVEKIT_API_KEY: is not set"),
    ] {
        let mut command = scene.command(&["--room", room]);
        let (code, said) = gone(start(command.envs(settings.iter().copied()))).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(std::fs::read_dir(&scene.folder).expect("a folder").count(), 0);
    }
    let (code, said) = gone(scene.run(&["--finish"])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was left"), "{said}");
    assert_ne!(code, Some(EX_TEMPFAIL));
}

struct Scene {
    stage: Stage,
    room: &'static str,
    folder: PathBuf,
    file: PathBuf,
}

impl Scene {
    /// Somebody is in the room.
    async fn open(room: &'static str) -> Self {
        let mut stage = Stage::open(room).await;
        stage.participants.join("ann", plain("vp8", RED, 400));
        let folder = stage.folder().join("out");
        std::fs::create_dir(&folder).expect("the test's folder can be written to");
        let file = folder.join("a recording.mp4");
        Self { stage, room, folder, file }
    }

    fn record(&self, more: &[&str]) -> Child {
        self.run(&[&["--room", self.room], more].concat())
    }

    fn run(&self, arguments: &[&str]) -> Child {
        start(&mut self.command(arguments))
    }

    fn without_livekit(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let names = ["LIVEKIT_URL_INTERNAL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"];
        for name in names {
            command.env_remove(name);
        }
        start(&mut command)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        for name in egressd::config::SETTINGS {
            command.env_remove(name);
        }
        command
            .arg("record")
            .args(arguments)
            .arg("--out")
            .arg(&self.file)
            .env("LIVEKIT_URL_INTERNAL", self.stage.livekit.url())
            .env("LIVEKIT_API_KEY", LiveKit::KEY)
            .env("LIVEKIT_API_SECRET", LiveKit::SECRET)
            .env("EGRESSD_MAX_LOAD_PERCENT", "100000");
        command
    }

    /// Waits until the recording takes in media and then for so long; returns how long it lasts.
    async fn recorded_for(&mut self, duration: Duration) -> Duration {
        let begin = Instant::now();
        let spool = self.folder.join(format!(".{}.egressd/spool", name(&self.file)));
        let before = size_of_files(&spool);
        while size_of_files(&spool) <= before {
            assert!(begin.elapsed() < LIMIT, "nothing is recorded");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let active_at = Instant::now();
        tokio::time::sleep(duration).await;
        active_at.elapsed()
    }

    fn recording(&self) -> Recording {
        Recording::new(self.file.clone())
    }

    fn only_the_file_is_left(&self) {
        let entries = std::fs::read_dir(&self.folder).expect("a folder");
        let names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(names, [name(&self.file).as_str()]);
    }
}

fn name(file: &Path) -> String {
    file.file_name().expect("a name").to_str().expect("UTF-8").to_owned()
}

fn size_of_files(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}

fn start(command: &mut Command) -> Child {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().expect("egressd can be started")
}

/// Waits until it has gone: its exit code, if it was no signal that ended it, and what it said.
async fn gone(child: Child) -> (Option<i32>, String) {
    let id = child.id();
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(done) = tokio::time::timeout(LIMIT, waiting).await else {
        kill_hard(id);
        panic!("egressd record does not end");
    };
    let done = done.expect("it was waited for").expect("a child can be waited for");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&said).into_owned())
}
