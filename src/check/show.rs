//! How findings are shown: lines for people, one JSON object for programs. Pure.

use std::fmt::Write;

use serde::Serialize;

use super::finding::{Finding, Grade};

/// Wide enough for every word of a grade and of a subject.
const GRADE_WIDTH: usize = 9;
const SUBJECT_WIDTH: usize = 15;

/// Whether words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    /// The terminal's own colours (ECMA-48, SGR).
    Terminal,
}

#[derive(Serialize)]
struct Report<'a> {
    status: Grade,
    checks: &'a [Finding],
}

/// Returns the worst grade of all findings.
pub fn overall(findings: &[Finding]) -> Grade {
    findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Ok)
}

/// Returns a line for each finding, its advice below it, and a summary at the end.
pub fn text(findings: &[Finding], colour: Colour) -> String {
    let mut text = String::new();
    for finding in findings {
        let grade = painted(finding.grade, colour);
        let subject = finding.subject.word();
        let _ = writeln!(text, "{grade}{subject:SUBJECT_WIDTH$}{}", finding.says);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:1$}-> {advice}", "", GRADE_WIDTH + SUBJECT_WIDTH);
        }
    }
    let _ = writeln!(text, "\n{}", summary(findings));
    text
}

pub fn json(findings: &[Finding]) -> String {
    let report = Report { status: overall(findings), checks: findings };
    serde_json::to_string_pretty(&report).expect("strings always serialize")
}

fn summary(findings: &[Finding]) -> String {
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
    let (faults, warnings) = (count(Grade::Fault), count(Grade::Warning));
    match (faults, warnings) {
        (0, 0) => "Recordings can be made.".to_owned(),
        (0, _) => format!("Recordings can be made; {}.", number(warnings, "warning")),
        (_, 0) => format!("No recordings can be made: {}.", number(faults, "fault")),
        _ => {
            format!(
                "No recordings can be made: {}, {}.",
                number(faults, "fault"),
                number(warnings, "warning")
            )
        }
    }
}

fn number(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn painted(grade: Grade, colour: Colour) -> String {
    let word = format!("{:GRADE_WIDTH$}", grade.word());
    let code = match grade {
        Grade::Ok => "32",
        Grade::Warning => "33",
        Grade::Fault => "1;31",
    };
    match colour {
        Colour::Plain => word,
        Colour::Terminal => format!("\x1b[{code}m{word}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Subject;

    fn findings() -> [Finding; 3] {
        [
            Subject::Livekit.ok("it answers"),
            Subject::Fonts.warning("there are none", "install one"),
            Subject::Store.fault("it does not answer", "start it"),
        ]
    }

    #[test]
    fn each_finding_is_a_line_with_what_to_do_below_it() {
        let expected = "ok       LiveKit        it answers\n\
            warning  fonts          there are none\n                        -> install one\n\
            fault    store          it does not answer\n                        -> start it\n\
            \nNo recordings can be made: 1 fault, 1 warning.\n";
        assert_eq!(text(&findings(), Colour::Plain), expected);
        assert!(text(&findings(), Colour::Terminal).contains("\x1b[1;31mfault"));
    }

    #[test]
    fn a_warning_keeps_nobody_from_recording() {
        assert_eq!(overall(&findings()[..2]), Grade::Warning);
        assert!(text(&findings()[..2], Colour::Plain).ends_with("\nRecordings can be made; 1 warning.\n"));
        assert!(text(&findings()[..1], Colour::Plain).ends_with("\nRecordings can be made.\n"));
        assert_eq!(overall(&findings()), Grade::Fault);
    }

    #[test]
    fn machines_read_the_same() {
        let read: serde_json::Value = serde_json::from_str(&json(&findings())).unwrap();
        assert_eq!(read["status"], "fault");
        let first = serde_json::json!({"subject": "livekit", "grade": "ok", "says": "it answers"});
        assert_eq!(read["checks"][0], first);
        assert_eq!(read["checks"][2]["advice"], "start it");
    }
}
