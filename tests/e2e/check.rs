//! `egressd check` beside real servers: what works is good, each fault is named as what it is, nothing is left behind.

use serde_json::Value;

use crate::support::process::free_tcp_port;
use crate::support::servers::{LiveKit, Minio};
use crate::support::service::Service;
use crate::support::stage::{Options, Signalling, Stage};

/// As long as the right one, so that only its value is wrong.
const WRONG: &str = "another-secret-that-nobody-has-given-out";

/// GStreamer without any of its plugins, and without leaving that in its registry.
pub const NO_PLUGINS: [(&str, &str); 2] =
    [("GST_PLUGIN_SYSTEM_PATH_1_0", "/nowhere"), ("GST_REGISTRY_DISABLE", "yes")];

/// Subject, grade, and words of what it says or advises.
type Expected<'a> = (&'a str, &'a str, &'a str);
/// Settings that are wrong, and what comes of it.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [Expected<'a>]);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_works_is_good_and_stays_as_it_is() {
    let stage = Stage::open("checked").await;
    let (code, text) = stage.service.check(&[]);
    let report = read(&text);
    // The service itself has the port; and the machine that tests run on may be busy.
    assert_eq!((code, &report["status"]), (Some(0), &"warning".into()), "{text}");
    for subject in ["configuration", "livekit", "signalling", "clock", "store", "encoders", "decoders"] {
        assert_eq!(finding(&report, subject)["grade"], "ok", "{text}");
    }
    assert_eq!(finding(&report, "api")["grade"], "warning", "{text}");
    assert_eq!(stage.minio.objects(), serde_json::json!({}), "the test object is gone");
    for secret in [Service::SECRET, LiveKit::SECRET, Minio::SECRET_KEY, Service::KEY] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_named_and_the_rest_is_checked_all_the_same() {
    let stage = Stage::open("faults").await;
    let nobody = free_tcp_port().to_string();
    let (nowhere, minio) =
        (format!("ws://127.0.0.1:{nobody}"), format!("ws://127.0.0.1:{}", stage.minio.port()));
    let livekit_port = stage.livekit.port().to_string();
    let tls = format!("wss://127.0.0.1:{livekit_port}");
    let cases: &[Case] = &[
        (
            &[("LIVEKIT_URL_INTERNAL", &nowhere), ("MINIO_PORT", &nobody)],
            &[("livekit", "fault", "refused"), ("store", "fault", "refused"), ("encoders", "ok", "H.264")],
        ),
        (
            &[("LIVEKIT_API_KEY", "nobodys"), ("MINIO_ACCESS_KEY", "nobodys")],
            &[
                ("livekit", "fault", "LIVEKIT_API_KEY"),
                ("signalling", "ok", "websockets"),
                ("store", "fault", "MINIO_ACCESS_KEY"),
            ],
        ),
        (
            &[("LIVEKIT_API_SECRET", WRONG), ("MINIO_SECRET_KEY", WRONG)],
            &[("livekit", "fault", "LIVEKIT_API_SECRET"), ("store", "fault", "MINIO_SECRET_KEY")],
        ),
        (
            &[("LIVEKIT_URL_INTERNAL", &tls), ("MINIO_USE_SSL", "true")],
            &[("livekit", "fault", "TLS fails"), ("store", "fault", "TLS fails")],
        ),
        (
            &[("LIVEKIT_URL_INTERNAL", &minio), ("MINIO_PORT", &livekit_port)],
            &[("livekit", "fault", "not a LiveKit server"), ("store", "fault", "speaks S3")],
        ),
        (
            &NO_PLUGINS,
            &[
                ("encoders", "fault", "GStreamer"),
                ("decoders", "fault", "Opus"),
                ("livekit", "ok", ""),
                ("store", "ok", ""),
            ],
        ),
        (
            &[("MINIO_BUCKET", "missing"), ("EGRESSD_DATA_DIR", "/proc/nowhere"), ("API_KEY", " ")],
            &[
                ("configuration", "fault", "API_KEY: is not set"),
                ("livekit", "ok", ""),
                ("store", "fault", "no such bucket"),
                ("data-folder", "fault", "EGRESSD_DATA_DIR"),
            ],
        ),
    ];
    for (settings, expected) in cases {
        let (code, text) = stage.service.check(settings);
        assert_eq!(code, Some(1), "{settings:?}: {text}");
        let report = read(&text);
        for (subject, grade, words) in *expected {
            let found = finding(&report, subject);
            assert_eq!(found["grade"], *grade, "{settings:?}: {text}");
            assert!(found.to_string().contains(words), "{words}: {found}");
        }
        assert!(!text.contains(WRONG), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_not_trusted_is_told_from_a_server_that_is_away() {
    let signalling = Signalling::Tls { trusted: true };
    let stage = Stage::open_with("authority", Options { signalling, ..Options::default() }).await;
    let (_, trusted) = stage.service.check(&[]);
    assert_eq!(finding(&read(&trusted), "livekit")["grade"], "ok", "{trusted}");
    let (code, text) = stage.service.check(&[("EGRESSD_LIVEKIT_CA_FILE", "")]);
    assert_eq!(code, Some(1), "{text}");
    let found = finding(&read(&text), "livekit").to_string();
    assert!(found.contains("UnknownIssuer") && found.contains("EGRESSD_LIVEKIT_CA_FILE"), "{found}");
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn finding(report: &Value, subject: &str) -> Value {
    let all = report["checks"].as_array().expect("a list");
    let found = all.iter().find(|finding| finding["subject"] == subject);
    found.unwrap_or_else(|| panic!("nothing about {subject}: {report}")).clone()
}
