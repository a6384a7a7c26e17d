//! What the fuzz targets (`fuzz/`) reach of this folder's private readers. In no other build.

use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;

use crate::api::problem::Problem;
use crate::ids::RoomName;
use crate::options::{AskedOptions, ViewChange};
use crate::webhook::NewWebhook;

pub fn options(body: &[u8]) -> Option<AskedOptions> {
    answered(super::options::asked(body))
}

pub fn view_change(body: &[u8]) -> Option<ViewChange> {
    answered(super::options::view_change(body))
}

pub fn webhook(body: &[u8]) -> Option<NewWebhook> {
    answered(super::webhooks::parse(body))
}

/// The room that a percent-encoded segment of a path names.
pub fn room(segment: &str) -> Option<RoomName> {
    percent_decode_str(segment).decode_utf8().ok()?.parse().ok()
}

/// The complaint itself must be fit to be sent.
fn answered<T>(outcome: Result<T, Problem>) -> Option<T> {
    outcome.map_err(IntoResponse::into_response).ok()
}
