//! One of several equal tables in the file (`[[webhooks]]`), read key by key. Pure.
//!
//! Contract: as with settings, a fault is noted by its name and something stands in for the value.

use super::sources::{Sources, as_text};

pub struct Table {
    /// What its faults are told under, `webhooks[1]`.
    place: String,
    entries: toml::Table,
}

impl Table {
    /// The tables of an array; what is none of it is a fault.
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

    /// A text that must be there.
    pub fn required(&mut self, sources: &mut Sources, key: &str, expected: &str) -> Option<String> {
        let value = self.entries.remove(key);
        let text = value.as_ref().and_then(as_text).filter(|text| !text.is_empty());
        if text.is_none() {
            let what = if value.is_some() { "expected" } else { "is not set, expected" };
            self.fault(sources, key, format!("{what} {expected}"));
        }
        text
    }

    /// A text, or a list written as one with commas.
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

    /// Nothing is left that nobody took.
    pub fn end(self, sources: &mut Sources, known: &str) {
        for key in self.entries.keys() {
            self.fault(sources, key, format!("is not a key of it; they are {known}"));
        }
    }
}
