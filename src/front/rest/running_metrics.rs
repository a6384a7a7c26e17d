//! Owns the metrics of each running recording (`docs/operations.md`), in Prometheus' text format. Pure.
//!
//! Contract: only the listed recordings are written, so a recording that has ended has no series any more.

use std::fmt::Write;

use crate::control::RunningRecording;

struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Returns `None` where nothing is known.
    value: fn(&RunningRecording) -> Option<f64>,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "egressd_recording_frames_total",
        kind: "counter",
        help: "Frames made.",
        value: |one| Some(one.vitals.frames as f64),
    },
    Metric {
        name: "egressd_recording_hurried_frames_total",
        kind: "counter",
        help: "Frames made before every decoder had given out what belonged to them.",
        value: |one| Some(one.vitals.hurried_frames as f64),
    },
    Metric {
        name: "egressd_recording_lag_seconds",
        kind: "gauge",
        help: "How long ago it was what the newest frame shows.",
        value: |one| Some(one.vitals.lag.as_secs_f64()),
    },
    Metric {
        name: "egressd_recording_longest_delay_seconds",
        kind: "gauge",
        help: "The furthest that the making of a frame was behind its schedule.",
        value: |one| Some(one.vitals.longest_delay.as_secs_f64()),
    },
    Metric {
        name: "egressd_recording_lost_packets_total",
        kind: "counter",
        help: "Packets of all tracks that were missing in the end.",
        value: |one| Some(one.vitals.packets_lost as f64),
    },
    Metric {
        name: "egressd_recording_lost_frames_total",
        kind: "counter",
        help: "Encoded frames of all tracks that came and were of no use.",
        value: |one| Some(one.vitals.frames_lost as f64),
    },
    Metric {
        name: "egressd_recording_frozen_seconds_total",
        kind: "counter",
        help: "Time on the picture without a new one, of all cameras.",
        value: |one| Some(one.vitals.frozen.as_secs_f64()),
    },
    Metric {
        name: "egressd_recording_participants",
        kind: "gauge",
        help: "Participants in the room.",
        value: |one| Some(one.vitals.participants as f64),
    },
    Metric {
        name: "egressd_recording_tracks",
        kind: "gauge",
        help: "Tracks that are published and recorded.",
        value: |one| Some(one.vitals.tracks as f64),
    },
    Metric {
        name: "egressd_recording_cpu_seconds_total",
        kind: "counter",
        help: "Processor time of its worker.",
        value: |one| one.cost.map(|cost| cost.cpu.as_secs_f64()),
    },
    Metric {
        name: "egressd_recording_memory_bytes",
        kind: "gauge",
        help: "Resident memory of its worker.",
        value: |one| one.cost.map(|cost| cost.bytes as f64),
    },
];

pub fn render(running: &[RunningRecording]) -> String {
    let mut text = String::new();
    if running.is_empty() {
        return text;
    }
    for Metric { name, kind, help, value } in METRICS {
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for one in running {
            if let Some(value) = value(one) {
                let (id, room) = (&one.egress_id, escaped(one.room.as_str()));
                let _infallible = writeln!(text, "{name}{{egress_id=\"{id}\",room=\"{room}\"}} {value}");
            }
        }
    }
    text
}

/// Escapes a label's value. A room's name has no line feed.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::{ProcessCost, Vitals};

    fn one(room: &str, cost: Option<ProcessCost>) -> RunningRecording {
        let vitals = Vitals { frames: 300, lag: Duration::from_millis(950), ..Vitals::default() };
        RunningRecording {
            egress_id: "EG_abcdefghijkl".parse().unwrap(),
            room: room.parse().unwrap(),
            vitals,
            cost,
        }
    }

    #[test]
    fn each_running_recording_has_its_series_and_an_ended_one_has_none() {
        let cost = ProcessCost { cpu: Duration::from_millis(2500), bytes: 100 };
        let text = render(&[one("standup", Some(cost))]);
        let labels = r#"{egress_id="EG_abcdefghijkl",room="standup"}"#;
        for line in [
            "# TYPE egressd_recording_frames_total counter".to_owned(),
            format!("egressd_recording_frames_total{labels} 300"),
            format!("egressd_recording_lag_seconds{labels} 0.95"),
            format!("egressd_recording_cpu_seconds_total{labels} 2.5"),
            format!("egressd_recording_memory_bytes{labels} 100"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert_eq!(render(&[]), "");
    }

    #[test]
    fn what_is_not_known_is_left_out_and_a_rooms_name_breaks_no_line() {
        let text = render(&[one("a\"} 1 \\", None)]);
        assert!(!text.contains("cpu_seconds_total{"));
        assert!(text.contains(r#"room="a\"} 1 \\"} 300"#), "{text}");
    }

    #[test]
    fn names_are_as_prometheus_has_them() {
        for Metric { name, kind, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        }
    }
}
