//! Owns how single values are described: ids, times, numbers, words. The limits come from the code that
//! enforces them.

use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, SchemaFormat};

use crate::ids::RoomName;
use crate::media::{Corner, FitChoice, Layout, Theme};
use crate::options::{Look, OPACITIES};
use crate::store::{DeliveryStatus, Destination, Phase};
use crate::webhook::EventFilter;

pub fn egress_id() -> Object {
    pattern("^EG_[A-Za-z0-9]{12}$").build()
}

pub fn webhook_id() -> Object {
    pattern("^wh_[A-Za-z0-9]{16}$").build()
}

pub fn delivery_id() -> Object {
    pattern("^dl_[0-9a-f]{24}$").build()
}

pub fn room_name() -> Object {
    pattern(r"^(?!\.{1,2}$)[^/\u0000-\u001f\u007f-\u009f]+$")
        .min_length(Some(1))
        .max_length(Some(RoomName::MAX_BYTES))
        .description(Some("A LiveKit room's name: 1 to 256 bytes of UTF-8."))
        .build()
}

pub fn time() -> Object {
    pattern(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .build()
}

pub fn time_or_null() -> Object {
    or_null(time())
}

pub fn url() -> Object {
    text().format(Some(SchemaFormat::Custom("uri".to_owned()))).build()
}

pub fn truth() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).build()
}

/// Allows only one of the two boolean values.
pub fn only(truth: bool) -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([truth])).build()
}

pub fn whole(range: RangeInclusive<u32>) -> ObjectBuilder {
    let integer = ObjectBuilder::new().schema_type(Type::Integer);
    integer.minimum(Some(*range.start())).maximum(Some(*range.end()))
}

pub fn opacity() -> Object {
    let number = ObjectBuilder::new().schema_type(Type::Number);
    number.minimum(Some(*OPACITIES.start())).maximum(Some(*OPACITIES.end())).build()
}

pub fn words(words: impl IntoIterator<Item = impl Into<Value>>) -> Object {
    text().enum_values(Some(words)).build()
}

pub fn phase() -> Object {
    words(Phase::ALL.map(Phase::as_str))
}

pub fn destination() -> Object {
    words(Destination::ALL.map(Destination::as_str))
}

pub fn delivery_status() -> Object {
    words(DeliveryStatus::ALL.map(DeliveryStatus::as_str))
}

pub fn event() -> Object {
    words(EventFilter::ALL.map(EventFilter::as_str))
}

pub fn corner() -> Object {
    words(Corner::ALL.iter().map(word))
}

pub fn fit() -> Object {
    let asked = FitChoice::ALL.iter().filter(|fit| **fit != FitChoice::ByShape);
    words(asked.map(word))
}

pub fn fit_or_null() -> Object {
    or_null(fit())
}

/// A look as answers have it.
pub fn look() -> Object {
    let looks = Layout::ALL.into_iter().flat_map(|layout| Theme::ALL.map(|theme| Look { layout, theme }));
    words(looks.map(Look::as_word))
}

pub fn look_or_null() -> Object {
    or_null(look())
}

/// A look as callers may write it: with `-dark`, too.
pub fn asked_look() -> Object {
    let layouts = Layout::ALL.map(|layout| Look { layout, theme: Theme::Dark }.as_word());
    words(
        layouts.into_iter().flat_map(|word| ["", "-dark", "-light"].map(|suffix| format!("{word}{suffix}"))),
    )
}

/// The same schema, with `null` allowed.
pub fn or_null(mut schema: Object) -> Object {
    if let SchemaType::Type(one) = schema.schema_type {
        schema.schema_type = SchemaType::from_iter([one, Type::Null]);
    }
    if let Some(values) = &mut schema.enum_values {
        values.push(Value::Null);
    }
    schema
}

fn pattern(pattern: &str) -> ObjectBuilder {
    text().pattern(Some(pattern))
}

pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn word(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a word is always valid JSON")
}
