//! The state of the whole service, for metrics and the console. Pure data, and what follows from it.

use crate::ids::EgressId;
use crate::store::Census;

use super::running::RunningRecording;
use crate::admission::Space;
use crate::upload::{Trouble, UploadStatus};

/// All recordings, and what they wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    pub census: Census,
    pub uploads: Vec<(EgressId, UploadStatus)>,
    pub running: Vec<RunningRecording>,
    pub space: Space,
}

/// Returns what has kept an upload from going on for the longest time; `None` if nothing does.
pub fn store_trouble(uploads: &[(EgressId, UploadStatus)]) -> Option<&Trouble> {
    let troubles = uploads.iter().filter_map(|(_, status)| status.trouble.as_ref());
    troubles.min_by_key(|trouble| trouble.since)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_oldest_trouble_stands_for_all() {
        let trouble = |second: i64| {
            let since = Timestamp::from_second(second).unwrap();
            Some(Trouble { reason: format!("since {second}"), since, attempts: 1 })
        };
        let upload = |trouble| (EgressId::random(), UploadStatus { trouble, ..UploadStatus::default() });
        let mut uploads = vec![upload(None)];
        assert_eq!(store_trouble(&uploads), None);
        uploads.extend([upload(trouble(9)), upload(trouble(7))]);
        assert_eq!(store_trouble(&uploads).map(|t| t.reason.as_str()), Some("since 7"));
    }
}
