//! What users are told of a recording that has changed, but for its first media and its end. Pure.

use jiff::Timestamp;

use crate::media::View;
use crate::options::{Look, fit_word};
use crate::store::{Phase, RecordingRow, StatusUpdate};
use crate::webhook::event::{self, Update};

/// Of one that is in this phase now, and looks as its row says.
pub fn of(row: &RecordingRow, phase: Phase, at: Timestamp) -> StatusUpdate {
    let View { layout, theme, fit } = row.options.view;
    let layout = Look { layout, theme }.as_word();
    let update = Update { status: phase.as_str(), layout, fit: fit_word(fit), at };
    StatusUpdate { event: event::egress_updated(&row.egress_id, &row.room, &update), at }
}
