//! One of several equal tables in the file (`[[webhooks]]`), read key by key. Pure.
//!
//! Contract: a fault is noted under the name of its key, and the caller goes on without the value.

use super::sources::{Sources, as_text};

pub struct Table {
    /// The beginning of the name in its faults, such as `webhooks[1]`.
    place: String,
    entries: toml::Table,
}

impl Table {
    /// Returns the tables of an array. Anything else is a fault.
    pub fn all_of(sources: &mut Sources, key: &str, value: Option<toml::Value>) -> Vec<Self> {
        let items = match value {
            None => return Vec::new(),
            Some(toml::Value::Array(items)) => items,
            Some(_) => {
                sources.fault(key, format!("expected tables, each under [[{key}]]"));
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for (number, item) in (1..).zip(items) {
            let place = format!("{key}[{number}]");
            match item {
                toml::Value::Table(entries) => tables.push(Self { place, entries }),
                _ => sources.fault(&place, format!("expected a table under [[{key}]]")),
            }
        }
        tables
    }

    /// Returns a text that must be set.
    pub fn required(&mut self, sources: &mut Sources, key: &str, expected: &str) -> Option<String> {
        let value = self.entries.remove(key);
        let text = value.as_ref().and_then(as_text).filter(|text| !text.is_empty());
        if text.is_none() {
            let what = if value.is_some() { "expected" } else { "is not set, expected" };
            self.fault(sources, key, format!("{what} {expected}"));
        }
        text
    }

    /// Returns a text. A list is returned as a text with commas.
    pub fn optional(&mut self, sources: &mut Sources, key: &str) -> Option<String> {
        let value = self.entries.remove(key)?;
        let text = as_text(&value);
        if text.is_none() {
            self.fault(sources, key, "expected a string");
        }
        text
    }

    pub fn fault(&self, sources: &mut Sources, key: &str, what: impl Into<String>) {
        sources.fault(&format!("{}.{key}", self.place), what);
    }

    /// Notes a fault for each key that was not read.
    pub fn end(self, sources: &mut Sources, known: &str) {
        for key in self.entries.keys() {
            self.fault(sources, key, format!("is not a key of it; they are {known}"));
        }
    }
}
