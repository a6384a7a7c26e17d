//! The configuration part by part, for checks of the parts that have no fault. Pure, but for
//! [`Examined::load`].
//!
//! Contract: a part without a fault is there. `faults` has the faults of all settings.

use std::path::Path;

use super::sources::{ConfigErrors, Fault, Sources};
use super::{
    ApiConfig, Config, DataDir, FILE_VARIABLE, FallbackConfig, LivekitConfig, RecordingConfig, SETTINGS,
    process_environment, read_file, sections, stores,
};
use crate::storage::StorageConfig;

/// The parts of a configuration that have no fault, and all faults.
#[derive(Debug)]
pub struct Examined {
    pub faults: Vec<Fault>,
    /// How many settings are set.
    pub set: usize,
    /// `None` if the file cannot be read: settings that are not in the environment may be in the file.
    pub parts: Option<Parts>,
}

#[derive(Debug)]
pub struct Parts {
    pub api: Option<ApiConfig>,
    pub livekit: Option<LivekitConfig>,
    pub storage: Option<StorageConfig>,
    pub fallback: Option<FallbackConfig>,
    pub recording: Option<RecordingConfig>,
    pub data_dir: DataDir,
}

impl Examined {
    /// Examines the configuration of this process, from the sources of [`Config::load`].
    pub fn load() -> Self {
        let environment = match process_environment() {
            Ok(environment) => environment,
            Err(errors) => return Self::unreadable(&errors),
        };
        let named = environment(FILE_VARIABLE).filter(|path| !path.trim().is_empty());
        match named.map(|path| read_file(Path::new(path.trim()))).transpose() {
            Ok(file) => Self::from_sources(environment, file.as_deref()),
            Err(errors) => Self::unreadable(&errors),
        }
    }

    pub fn from_sources(env: impl Fn(&str) -> Option<String>, toml: Option<&str>) -> Self {
        let mut sources = match Sources::new(&env, toml) {
            Ok(sources) => sources,
            Err(errors) => return Self::unreadable(&errors),
        };
        let set = SETTINGS.into_iter().filter(|name| sources.get(name).is_some()).count();
        let parts = Parts::read(&mut sources);
        // Some settings belong to none of the parts. Their faults count, too.
        let whole = Config::from_sources(&env, toml);
        let faults = whole.err().map_or_else(Vec::new, |errors| errors.faults().to_vec());
        Self { faults, set, parts: Some(parts) }
    }

    fn unreadable(errors: &ConfigErrors) -> Self {
        Self { faults: errors.faults().to_vec(), set: 0, parts: None }
    }
}

impl Parts {
    fn read(sources: &mut Sources) -> Self {
        let data_dir = sections::data_dir(sources);
        let (recording, is_good) = sources.part(sections::recording);
        let defaults = &recording.defaults;
        let api = good(sources.part(sections::api));
        let livekit = good(sources.part(sections::livekit));
        let storage = good(sources.part(|sources| stores::storage(sources, &data_dir, defaults)));
        let fallback = good(sources.part(|sources| stores::fallback(sources, defaults))).flatten();
        Self { api, livekit, storage, fallback, recording: is_good.then_some(recording), data_dir }
    }
}

fn good<T>((part, is_good): (T, bool)) -> Option<T> {
    is_good.then_some(part)
}
