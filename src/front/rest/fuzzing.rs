//! Gives the fuzz targets (`fuzz/`) access to this folder's private readers. Compiled for them only.

use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;

use crate::front::http::problem::Problem;
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

/// Returns the room that a percent-encoded path segment names.
pub fn room(segment: &str) -> Option<RoomName> {
    percent_decode_str(segment).decode_utf8().ok()?.parse().ok()
}

/// Makes a response of the problem as well: it must be fit to be sent.
fn answered<T>(outcome: Result<T, Problem>) -> Option<T> {
    outcome.map_err(IntoResponse::into_response).ok()
}
