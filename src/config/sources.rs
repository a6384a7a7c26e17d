//! Looks settings up, first in the environment, then in the file, and collects the faults. Pure.
//!
//! Contract: a faulty setting is noted, and its default (or an empty value) takes its place, so that the
//! faults after it are found, too. [`Sources::finish`] returns a value only if there was no fault.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use super::{FILE_VARIABLE, SETTINGS};

/// Every fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Fault>);

/// The fault of one setting. Never contains the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub name: String,
    pub what: String,
}

impl Fault {
    pub fn new(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into() }
    }
}

impl ConfigErrors {
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    /// Returns an error if there is any fault.
    pub(super) fn none_of(faults: Vec<Fault>) -> Result<(), Self> {
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Self(faults)),
        }
    }
}

impl From<Fault> for ConfigErrors {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable (docs/configuration.md lists every setting):")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {}: {}", fault.name, fault.what))
    }
}

/// Whether a fault may quote the value.
#[derive(Clone, Copy)]
pub(super) enum Quote {
    Shown,
    /// The value is a secret, or may contain one.
    Hidden,
}

/// The only key of the file that is no setting: an array of tables.
pub(super) const WEBHOOKS: &str = "webhooks";

pub(super) struct Sources<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    /// By the names that the settings have in the environment.
    file: BTreeMap<String, String>,
    /// The file's value of [`WEBHOOKS`].
    webhooks: Option<toml::Value>,
    faults: Vec<Fault>,
}

impl<'a> Sources<'a> {
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>, toml: Option<&str>) -> Result<Self, ConfigErrors> {
        let mut sources = Self { env, file: BTreeMap::new(), webhooks: None, faults: Vec::new() };
        for (key, value) in parse(toml.unwrap_or_default())? {
            sources.add_from_file(key, value);
        }
        Ok(sources)
    }

    /// Returns the value, or all faults if there are any.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        ConfigErrors::none_of(self.faults).map(|()| value)
    }

    /// Returns what `read` returns, and whether none of the settings that it read has a fault.
    pub fn part<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = self.faults.len();
        let part = read(self);
        (part, self.faults.len() == before)
    }

    /// Returns the setting without white space around it. An empty setting counts as not set: `NAME=` in an
    /// env file and `${NAME:-}` in a compose file mean that.
    pub fn get(&self, name: &str) -> Option<String> {
        debug_assert!(SETTINGS.contains(&name), "{name} is not in SETTINGS");
        let set = |text: &String| !text.is_empty();
        let from_env = (self.env)(name).map(|text| text.trim().to_owned());
        from_env.filter(set).or_else(|| self.file.get(name).cloned()).filter(set)
    }

    /// Returns the file's value of [`WEBHOOKS`] to the first caller.
    pub fn take_webhooks(&mut self) -> Option<toml::Value> {
        self.webhooks.take()
    }

    pub fn fault(&mut self, name: &str, what: impl Into<String>) {
        self.faults.push(Fault::new(name, what));
    }

    /// Returns the setting as `parse` reads it; `None` if it is not set or has a fault.
    pub fn optional<T>(
        &mut self,
        name: &str,
        (quote, expected): (Quote, &str),
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.get(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.fault(
                name,
                match quote {
                    Quote::Shown => format!("is {text:?}, expected {expected}"),
                    Quote::Hidden => format!("expected {expected}"),
                },
            );
        }
        value
    }

    pub fn required(&mut self, name: &str, expected: &str) -> String {
        self.get(name).unwrap_or_else(|| {
            self.fault(name, format!("is not set, expected {expected}"));
            String::new()
        })
    }

    pub fn required_secret(&mut self, name: &str, expected: &str) -> SecretString {
        self.required(name, expected).into()
    }

    fn add_from_file(&mut self, key: String, value: toml::Value) {
        if key == WEBHOOKS {
            self.webhooks = Some(value);
            return;
        }
        let name = key.to_ascii_uppercase();
        let known = SETTINGS.contains(&name.as_str()) && name != FILE_VARIABLE;
        if !known || key != key.to_ascii_lowercase() {
            let what = "is not a key of the file; they are the variables' names in lower case";
            return self.fault(&key, what);
        }
        match as_text(&value) {
            Some(text) => drop(self.file.insert(name, text)),
            None => self.fault(&key, "expected a string, a whole number, true or false"),
        }
    }
}

fn parse(text: &str) -> Result<toml::Table, ConfigErrors> {
    text.parse::<toml::Table>().map_err(|error| {
        // The error's own text quotes the line, and the line may contain a secret.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        let what = format!("line {line} of the file is not TOML");
        Fault::new(FILE_VARIABLE, what).into()
    })
}

/// Returns the value as the variable would have it. In a variable, a list is written with commas.
pub(super) fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.trim().to_owned()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            let items = items.iter().map(toml::Value::as_str);
            Some(items.collect::<Option<Vec<_>>>()?.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
