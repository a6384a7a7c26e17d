//! Where finished recordings go: the store, and the fallback for when the store cannot be reached. Pure.

use std::num::NonZeroU32;

use url::Host;

use super::sections::{parse, port, positive, seconds, truth};
use super::sources::Quote::{Hidden, Shown};
use super::sources::Sources;
use super::{DataDir, FallbackConfig};
use crate::options::RecordingOptions;
use crate::storage::{Cutting, DEFAULT_REGION, MAX_PARTS, MIN_PART_SIZE, S3Config, StorageConfig};

/// MinIO's own default.
const DEFAULT_MINIO_PORT: u16 = 9000;
const DEFAULT_BUCKET: &str = "rtcstack-recordings";
/// Longer than a store's restart or failover takes. Shorter than users want to wait for a recording.
const DEFAULT_FALLBACK_AFTER_SECONDS: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
/// The settings of an S3 store, without the store's prefix.
const S3_SETTINGS: [&str; 8] = [
    "MINIO_ENDPOINT",
    "MINIO_ACCESS_KEY",
    "MINIO_SECRET_KEY",
    "MINIO_PORT",
    "MINIO_USE_SSL",
    "MINIO_BUCKET",
    "MINIO_REGION",
    "MINIO_EQUAL_PARTS_MIB",
];
const MIB: u64 = 1024 * 1024;
/// The largest part that S3 takes.
const LARGEST_PART_MIB: u64 = 5 * 1024;
const A_DAY: u64 = 24 * 60 * 60;

/// The settings of one store.
struct Section<'a> {
    /// The beginning of the settings' names.
    prefix: &'static str,
    /// The options of a recording whose start sets none.
    defaults: &'a RecordingOptions,
}

pub fn storage(sources: &mut Sources, data_dir: &DataDir, defaults: &RecordingOptions) -> StorageConfig {
    let section = Section { prefix: "", defaults };
    section
        .s3(sources)
        .map_or_else(|| StorageConfig::Folder { root: data_dir.recordings() }, StorageConfig::S3)
}

pub fn fallback(sources: &mut Sources, defaults: &RecordingOptions) -> Option<FallbackConfig> {
    const FOLDER: &str = "FALLBACK_DIR";
    const AFTER: &str = "FALLBACK_AFTER_SECONDS";
    let after = positive(sources, AFTER);
    let section = Section { prefix: "FALLBACK_", defaults };
    let storage = match (section.s3(sources), sources.get(FOLDER)) {
        (Some(_), Some(_)) => {
            sources
                .fault(FOLDER, "expected nothing, as FALLBACK_MINIO_ENDPOINT is set: there is one fallback");
            return None;
        }
        (Some(s3), None) => StorageConfig::S3(s3),
        (None, Some(folder)) => StorageConfig::Folder { root: folder.into() },
        (None, None) => {
            if after.is_some() {
                sources.fault(AFTER, "is set, expected FALLBACK_DIR or FALLBACK_MINIO_ENDPOINT with it");
            }
            return None;
        }
    };
    Some(FallbackConfig { storage, after: seconds(after.unwrap_or(DEFAULT_FALLBACK_AFTER_SECONDS)) })
}

impl Section<'_> {
    fn name(&self, setting: &str) -> String {
        format!("{}{setting}", self.prefix)
    }

    /// Returns the S3 store if any setting of S3 is set.
    fn s3(&self, sources: &mut Sources) -> Option<S3Config> {
        let because =
            S3_SETTINGS.map(|name| self.name(name)).into_iter().find(|name| sources.get(name).is_some())?;
        let why = match self.prefix {
            "" => format!("as {because} is set (without any MINIO_ setting recordings stay local)"),
            _ => format!("as {because} is set"),
        };
        let host = self.host(sources, &why);
        let scheme = match truth(sources, &self.name("MINIO_USE_SSL")) {
            true => "https",
            false => "http",
        };
        let port = port(sources, &self.name("MINIO_PORT"), DEFAULT_MINIO_PORT);
        let region = sources.get(&self.name("MINIO_REGION"));
        let secret = self.name("MINIO_SECRET_KEY");
        Some(S3Config {
            endpoint: format!("{scheme}://{host}:{port}"),
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            bucket: self.bucket(sources),
            access_key: sources.required(&self.name("MINIO_ACCESS_KEY"), &format!("an access key, {why}")),
            secret_key: sources.required_secret(&secret, &format!("its secret, {why}")),
            cutting: self.cutting(sources),
        })
    }

    fn host(&self, sources: &mut Sources, why: &str) -> String {
        let name = self.name("MINIO_ENDPOINT");
        if sources.get(&name).is_none() {
            return sources.required(&name, &format!("the store's host name, {why}"));
        }
        let expected =
            format!("a host name without scheme or port ({0}MINIO_USE_SSL, {0}MINIO_PORT)", self.prefix);
        sources.optional(&name, (Hidden, &expected), host).unwrap_or_default()
    }

    fn bucket(&self, sources: &mut Sources) -> String {
        let expected =
            (Shown, "3 to 63 lower-case letters, digits, hyphens and dots, the ends a letter or digit");
        let bucket = sources.optional(&self.name("MINIO_BUCKET"), expected, bucket);
        bucket.unwrap_or_else(|| DEFAULT_BUCKET.to_owned())
    }

    fn cutting(&self, sources: &mut Sources) -> Cutting {
        let longest = Longest::of(self.defaults);
        let least = longest.least_part_mib();
        let expected = format!(
            "a whole number of MiB from {least} to {LARGEST_PART_MIB}: recordings of {} fit into {MAX_PARTS} parts \
             only then, and their index into one",
            longest.words()
        );
        let part = sources.optional(&self.name("MINIO_EQUAL_PARTS_MIB"), (Shown, &expected), |text| {
            parse::<u64>(text).filter(|mib| (least..=LARGEST_PART_MIB).contains(mib))
        });
        part.map_or(Cutting::Growing, |mib| Cutting::Equal { part: mib * MIB, head: longest.head() })
    }
}

/// The longest recording that must fit: the longest that is allowed, or a day.
struct Longest {
    seconds: u64,
    bytes_per_second: u64,
    head_per_second: u64,
}

impl Longest {
    fn of(options: &RecordingOptions) -> Self {
        // A second has one size for each picture and each of 47 pieces of sound, four bytes each. Each stream
        // has a chunk in each of up to four fragments: an offset of eight bytes and a sample count of twelve.
        // There are one or two keyframes of four bytes.
        let head_per_second = 4 * u64::from(options.frame_rate) + 4 * 47 + 4 * 2 * (8 + 12) + 2 * 4;
        Self {
            seconds: options.max_duration_seconds.map_or(A_DAY, u64::from),
            bytes_per_second: u64::from(options.video_kbps + options.audio_kbps) * 1000 / 8,
            head_per_second,
        }
    }

    /// Returns the most bytes that its head needs. The first 64 KiB do not depend on its length.
    fn head(&self) -> u64 {
        64 * 1024 + self.seconds * self.head_per_second
    }

    fn least_part_mib(&self) -> u64 {
        let by_number = (self.seconds * self.bytes_per_second).div_ceil(u64::from(MAX_PARTS - 1));
        MIN_PART_SIZE.max(by_number).max(self.head()).div_ceil(MIB)
    }

    fn words(&self) -> String {
        match self.seconds {
            A_DAY => "a day".to_owned(),
            seconds => format!("{seconds} s"),
        }
    }
}

fn host(text: &str) -> Option<String> {
    Host::parse(text).ok().map(|host| host.to_string())
}

fn bucket(text: &str) -> Option<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let end = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let bytes = text.as_bytes();
    let fits = (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(inner)
        && end(bytes.first())
        && end(bytes.last());
    fits.then(|| text.to_owned())
}
