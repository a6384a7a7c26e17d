//! What a single recording needs of the configuration: LiveKit and what recordings are like. No API, no store. Pure, but
//! for loading.

use std::path::Path;

use super::sources::{ConfigErrors, Sources};
use super::{FILE_VARIABLE, LivekitConfig, RecordingConfig, process_environment, read_file, sections};

#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Nothing, if nobody is to be joined.
    pub livekit: Option<LivekitConfig>,
    pub recording: RecordingConfig,
}

/// Whether a room is going to be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    Yes,
    No,
}

impl RecorderConfig {
    /// From the environment of this process, and the file that `EGRESSD_CONFIG` names.
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
