//! The event of a changed recording. Its first media and its end have other events. Pure.

use jiff::Timestamp;

use crate::media::View;
use crate::options::{Look, fit_word};
use crate::store::{Phase, RecordingRow, StatusUpdate};
use crate::webhook::event::{self, Update};

/// Returns the event of a recording that is in this phase now, with the view of its row.
pub fn of(row: &RecordingRow, phase: Phase, at: Timestamp) -> StatusUpdate {
    let View { layout, theme, fit } = row.options.view;
    let layout = Look { layout, theme }.as_word();
    let update = Update { status: phase.as_str(), layout, fit: fit_word(fit), at };
    StatusUpdate { event: event::egress_updated(&row.egress_id, &row.room, &update), at }
}
