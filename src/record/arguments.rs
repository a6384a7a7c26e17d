//! The command line of `egressd record`, and what it asks for. What a start of the API may ask for can be asked for here,
//! within the same limits.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};

use super::error::RecordError;
use super::workplace::Existing;
use crate::ids::RoomName;
use crate::media::{FitChoice, Streams};
use crate::options::{
    AUDIO_KBPS, AskedOptions, AskedWatermark, FIT_WORDS, FRAME_RATES, LAYOUT_WORDS, Look, PIXELS_MAX, SIDES,
    VIDEO_KBPS, ViewChange, fit_from_word,
};

/// What to do.
pub enum Task {
    Record {
        room: RoomName,
        asked: AskedOptions,
    },
    /// Go on with what was left, or finish it.
    Resume,
    /// Finish what was left.
    Finish,
}

#[derive(Args, Debug)]
#[command(
    group = ArgGroup::new("task").required(true).args(["room", "resume", "finish"]),
    after_help = "The recording ends when the room is closed, after --duration, when nobody has been in the room for \
    EGRESSD_IDLE_TIMEOUT_SECONDS, or on Ctrl-C or SIGTERM; a second one of these leaves the rest to --finish.\n\n\
    LiveKit is named by LIVEKIT_URL_INTERNAL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, in the environment or in the file \
    that EGRESSD_CONFIG names; no other setting is needed.\n\n\
    Exit code: 0 if the recording is complete; 75 if --finish can still make a file of it; 1 otherwise, with what could \
    be saved in FILE; 2 for a wrong argument."
)]
pub struct RecordArgs {
    /// The LiveKit room to record. It must be there.
    #[arg(long, value_name = "NAME", value_parser = RoomName::from_str)]
    pub room: Option<RoomName>,
    /// The MP4 file to make. Until it is whole, everything is in the hidden folder .FILE.egressd beside it.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replaces FILE if it exists.
    #[arg(long)]
    pub force: bool,
    /// Goes on with a recording to FILE that was cut off, if its room is still there and it ended no longer ago than
    /// EGRESSD_RESUME_WITHIN_SECONDS; else finishes it.
    #[arg(long)]
    pub resume: bool,
    /// Makes FILE of what there is of a recording that was cut off. Needs no LiveKit.
    #[arg(long)]
    pub finish: bool,
    #[command(flatten)]
    pub options: OptionArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "What the recording is like")]
pub struct OptionArgs {
    /// Ends after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub duration: Option<u32>,
    /// No picture, one track of sound. What a picture is to be like must be left out.
    #[arg(long, conflicts_with_all = OF_THE_PICTURE)]
    pub audio_only: bool,
    /// No sound.
    #[arg(long, conflicts_with_all = ["audio_only", "audio_bitrate"])]
    pub video_only: bool,
    /// grid, speaker or single-speaker, alone or with -dark or -light.
    #[arg(long, value_name = "LAYOUT", value_parser = look)]
    pub layout: Option<Look>,
    /// cover or contain; by default a landscape camera fills its cell, anything else is shown whole.
    #[arg(long, value_name = "FIT", value_parser = fit)]
    pub fit: Option<FitChoice>,
    /// Even, 128 to 3840. [default: 1280]
    #[arg(long, value_name = "PIXELS", value_parser = side)]
    pub width: Option<u32>,
    /// Even, 128 to 3840. [default: 720]
    #[arg(long, value_name = "PIXELS", value_parser = side)]
    pub height: Option<u32>,
    /// Frames a second, 1 to 60. [default: 30]
    #[arg(long, value_name = "FRAMES", value_parser = |text: &str| within(text, FRAME_RATES))]
    pub framerate: Option<u32>,
    /// At the most, 64 to 50000. [default: 3000]
    #[arg(long, value_name = "KBIT/S", value_parser = |text: &str| within(text, VIDEO_KBPS))]
    pub video_bitrate: Option<u32>,
    /// 32 to 320. [default: 128]
    #[arg(long, value_name = "KBIT/S", value_parser = |text: &str| within(text, AUDIO_KBPS))]
    pub audio_bitrate: Option<u32>,
    /// The participant's name in a corner of each tile.
    #[arg(long)]
    pub name_tags: bool,
    /// A tile with initials for a participant without a picture.
    #[arg(long)]
    pub initials: bool,
    /// A border around who speaks.
    #[arg(long)]
    pub speaker_border: bool,
    /// Leaves out the watermark that EGRESSD_WATERMARK_FILE names.
    #[arg(long)]
    pub no_watermark: bool,
}

/// What makes no sense of a recording without one.
const OF_THE_PICTURE: [&str; 10] = [
    "layout",
    "fit",
    "width",
    "height",
    "framerate",
    "video_bitrate",
    "name_tags",
    "initials",
    "speaker_border",
    "no_watermark",
];

impl RecordArgs {
    pub fn task(&self) -> Result<Task, RecordError> {
        Ok(match &self.room {
            Some(room) => Task::Record { room: room.clone(), asked: self.options.asked()? },
            None if self.resume => Task::Resume,
            None => Task::Finish,
        })
    }

    pub fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Refuse }
    }
}

impl OptionArgs {
    fn asked(&self) -> Result<AskedOptions, RecordError> {
        let pixels = self.width.zip(self.height).map(|(width, height)| width * height);
        if pixels.is_some_and(|pixels| pixels > PIXELS_MAX) {
            return Err(RecordError::TooLarge { max: PIXELS_MAX });
        }
        Ok(self.upon(AskedOptions::default()))
    }

    /// What is not asked for is as the configuration has it.
    fn upon(&self, mut asked: AskedOptions) -> AskedOptions {
        let wanted = |flag: bool| flag.then_some(true);
        asked.streams = match (self.audio_only, self.video_only) {
            (true, _) => Streams::AudioOnly,
            (false, true) => Streams::VideoOnly,
            (false, false) => Streams::Both,
        };
        asked.view = ViewChange { look: self.layout, fit: self.fit };
        (asked.width, asked.height, asked.frame_rate) = (self.width, self.height, self.framerate);
        (asked.video_kbps, asked.audio_kbps) = (self.video_bitrate, self.audio_bitrate);
        asked.max_duration_seconds = self.duration;
        asked.name_tags = wanted(self.name_tags);
        asked.initials = wanted(self.initials);
        asked.speaker_border = wanted(self.speaker_border);
        asked.watermark = self.no_watermark.then_some(AskedWatermark::Off);
        asked
    }
}

fn look(text: &str) -> Result<Look, String> {
    Look::from_word(text).ok_or_else(|| format!("expected {LAYOUT_WORDS}"))
}

fn fit(text: &str) -> Result<FitChoice, String> {
    fit_from_word(text).ok_or_else(|| format!("expected {FIT_WORDS}"))
}

fn side(text: &str) -> Result<u32, String> {
    let even = text.parse().ok().filter(|side| SIDES.contains(side) && side % 2 == 0);
    even.ok_or_else(|| format!("expected an even whole number from {} to {}", SIDES.start(), SIDES.end()))
}

fn within(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::media::{Layout, Theme};

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        record: RecordArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<RecordArgs, String> {
        let all = ["record", "--out", "x.mp4"].iter().chain(arguments);
        Command::try_parse_from(all).map(|command| command.record).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn every_option_of_a_start_can_be_asked_for() {
        let args = parsed(&[
            "--room",
            "standup",
            "--duration",
            "60",
            "--layout",
            "speaker-light",
            "--fit",
            "contain",
            "--width",
            "1920",
            "--height",
            "1080",
            "--framerate",
            "25",
            "--video-bitrate",
            "4500",
            "--audio-bitrate",
            "192",
            "--name-tags",
            "--initials",
            "--speaker-border",
            "--no-watermark",
        ]);
        let Ok(Task::Record { room, asked }) = args.unwrap().task() else { panic!("nothing to record") };
        assert_eq!(room.as_str(), "standup");
        let look = Look { layout: Layout::Speaker, theme: Theme::Light };
        assert_eq!(asked.view, ViewChange { look: Some(look), fit: Some(FitChoice::Contain) });
        assert_eq!((asked.width, asked.height, asked.frame_rate), (Some(1920), Some(1080), Some(25)));
        assert_eq!((asked.video_kbps, asked.audio_kbps), (Some(4500), Some(192)));
        assert_eq!(asked.max_duration_seconds, Some(60));
        let marks = (asked.name_tags, asked.initials, asked.speaker_border);
        assert_eq!(marks, (Some(true), Some(true), Some(true)));
        assert_eq!(asked.watermark, Some(AskedWatermark::Off));
    }

    #[test]
    fn sound_alone_or_pictures_alone_take_only_what_they_have_a_use_for() {
        let streams = |arguments: &[&str]| {
            let args = parsed(&[&["--room", "a"], arguments].concat())?;
            let Ok(Task::Record { asked, .. }) = args.task() else { panic!("nothing to record") };
            Ok::<_, String>(asked.streams)
        };
        assert_eq!(streams(&["--audio-only", "--audio-bitrate", "64"]), Ok(Streams::AudioOnly));
        assert_eq!(streams(&["--video-only", "--layout", "speaker"]), Ok(Streams::VideoOnly));
        for (only, other) in [
            ("--audio-only", &["--video-only"][..]),
            ("--audio-only", &["--width", "640"]),
            ("--audio-only", &["--no-watermark"]),
            ("--video-only", &["--audio-bitrate", "64"]),
        ] {
            let error = streams(&[&[only], other].concat()).unwrap_err();
            assert!(error.contains(only) && error.contains(other[0]), "{error}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_left_to_the_configuration() {
        let Ok(Task::Record { asked, .. }) = parsed(&["--room", "a"]).unwrap().task() else {
            panic!("a recording")
        };
        assert_eq!(asked, AskedOptions::default());
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_expected() {
        let cases = [
            ("--width", "1279", "an even whole number from 128 to 3840"),
            ("--framerate", "61", "a whole number from 1 to 60"),
            ("--layout", "mosaic", "grid, speaker or single-speaker"),
            ("--fit", "stretch", "cover or contain"),
            ("--duration", "0", "0 is not in 1.."),
            ("--room", "a/b", "a room name must not contain a slash"),
        ];
        for (name, value, expected) in cases {
            let room = if name == "--room" { &[][..] } else { &["--room", "a"] };
            let error = parsed(&[room, &[name, value]].concat()).unwrap_err();
            assert!(error.contains(name) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_size_that_no_player_takes_is_refused() {
        let args = parsed(&["--room", "a", "--width", "3840", "--height", "3840"]).unwrap();
        assert!(matches!(args.task(), Err(RecordError::TooLarge { .. })));
    }

    #[test]
    fn one_thing_at_a_time_is_asked_for() {
        assert!(parsed(&[]).is_err());
        assert!(parsed(&["--room", "a", "--finish"]).is_err());
        assert!(matches!(parsed(&["--resume"]).unwrap().task(), Ok(Task::Resume)));
        assert!(matches!(parsed(&["--finish"]).unwrap().task(), Ok(Task::Finish)));
    }
}
