//! The findings of a check: what is checked, how good it is, and what to do about it. Pure data.

use serde::Serialize;

/// In this order, because the worst one decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Ok,
    /// Recordings can be made, but an operator should look at this.
    Warning,
    /// No recording can be made, or it would be lost.
    Fault,
}

/// The subject of a finding. Findings are shown in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Configuration,
    Livekit,
    Signalling,
    Clock,
    Store,
    Fallback,
    Encoders,
    Decoders,
    Fonts,
    Watermark,
    DataFolder,
    Disk,
    Files,
    Capacity,
    Api,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub subject: Subject,
    pub grade: Grade,
    /// One sentence without a full stop. Holds no secret.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Grade {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

impl Subject {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Livekit => "LiveKit",
            Self::Signalling => "signalling",
            Self::Clock => "clock",
            Self::Store => "store",
            Self::Fallback => "second store",
            Self::Encoders => "encoders",
            Self::Decoders => "decoders",
            Self::Fonts => "fonts",
            Self::Watermark => "watermark",
            Self::DataFolder => "data folder",
            Self::Disk => "disk",
            Self::Files => "open files",
            Self::Capacity => "capacity",
            Self::Api => "API",
        }
    }

    pub fn ok(self, says: impl Into<String>) -> Finding {
        Finding { subject: self, grade: Grade::Ok, says: says.into(), advice: None }
    }

    pub fn warning(self, says: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { subject: self, grade: Grade::Warning, says: says.into(), advice: Some(advice.into()) }
    }

    pub fn fault(self, says: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { subject: self, grade: Grade::Fault, says: says.into(), advice: Some(advice.into()) }
    }

    /// Returns the finding for a subject whose settings are not usable.
    pub fn not_checked(self) -> Finding {
        self.fault("not checked, as its settings are not usable", "set right what the configuration lacks")
    }
}

/// Returns an error with its causes as one sentence, without repetitions.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let words = source.to_string();
        if !sentence.contains(&words) {
            sentence = format!("{sentence}: {words}");
        }
        cause = source.source();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Layer {
        words: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn a_cause_that_repeats_what_was_said_is_left_out() {
        let root = Layer { words: "connection refused", source: None };
        let middle = Layer { words: "no answer: connection refused", source: Some(Box::new(root)) };
        let top = Layer { words: "cannot reach it", source: Some(Box::new(middle)) };
        assert_eq!(sentence(&top), "cannot reach it: no answer: connection refused");
    }
}
