//! Owns how the OpenAPI document describes the bodies that calls take. `options` and `webhooks` read them; a
//! test holds both sides to the same keys and limits.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::filepath;
use crate::front::rest::openapi::schemas;
use crate::options::{AUDIO_KBPS, FRAME_RATES, PIXELS_MAX, SIDES, VIDEO_KBPS};
use crate::webhook::{MAX_SECRET_BYTES, MAX_URL_BYTES};

/// The options of a recording. Every key is optional.
pub struct StartBody;

/// A change of the picture's look.
pub struct ViewBody;

/// A webhook's settings.
pub struct WebhookBody;

/// A change of a webhook's settings.
pub struct WebhookChangeBody;

impl ToSchema for StartBody {}
impl ToSchema for ViewBody {}
impl ToSchema for WebhookBody {}
impl ToSchema for WebhookChangeBody {}

impl PartialSchema for StartBody {
    fn schema() -> RefOr<Schema> {
        let side = || schemas::whole(SIDES).multiple_of(Some(2)).build();
        let size = format!(
            "width times height is at most {PIXELS_MAX}. What is left out is as the service has it. With audioOnly \
                nothing may be said of the picture, with videoOnly nothing of the sound; not both are true."
        );
        closed()
            .description(Some(size))
            .property("layout", schemas::asked_look())
            .property("fit", schemas::fit())
            .property("width", side())
            .property("height", side())
            .property("framerate", schemas::whole(FRAME_RATES))
            .property("videoBitrate", schemas::whole(VIDEO_KBPS).description(Some("kbit/s")))
            .property("audioBitrate", schemas::whole(AUDIO_KBPS).description(Some("kbit/s")))
            .property("maxDurationSeconds", schemas::whole(1..=u32::MAX))
            .property("nameTags", schemas::truth())
            .property("initials", schemas::truth())
            .property("speakerBorder", schemas::truth())
            .property("watermark", watermark())
            .property("filepath", filepath())
            .property("audioOnly", schemas::truth())
            .property("videoOnly", schemas::truth())
            .into()
    }
}

impl PartialSchema for ViewBody {
    fn schema() -> RefOr<Schema> {
        closed()
            .property("layout", schemas::asked_look())
            .property("fit", schemas::fit_or_null())
            .min_properties(Some(1))
            .into()
    }
}

impl PartialSchema for WebhookBody {
    fn schema() -> RefOr<Schema> {
        webhook().required("url").required("events").into()
    }
}

impl PartialSchema for WebhookChangeBody {
    fn schema() -> RefOr<Schema> {
        webhook().min_properties(Some(1)).into()
    }
}

fn filepath() -> ObjectBuilder {
    let what = "A template of the key, relative to the bucket, with {room_name}, {room_id}, {egress_id}, {time} and {utc}.";
    schemas::text().min_length(Some(1)).max_length(Some(filepath::KEY_BYTES)).description(Some(what))
}

fn watermark() -> Schema {
    let placed = closed().property("position", schemas::corner()).property("opacity", schemas::opacity());
    OneOfBuilder::new().item(schemas::truth()).item(placed).into()
}

fn webhook() -> ObjectBuilder {
    let events = ArrayBuilder::new().items(schemas::event()).min_items(Some(1));
    closed()
        .property("url", ObjectBuilder::from(schemas::url()).max_length(Some(MAX_URL_BYTES)))
        .property("secret", schemas::text().min_length(Some(1)).max_length(Some(MAX_SECRET_BYTES)))
        .property("events", events)
}

/// Returns an object schema that allows no other keys.
fn closed() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}
