//! What a recording shall be like: what can be asked for, within which limits, and what that makes together with the
//! defaults of a service. Pure data, shared by configuration, API, store and worker.
//!
//! Does not own the words of the media folders (`media`), nor how a request is read (`front`) or a setting (`config`).

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as NotThisWord, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::filepath::Filepath;
use crate::media::{Corner, Decorations, FitChoice, Layout, Streams, Theme, View, Watermark};

/// Of width and height, in pixels, which must be even: colour is kept at half the resolution. Below, no tile could be
/// told from another.
pub const SIDES: RangeInclusive<u32> = 128..=3840;
/// 4K. More than that no player is sure to play.
pub const PIXELS_MAX: u32 = 3840 * 2160;
/// Frames a second. Cameras give no more.
pub const FRAME_RATES: RangeInclusive<u32> = 1..=60;
/// kbit/s.
pub const VIDEO_KBPS: RangeInclusive<u32> = 64..=50_000;
/// kbit/s; what AAC-LC at 48 kHz stereo is good for.
pub const AUDIO_KBPS: RangeInclusive<u32> = 32..=320;
pub const OPACITIES: RangeInclusive<f32> = 0.0..=1.0;

/// For messages.
pub const LAYOUT_WORDS: &str = "grid, speaker or single-speaker, alone or with -dark or -light";
/// For messages.
pub const FIT_WORDS: &str = "cover or contain";
/// For messages.
pub const CORNER_WORDS: &str = "top-left, top-right, bottom-left or bottom-right";

/// What the file shall be like. Kept with its recording: a field that is added later takes its default in what was
/// written before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordingOptions {
    pub streams: Streams,
    /// Of the picture, as are `height`, `video_kbps`, `view` and `decorations`; of no meaning where there is none.
    pub width: u32,
    pub height: u32,
    /// Frames a second.
    pub frame_rate: u32,
    pub video_kbps: u32,
    /// Of no meaning where there is no sound.
    pub audio_kbps: u32,
    pub max_duration_seconds: Option<u32>,
    /// Of the finished file; a million bytes each.
    pub max_size_mb: Option<u32>,
    pub view: View,
    pub decorations: Decorations,
}

/// What somebody asks for. What is left out is as the service has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AskedOptions {
    /// Where the file is to be; what is left out is `{room}/{time of start}.mp4`.
    pub filepath: Option<Filepath>,
    pub streams: Streams,
    pub view: ViewChange,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub frame_rate: Option<u32>,
    pub video_kbps: Option<u32>,
    pub audio_kbps: Option<u32>,
    pub max_duration_seconds: Option<u32>,
    pub name_tags: Option<bool>,
    pub initials: Option<bool>,
    pub speaker_border: Option<bool>,
    pub watermark: Option<AskedWatermark>,
}

/// What shall look different from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewChange {
    pub look: Option<Look>,
    pub fit: Option<FitChoice>,
}

/// A layout and its background, which are one word for users: `speaker-light`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    pub layout: Layout,
    pub theme: Theme,
}

/// Which picture it is, only the service's configuration says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AskedWatermark {
    Off,
    On { corner: Option<Corner>, opacity: Option<f32> },
}

/// A watermark is asked for, and the service has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no watermark is configured")]
pub struct NoWatermark;

impl Default for RecordingOptions {
    fn default() -> Self {
        Self {
            streams: Streams::Both,
            width: 1280,
            height: 720,
            frame_rate: 30,
            video_kbps: 3000,
            audio_kbps: 128,
            max_duration_seconds: None,
            max_size_mb: None,
            view: View::default(),
            decorations: Decorations::default(),
        }
    }
}

impl RecordingOptions {
    pub fn max_duration(&self) -> Option<Duration> {
        self.max_duration_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// In bytes.
    pub fn max_size(&self) -> Option<u64> {
        self.max_size_mb.map(|megabytes| u64::from(megabytes) * 1_000_000)
    }
}

impl AskedOptions {
    /// The recording that it makes of the service's defaults. A limit of the service holds for everybody.
    pub fn upon(self, defaults: &RecordingOptions) -> Result<RecordingOptions, NoWatermark> {
        let limits = [self.max_duration_seconds, defaults.max_duration_seconds];
        let none = Decorations::default();
        let decorations = match self.streams {
            Streams::Both | Streams::VideoOnly => &defaults.decorations,
            Streams::AudioOnly => &none,
        };
        Ok(RecordingOptions {
            streams: self.streams,
            width: self.width.unwrap_or(defaults.width),
            height: self.height.unwrap_or(defaults.height),
            frame_rate: self.frame_rate.unwrap_or(defaults.frame_rate),
            video_kbps: self.video_kbps.unwrap_or(defaults.video_kbps),
            audio_kbps: self.audio_kbps.unwrap_or(defaults.audio_kbps),
            max_duration_seconds: limits.into_iter().flatten().min(),
            max_size_mb: defaults.max_size_mb,
            view: self.view.upon(defaults.view),
            decorations: Decorations {
                names: self.name_tags.unwrap_or(decorations.names),
                initials: self.initials.unwrap_or(decorations.initials),
                speaker_border: self.speaker_border.unwrap_or(decorations.speaker_border),
                watermark: match self.watermark {
                    None => decorations.watermark.clone(),
                    Some(asked) => asked.upon(decorations.watermark.as_ref())?,
                },
            },
        })
    }
}

impl AskedWatermark {
    fn upon(self, configured: Option<&Watermark>) -> Result<Option<Watermark>, NoWatermark> {
        match self {
            Self::Off => Ok(None),
            Self::On { corner, opacity } => {
                let Watermark { file, corner: its_corner, opacity: its_opacity } =
                    configured.ok_or(NoWatermark)?.clone();
                let corner = corner.unwrap_or(its_corner);
                Ok(Some(Watermark { file, corner, opacity: opacity.unwrap_or(its_opacity) }))
            }
        }
    }
}

impl ViewChange {
    pub fn upon(self, view: View) -> View {
        let Look { layout, theme } = self.look.unwrap_or(Look { layout: view.layout, theme: view.theme });
        View { layout, theme, fit: self.fit.unwrap_or(view.fit) }
    }
}

impl Look {
    /// `speaker`, `speaker-dark`, `speaker-light`; black is the background unless it is said.
    pub fn from_word(text: &str) -> Option<Self> {
        let (layout, theme) = match (text.strip_suffix("-dark"), text.strip_suffix("-light")) {
            (Some(layout), _) => (layout, Theme::Dark),
            (None, Some(layout)) => (layout, Theme::Light),
            (None, None) => (text, Theme::Dark),
        };
        Some(Self { layout: word(layout)?, theme })
    }

    pub const fn as_word(self) -> &'static str {
        match (self.layout, self.theme) {
            (Layout::Grid, Theme::Dark) => "grid",
            (Layout::Grid, Theme::Light) => "grid-light",
            (Layout::Speaker, Theme::Dark) => "speaker",
            (Layout::Speaker, Theme::Light) => "speaker-light",
            (Layout::SingleSpeaker, Theme::Dark) => "single-speaker",
            (Layout::SingleSpeaker, Theme::Light) => "single-speaker-light",
        }
    }
}

/// What a user may ask for; that it goes by the shape of the picture has no word.
pub fn fit_from_word(text: &str) -> Option<FitChoice> {
    word(text).filter(|fit| *fit != FitChoice::ByShape)
}

/// The word that [`fit_from_word`] reads; none if it goes by the shape of the picture.
pub fn fit_word(fit: FitChoice) -> Option<&'static str> {
    match fit {
        FitChoice::ByShape => None,
        FitChoice::Cover => Some("cover"),
        FitChoice::Contain => Some("contain"),
    }
}

pub fn corner_from_word(text: &str) -> Option<Corner> {
    word(text)
}

/// One of the words that an enum is written as.
fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    T::deserialize(StrDeserializer::<NotThisWord>::new(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark() -> Watermark {
        Watermark { file: "/etc/logo.png".into(), corner: Corner::TopLeft, opacity: 0.5 }
    }

    fn with_watermark() -> RecordingOptions {
        let decorations = Decorations { watermark: Some(watermark()), ..Decorations::default() };
        RecordingOptions { decorations, ..RecordingOptions::default() }
    }

    #[test]
    fn who_asks_for_nothing_gets_the_defaults_of_the_service() {
        assert_eq!(AskedOptions::default().upon(&with_watermark()), Ok(with_watermark()));
    }

    #[test]
    fn what_is_asked_for_replaces_the_default_and_nothing_else() {
        let asked = AskedOptions { width: Some(1920), name_tags: Some(true), ..AskedOptions::default() };
        let made = asked.upon(&RecordingOptions::default()).unwrap();
        let decorations = Decorations { names: true, ..Decorations::default() };
        assert_eq!(made, RecordingOptions { width: 1920, decorations, ..RecordingOptions::default() });
    }

    #[test]
    fn nobody_records_longer_than_the_service_allows() {
        let limit = |asked, allowed| {
            let defaults = RecordingOptions { max_duration_seconds: allowed, ..RecordingOptions::default() };
            let asked = AskedOptions { max_duration_seconds: asked, ..AskedOptions::default() };
            asked.upon(&defaults).unwrap().max_duration_seconds
        };
        assert_eq!(limit(None, None), None);
        assert_eq!(limit(Some(9), None), Some(9));
        assert_eq!(limit(None, Some(60)), Some(60));
        assert_eq!(limit(Some(9), Some(60)), Some(9));
        assert_eq!(limit(Some(90), Some(60)), Some(60));
    }

    #[test]
    fn a_watermark_can_be_moved_and_left_out_but_not_made_up() {
        let made = |watermark, defaults: &RecordingOptions| {
            let asked = AskedOptions { watermark: Some(watermark), ..AskedOptions::default() };
            asked.upon(defaults).map(|options| options.decorations.watermark)
        };
        let moved = AskedWatermark::On { corner: Some(Corner::BottomLeft), opacity: None };
        let expected = Watermark { corner: Corner::BottomLeft, ..watermark() };
        assert_eq!(made(moved, &with_watermark()), Ok(Some(expected)));
        assert_eq!(made(AskedWatermark::Off, &with_watermark()), Ok(None));
        assert_eq!(made(moved, &RecordingOptions::default()), Err(NoWatermark));
        assert_eq!(made(AskedWatermark::Off, &RecordingOptions::default()), Ok(None));
    }

    #[test]
    fn a_change_of_view_leaves_the_rest_as_it_is() {
        let view = View { layout: Layout::Speaker, theme: Theme::Light, fit: FitChoice::Cover };
        let fit = ViewChange { fit: Some(FitChoice::Contain), ..ViewChange::default() };
        assert_eq!(fit.upon(view), View { fit: FitChoice::Contain, ..view });
        let look = ViewChange { look: Look::from_word("grid"), ..ViewChange::default() };
        let expected = View { layout: Layout::Grid, theme: Theme::Dark, fit: FitChoice::Cover };
        assert_eq!(look.upon(view), expected);
    }

    #[test]
    fn a_fit_is_written_as_it_is_read() {
        for word in ["cover", "contain"] {
            assert_eq!(fit_from_word(word).and_then(fit_word), Some(word));
        }
        assert_eq!(fit_word(FitChoice::ByShape), None);
    }

    #[test]
    fn a_layout_is_dark_unless_its_word_says_light() {
        for layout in ["grid", "speaker", "single-speaker"] {
            let look = |suffix: &str| Look::from_word(&format!("{layout}{suffix}")).unwrap();
            assert_eq!(look(""), look("-dark"));
            assert_eq!(look("").as_word(), layout);
            assert_eq!(look("-light").as_word(), format!("{layout}-light"));
        }
        for wrong in ["", "-dark", "Grid", "grid-", "grid-dark-light", "grid-blue", "singleSpeaker"] {
            assert_eq!(Look::from_word(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn that_a_fit_goes_by_the_shape_has_no_word() {
        assert_eq!(fit_from_word("cover"), Some(FitChoice::Cover));
        assert_eq!(fit_from_word("contain"), Some(FitChoice::Contain));
        assert_eq!(fit_from_word("by-shape"), None);
    }

    #[test]
    fn options_that_were_written_before_a_field_existed_have_its_default() {
        let read: RecordingOptions =
            serde_json::from_str(r#"{"width":640,"view":{"layout":"speaker"}}"#).unwrap();
        let view = View { layout: Layout::Speaker, ..View::default() };
        assert_eq!(read, RecordingOptions { width: 640, view, ..RecordingOptions::default() });
    }
}
