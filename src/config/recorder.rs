//! The configuration of `egressd record`: LiveKit and the options of recordings, without API and store. Pure,
//! but for [`RecorderConfig::load`].

use std::path::Path;

use super::sources::{ConfigErrors, Sources};
use super::{FILE_VARIABLE, LivekitConfig, RecordingConfig, process_environment, read_file, sections};

#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// `None` if no room is joined.
    pub livekit: Option<LivekitConfig>,
    pub recording: RecordingConfig,
}

/// Whether a room is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    Yes,
    No,
}

impl RecorderConfig {
    /// Returns the configuration of this process, from its environment and from the file that
    /// `EGRESSD_CONFIG` names.
    pub fn load(joining: Joining) -> Result<Self, ConfigErrors> {
        let env = process_environment()?;
        let file = match env(FILE_VARIABLE).filter(|path| !path.trim().is_empty()) {
            Some(path) => Some(read_file(Path::new(path.trim()))?),
            None => None,
        };
        Self::from_sources(env, file.as_deref(), joining)
    }

    pub fn from_sources(
        env: impl Fn(&str) -> Option<String>,
        toml: Option<&str>,
        joining: Joining,
    ) -> Result<Self, ConfigErrors> {
        let mut sources = Sources::new(&env, toml)?;
        let livekit = match joining {
            Joining::Yes => Some(sections::livekit(&mut sources)),
            Joining::No => None,
        };
        let recording = sections::recording(&mut sources);
        sources.finish(Self { livekit, recording })
    }
}
