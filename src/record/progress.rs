//! What is seen of a recording while it runs: one line on a terminal, nothing elsewhere, where log lines say it.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::Path;

use jiff::Timestamp;

use crate::control::RecordingState;
use crate::report::QualityReport;
use crate::store::{Phase, SavedFile};

/// Carriage return, and clearing to the end of the line (ECMA-48, EL).
const REWRITE: &str = "\r\x1b[K";

pub enum Progress {
    Terminal,
    Hidden,
}

impl Progress {
    pub fn new() -> Self {
        if stderr().is_terminal() { Self::Terminal } else { Self::Hidden }
    }

    pub fn show(&mut self, state: &RecordingState) {
        self.line(&line(state, Timestamp::now()));
    }

    pub fn stopping(&mut self) {
        self.line("stopping; once more leaves the file unfinished");
    }

    pub fn done(&mut self) {
        self.line("");
    }

    /// The result, for whoever looks.
    pub fn recorded(file: &Path, saved: &SavedFile) {
        if stdout().is_terminal() {
            let megabytes = saved.size as f64 / 1e6;
            let text = format!("{}\n  {megabytes:.1} MB, {}\n", file.display(), clock(saved.duration_s));
            // The file is there, whether somebody reads this or not.
            let _ = stdout().lock().write_all(text.as_bytes());
        }
    }

    fn line(&self, text: &str) {
        match self {
            Self::Terminal => {
                let mut out = stderr().lock();
                // Nothing depends on it: a closed terminal is no reason to fail.
                let _ = write!(out, "{REWRITE}{text}").and_then(|()| out.flush());
            }
            Self::Hidden => {}
        }
    }
}

fn line(state: &RecordingState, now: Timestamp) -> String {
    let upload = state.upload.clone().unwrap_or_default();
    let megabytes = (upload.stored_bytes + upload.waiting_bytes) as f64 / 1e6;
    let elapsed = state.row.zero.map_or(0, |zero| now.duration_since(zero).as_secs().unsigned_abs());
    match state.row.phase {
        Phase::Starting => format!("joining {}", state.row.room),
        Phase::Active => {
            // The first report takes a moment.
            let people = match state.quality.as_ref().map(present) {
                None => String::new(),
                Some(1) => "1 participant  ".to_owned(),
                Some(number) => format!("{number} participants  "),
            };
            format!("recording  {}  {people}{megabytes:.1} MB", clock(elapsed))
        }
        Phase::Stopping => format!("stopping  {megabytes:.1} MB"),
        Phase::Uploading | Phase::Complete | Phase::Failed => {
            format!("finishing the file  {megabytes:.1} MB")
        }
    }
}

/// Those who were there when the report was made.
fn present(report: &QualityReport) -> usize {
    report.participants.iter().filter(|participant| participant.to_ms >= report.file.duration_ms).count()
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::ids::EgressId;
    use crate::options::RecordingOptions;
    use crate::report::{FileReport, ParticipantReport};
    use crate::store::RecordingRow;
    use crate::upload::UploadStatus;

    fn state(phase: Phase) -> RecordingState {
        let row = RecordingRow {
            egress_id: EgressId::random(),
            room: "standup".parse().unwrap(),
            phase,
            started_at: Timestamp::UNIX_EPOCH,
            key: "standup/x.mp4".into(),
            options: RecordingOptions::default(),
            zero: Some(Timestamp::UNIX_EPOCH),
            first_media_at: None,
            end_status: None,
            ended_at: None,
            saved: None,
            error: None,
        };
        let upload =
            UploadStatus { stored_bytes: 5_000_000, waiting_bytes: 1_230_000, ..UploadStatus::default() };
        RecordingState { row, quality: None, upload: Some(upload) }
    }

    fn participant(to_ms: u64) -> ParticipantReport {
        ParticipantReport { to_ms, ..ParticipantReport::default() }
    }

    #[test]
    fn time_people_and_size_are_told() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(3723);
        let report = QualityReport {
            file: FileReport { duration_ms: 5000, ..FileReport::default() },
            participants: vec![participant(5000), participant(3000), participant(5000)],
            ..QualityReport::default()
        };
        let state = RecordingState { quality: Some(report), ..state(Phase::Active) };
        assert_eq!(line(&state, now), "recording  1:02:03  2 participants  6.2 MB");
    }

    #[test]
    fn each_phase_has_words_of_its_own() {
        let words = |phase| line(&state(phase), Timestamp::UNIX_EPOCH);
        assert_eq!(words(Phase::Starting), "joining standup");
        assert_eq!(words(Phase::Active), "recording  0:00:00  6.2 MB");
        assert_eq!(words(Phase::Uploading), "finishing the file  6.2 MB");
    }
}
