//! Settings without and with faults, and the configuration that they result in.

use std::cell::RefCell;
use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::*;
use crate::media::{Codec, Corner, Decorations, FitChoice, Layout, Theme, View, Watermark};
use crate::storage::Cutting;

const REQUIRED: [(&str, &str); 5] = [
    ("API_KEY", "key-1"),
    ("API_SECRET", "hush-api"),
    ("LIVEKIT_URL_INTERNAL", "ws://livekit:7880"),
    ("LIVEKIT_API_KEY", "devkey"),
    ("LIVEKIT_API_SECRET", "hush-livekit"),
];
const MINIO: [(&str, &str); 3] =
    [("MINIO_ENDPOINT", "minio"), ("MINIO_ACCESS_KEY", "access"), ("MINIO_SECRET_KEY", "hush-minio")];

fn parse(env: &[(&str, &str)], toml: Option<&str>) -> Result<Config, ConfigErrors> {
    // A later setting replaces an earlier one.
    let find = |name: &str| env.iter().rev().find(|set| set.0 == name);
    Config::from_sources(|name| find(name).map(|set| set.1.to_owned()), toml)
}

/// Returns the configuration of the required settings and these.
pub(super) fn with(more: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    parse(&[&REQUIRED, more].concat(), None)
}

pub(super) fn with_file(more: &[(&str, &str)], toml: &str) -> Result<Config, ConfigErrors> {
    parse(&[&REQUIRED, more].concat(), Some(toml))
}

#[track_caller]
pub(super) fn good(result: Result<Config, ConfigErrors>) -> Config {
    result.unwrap_or_else(|errors| panic!("{errors}"))
}

/// Returns the names of the settings that have a fault.
#[track_caller]
fn faulty(result: Result<Config, ConfigErrors>) -> Vec<String> {
    faults(result).into_iter().map(|fault| fault.name).collect()
}

#[track_caller]
pub(super) fn faults(result: Result<Config, ConfigErrors>) -> Vec<Fault> {
    result.expect_err("a fault").faults().to_vec()
}

#[track_caller]
fn s3(config: Config) -> crate::storage::S3Config {
    match config.storage {
        StorageConfig::S3(s3) => s3,
        StorageConfig::Folder { root } => panic!("{root:?}"),
    }
}

#[test]
fn the_required_settings_alone_give_the_documented_defaults() {
    let config = good(with(&[]));
    assert_eq!(config.api.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.api.key.expose_secret(), "key-1");
    assert_eq!(config.api.secret.expose_secret(), "hush-api");
    assert!(config.api.cors_origins.is_empty());
    assert_eq!(config.api.rate_limit.max.get(), 100);
    assert_eq!(config.api.rate_limit.window, Duration::from_secs(60));
    assert_eq!(config.webhook.targets, TargetPolicy::PublicOnly);
    assert!(config.webhook.fixed.is_empty());
    assert_eq!(config.recording.idle_timeout, Duration::from_secs(300));
    assert_eq!(config.recording.defaults, RecordingOptions::default());
    assert_eq!(config.recording.max_recordings, None);
    assert_eq!(config.recording.max_load_percent.get(), 90);
    assert_eq!(config.recording.min_free_disk_mb, 1024);
    assert_eq!(config.recording.resume_within, Duration::from_secs(300));
    assert_eq!(config.shutdown_grace, Duration::ZERO);
    assert_eq!(config.data_dir.path(), Path::new("./data"));
    assert_eq!(config.log_level, LogLevel::Info);
    let StorageConfig::Folder { root } = config.storage else {
        panic!("{:?}", config.storage);
    };
    assert_eq!(root, Path::new("./data/recordings"));
}

#[test]
fn equal_parts_are_accepted_where_the_longest_recording_fits() {
    let cutting = |more: &[(&str, &str)]| s3(good(with(&[&MINIO, more].concat()))).cutting;
    assert_eq!(cutting(&[]), Cutting::Growing);
    let Cutting::Equal { part, head } = cutting(&[("MINIO_EQUAL_PARTS_MIB", "64")]) else {
        panic!("parts grow");
    };
    assert_eq!(part, 64 << 20);
    // A day's index has about 20 KiB a minute, with short fragments twice that.
    assert!((29 << 20..64 << 20).contains(&head), "{head}");

    let too_small = [&MINIO[..], &[("MINIO_EQUAL_PARTS_MIB", "16")]].concat();
    let error = with(&too_small).expect_err("no room for a day").to_string();
    assert!(
        error.contains("MINIO_EQUAL_PARTS_MIB: is \"16\", expected a whole number of MiB from 4"),
        "{error}"
    );
    let short = [("MINIO_EQUAL_PARTS_MIB", "16"), ("EGRESSD_MAX_DURATION_SECONDS", "7200")];
    assert!(matches!(cutting(&short), Cutting::Equal { .. }));
}

#[test]
fn a_fallback_is_a_folder_or_a_bucket_and_never_both() {
    assert!(good(with(&[])).fallback.is_none());
    let folder = good(with(&[("FALLBACK_DIR", "/srv/fallback")])).fallback.expect("a fallback");
    assert_eq!(folder.after, Duration::from_secs(600));
    assert!(matches!(folder.storage, StorageConfig::Folder { root } if root == Path::new("/srv/fallback")));

    let bucket = [
        ("FALLBACK_MINIO_ENDPOINT", "other"),
        ("FALLBACK_MINIO_ACCESS_KEY", "access"),
        ("FALLBACK_MINIO_SECRET_KEY", "hush-other"),
        ("FALLBACK_AFTER_SECONDS", "60"),
    ];
    let fallback = good(with(&bucket)).fallback.expect("a fallback");
    assert_eq!(fallback.after, Duration::from_secs(60));
    assert!(matches!(&fallback.storage, StorageConfig::S3(s3) if s3.endpoint == "http://other:9000"));
    assert!(!format!("{fallback:?}").contains("hush"), "{fallback:?}");

    assert_eq!(faulty(with(&[&bucket[..], &[("FALLBACK_DIR", "/srv")]].concat())), ["FALLBACK_DIR"]);
    assert_eq!(faulty(with(&bucket[3..])), ["FALLBACK_AFTER_SECONDS"]);
    let missing = ["FALLBACK_MINIO_ACCESS_KEY", "FALLBACK_MINIO_SECRET_KEY"];
    assert_eq!(faulty(with(&bucket[..1])), missing);
}

#[test]
fn every_missing_setting_is_listed_at_once() {
    let names = faulty(parse(&[], None));
    assert_eq!(names, REQUIRED.map(|(name, _)| name));
}

#[test]
fn the_message_names_each_fault_and_what_is_expected() {
    let errors = with(&[("API_PORT", "80x"), ("WEBHOOK_ALLOW_PRIVATE", "yes")]);
    let text = errors.expect_err("two faults").to_string();
    let expected = "the configuration is not usable (docs/configuration.md lists every setting):\n  \
        API_PORT: is \"80x\", expected a port number, 0 to 65535\n  \
        WEBHOOK_ALLOW_PRIVATE: is \"yes\", expected true or false";
    assert_eq!(text, expected);
}

#[test]
fn a_wrong_value_is_never_replaced_by_a_default() {
    let wrong = [
        ("API_HOST", "localhost"),
        ("API_PORT", "65536"),
        ("API_PORT", "-1"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example,b.example"),
        ("CORS_ORIGINS", "https://a.example/app"),
        ("RATE_LIMIT_MAX", "0"),
        ("RATE_LIMIT_MAX", "1e3"),
        ("RATE_LIMIT_WINDOW_MS", "1m"),
        ("LIVEKIT_URL_INTERNAL", "livekit:7880"),
        ("LIVEKIT_URL_INTERNAL", "ftp://livekit"),
        ("LIVEKIT_URL_INTERNAL", "ws://livekit?x=1"),
        ("EGRESSD_IDLE_TIMEOUT_SECONDS", "0"),
        ("EGRESSD_MAX_DURATION_SECONDS", "forever"),
        ("EGRESSD_MAX_SIZE_MB", "2 GB"),
        ("EGRESSD_MAX_RECORDINGS", "0"),
        ("EGRESSD_RECONNECT_TIMEOUT_SECONDS", "0"),
        ("EGRESSD_DISABLE_CODECS", "av1,opus"),
        ("EGRESSD_DISABLE_CODECS", "theora"),
        ("EGRESSD_LAYOUT", "mosaic"),
        ("EGRESSD_FIT", "stretch"),
        ("EGRESSD_NAME_TAGS", "1"),
        ("EGRESSD_INITIALS", "on"),
        ("EGRESSD_SPEAKER_BORDER", "red"),
        ("LOG_LEVEL", "loud"),
    ];
    for (name, value) in wrong {
        assert_eq!(faulty(with(&[(name, value)])), [name], "{value}");
    }
}

#[test]
fn codecs_are_disabled_by_name() {
    let disabled = |value| good(with(&[("EGRESSD_DISABLE_CODECS", value)])).recording.disabled_codecs;
    assert_eq!(disabled(""), []);
    assert_eq!(disabled("AV1, h265"), [Codec::Av1, Codec::H265]);
}

#[test]
fn a_wrong_value_of_the_store_is_named() {
    let wrong = [
        ("MINIO_ENDPOINT", "http://minio"),
        ("MINIO_ENDPOINT", "minio:9000"),
        ("MINIO_PORT", "nine"),
        ("MINIO_USE_SSL", "1"),
        ("MINIO_BUCKET", "My_Bucket"),
        ("MINIO_BUCKET", "-b-"),
    ];
    for (name, value) in wrong {
        let settings = [&MINIO[..], &[(name, value)]].concat();
        assert_eq!(faulty(with(&settings)), [name], "{value}");
    }
}

#[test]
fn a_wrong_detail_of_the_watermark_is_named() {
    let file = ("EGRESSD_WATERMARK_FILE", "/etc/logo.png");
    let wrong = [
        ("EGRESSD_WATERMARK_POSITION", "middle"),
        ("EGRESSD_WATERMARK_OPACITY", "1.5"),
        ("EGRESSD_WATERMARK_OPACITY", "NaN"),
        ("EGRESSD_WATERMARK_OPACITY", "half"),
    ];
    for (name, value) in wrong {
        assert_eq!(faulty(with(&[file, (name, value)])), [name], "{value}");
    }
    let alone = ("EGRESSD_WATERMARK_OPACITY", "0.5");
    assert_eq!(faulty(with(&[alone])), ["EGRESSD_WATERMARK_FILE"]);
}

#[test]
fn recordings_look_as_the_operator_decides() {
    let settings = [
        ("EGRESSD_MAX_DURATION_SECONDS", "3600"),
        ("EGRESSD_LAYOUT", "speaker-light"),
        ("EGRESSD_FIT", "contain"),
        ("EGRESSD_NAME_TAGS", "true"),
        ("EGRESSD_INITIALS", "true"),
        ("EGRESSD_SPEAKER_BORDER", "true"),
        ("EGRESSD_WATERMARK_FILE", "/etc/logo.png"),
        ("EGRESSD_WATERMARK_POSITION", "top-left"),
        ("EGRESSD_WATERMARK_OPACITY", "0.5"),
        ("EGRESSD_MAX_SIZE_MB", "2000"),
    ];
    let watermark = Watermark { file: "/etc/logo.png".into(), corner: Corner::TopLeft, opacity: 0.5 };
    let expected = RecordingOptions {
        max_duration_seconds: Some(3600),
        max_size_mb: Some(2000),
        view: View { layout: Layout::Speaker, theme: Theme::Light, fit: FitChoice::Contain },
        decorations: Decorations {
            names: true,
            initials: true,
            speaker_border: true,
            watermark: Some(watermark),
        },
        ..RecordingOptions::default()
    };
    assert_eq!(good(with(&settings)).recording.defaults, expected);
    let watermark = good(with(&settings[6..7])).recording.defaults.decorations.watermark.expect("one");
    assert_eq!((watermark.corner, watermark.opacity), (Corner::BottomRight, 1.0));
}

#[test]
fn an_empty_setting_counts_as_not_set() {
    let config = good(with(&[("API_PORT", ""), ("MINIO_ENDPOINT", "  ")]));
    assert_eq!(config.api.listen.port(), 8080);
    assert!(matches!(config.storage, StorageConfig::Folder { .. }));
    assert_eq!(faulty(with(&[("API_KEY", "")])), ["API_KEY"]);
}

#[test]
fn the_store_needs_its_whole_group() {
    for given in [0, 1, 2] {
        let names = faulty(with(&MINIO[given..=given]));
        let missing: Vec<_> = MINIO.iter().map(|m| m.0).filter(|n| *n != MINIO[given].0).collect();
        assert_eq!(names, missing);
    }
    let names = faulty(with(&[("MINIO_BUCKET", "recordings")]));
    assert_eq!(names, MINIO.map(|m| m.0));
}

#[test]
fn the_endpoint_is_made_of_host_port_and_scheme() {
    let plain = s3(good(with(&MINIO)));
    assert_eq!(plain.endpoint, "http://minio:9000");
    assert_eq!(plain.bucket, "rtcstack-recordings");
    assert_eq!(plain.region, "us-east-1");
    assert_eq!(plain.secret_key.expose_secret(), "hush-minio");

    let more = [
        ("MINIO_ENDPOINT", "s3.eu-central-1.amazonaws.com"),
        ("MINIO_PORT", "443"),
        ("MINIO_USE_SSL", "true"),
        ("MINIO_BUCKET", "my.recordings-1"),
        ("MINIO_REGION", "eu-central-1"),
    ];
    let tls = s3(good(with(&[&MINIO[..], &more].concat())));
    assert_eq!(tls.endpoint, "https://s3.eu-central-1.amazonaws.com:443");
    assert_eq!((tls.bucket.as_str(), tls.region.as_str()), ("my.recordings-1", "eu-central-1"));
}

#[test]
fn a_livekit_url_may_be_given_as_websocket_or_http() {
    let cases = [
        ("ws://livekit:7880", "ws://livekit:7880", "http://livekit:7880"),
        ("http://livekit:7880/", "ws://livekit:7880", "http://livekit:7880"),
        ("https://x.livekit.cloud", "wss://x.livekit.cloud", "https://x.livekit.cloud"),
        ("wss://x.example/lk/", "wss://x.example/lk", "https://x.example/lk"),
    ];
    for (given, websocket, http) in cases {
        let livekit = good(with(&[("LIVEKIT_URL_INTERNAL", given)])).livekit;
        assert_eq!(livekit.url, websocket);
        assert_eq!(livekit.http_url(), http);
    }
}

#[test]
fn origins_are_kept_as_browsers_send_them() {
    let config = good(with(&[(
        "CORS_ORIGINS",
        "https://App.example.com, http://localhost:5173,https://x.example:443",
    )]));
    let expected = ["https://app.example.com", "http://localhost:5173", "https://x.example"];
    assert_eq!(config.api.cors_origins, expected);
}

#[test]
fn redis_is_refused_rather_than_ignored() {
    let errors = with(&[("REDIS_URL", "redis://:hush-redis@redis:6379")]);
    let errors = errors.expect_err("REDIS_URL");
    assert_eq!(errors.faults()[0].name, "REDIS_URL");
    assert!(!errors.to_string().contains("hush"), "{errors}");
}

#[test]
fn the_file_may_hold_the_same_and_the_environment_wins() {
    let file = r#"
        api_port = 9090
        rate_limit_max = "7"
        webhook_allow_private = true
        cors_origins = ["https://a.example", "https://b.example"]
        log_level = "debug"
    "#;
    let config = good(with_file(&[("LOG_LEVEL", "warn"), ("API_PORT", "")], file));
    assert_eq!(config.api.listen.port(), 9090);
    assert_eq!(config.api.rate_limit.max.get(), 7);
    assert_eq!(config.webhook.targets, TargetPolicy::AnyAddress);
    assert_eq!(config.api.cors_origins.len(), 2);
    assert_eq!(config.log_level, LogLevel::Warn);
}

#[test]
fn an_unknown_key_in_the_file_is_refused_by_its_name() {
    for key in ["api_prot", "API_PORT", "egressd_config"] {
        let result = with_file(&[], &format!("{key} = 1"));
        assert_eq!(faulty(result), [key]);
    }
    assert_eq!(faulty(with_file(&[], "[api]\nport = 1")), ["api"]);
}

#[test]
fn a_value_of_the_wrong_type_in_the_file_is_refused() {
    for value in ["1.5", "{ a = 1 }", "[1, 2]", "2024-01-01"] {
        let result = with_file(&[], &format!("api_port = {value}"));
        assert_eq!(faulty(result), ["api_port"], "{value}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_without_quoting_it() {
    let errors = with_file(&[], "api_port = 1\napi_secret = hush-file").expect_err("not TOML");
    let fault = Fault::new("EGRESSD_CONFIG", "line 2 of the file is not TOML");
    assert_eq!(errors.faults(), [fault]);
}

#[test]
fn no_secret_shows_in_debug_output() {
    let text = format!("{:?}", good(with(&MINIO)));
    assert!(!text.contains("hush") && !text.contains("key-1"), "{text}");
}

#[test]
fn every_setting_is_read_and_documented() {
    let read = RefCell::new(BTreeSet::from([FILE_VARIABLE.to_owned()]));
    let _ = Config::from_sources(
        |name| {
            read.borrow_mut().insert(name.to_owned());
            MINIO.iter().find(|m| m.0 == name).map(|m| m.1.to_owned())
        },
        None,
    );
    assert_eq!(read.into_inner(), SETTINGS.map(str::to_owned).into());

    let reference = include_str!("../../docs/configuration.md");
    for name in SETTINGS {
        assert!(reference.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn going_on_after_a_restart_can_be_switched_off_and_grace_be_given() {
    let config =
        good(with(&[("EGRESSD_RESUME_WITHIN_SECONDS", "0"), ("EGRESSD_SHUTDOWN_GRACE_SECONDS", "90")]));
    assert_eq!(config.recording.resume_within, Duration::ZERO);
    assert_eq!(config.shutdown_grace, Duration::from_secs(90));
}

#[test]
fn the_good_parts_of_a_faulty_configuration_can_be_looked_at() {
    let env = [&REQUIRED[2..], &MINIO, &[("MINIO_PORT", "nine"), ("LOG_LEVEL", "loud")]].concat();
    let find = |name: &str| env.iter().find(|set| set.0 == name).map(|set| set.1.to_owned());
    let examined = Examined::from_sources(find, None);
    let names: BTreeSet<_> = examined.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["API_KEY", "API_SECRET", "LOG_LEVEL", "MINIO_PORT"]));
    assert_eq!(examined.set, 8);
    let parts = examined.parts.expect("there is no file");
    assert!(parts.livekit.is_some() && parts.recording.is_some());
    assert!(parts.api.is_none() && parts.storage.is_none());
}

#[test]
fn nothing_is_believed_of_a_configuration_whose_file_cannot_be_read() {
    let find = |name: &str| REQUIRED.iter().find(|set| set.0 == name).map(|set| set.1.to_owned());
    let examined = Examined::from_sources(find, Some("api_secret = hush"));
    assert_eq!(examined.faults[0].name, "EGRESSD_CONFIG");
    assert!(examined.parts.is_none());
}

#[test]
fn a_second_key_pair_is_whole_and_another_one() {
    let second = [("EGRESSD_API_KEY_2", "key-2"), ("EGRESSD_API_SECRET_2", "hush-2")];
    let pair = good(with(&second)).api.second.expect("it is set");
    assert_eq!((pair.key.expose_secret(), pair.secret.expose_secret()), ("key-2", "hush-2"));
    assert!(good(with(&[])).api.second.is_none());
    assert_eq!(faulty(with(&second[..1])), ["EGRESSD_API_SECRET_2"]);
    assert_eq!(faulty(with(&second[1..])), ["EGRESSD_API_KEY_2"]);
    assert_eq!(faulty(with(&[("EGRESSD_API_KEY_2", "key-1"), second[1]])), ["EGRESSD_API_KEY_2"]);
}

#[test]
fn metrics_have_a_port_of_their_own_where_one_is_named() {
    assert_eq!(good(with(&[])).api.metrics_listen, None);
    let set = good(with(&[("EGRESSD_METRICS_LISTEN", "127.0.0.1:9090")])).api.metrics_listen;
    assert_eq!(set.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9090"));
    for wrong in ["9090", ":9090", "localhost:9090", "127.0.0.1"] {
        assert_eq!(faulty(with(&[("EGRESSD_METRICS_LISTEN", wrong)])), ["EGRESSD_METRICS_LISTEN"], "{wrong}");
    }
}

#[test]
fn a_recording_without_a_service_needs_livekit_and_nothing_else() {
    let load = |env: &[(&str, &str)], joining| {
        let find = |name: &str| env.iter().find(|set| set.0 == name).map(|set| set.1.to_owned());
        RecorderConfig::from_sources(find, None, joining)
    };
    let config = load(&REQUIRED[2..], Joining::Yes).expect("no fault");
    assert_eq!(config.livekit.expect("a server").url, "ws://livekit:7880");
    let missing = load(&[], Joining::Yes).expect_err("no server");
    let names: Vec<_> = missing.faults().iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, REQUIRED[2..].iter().map(|set| set.0).collect::<Vec<_>>());
    assert!(load(&[], Joining::No).expect("no fault").livekit.is_none());
    assert!(load(&[("EGRESSD_LAYOUT", "mosaic")], Joining::No).is_err());
}
