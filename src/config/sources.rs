//! Looks settings up, first in the environment, then in the file, and gathers what is wrong. Pure.
//!
//! Contract: a faulty setting is noted and its default (or an empty value) stands in for it, so that
//! parsing goes on to the next fault; [`Sources::finish`] lets nothing out that has a stand-in.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use super::{FILE_VARIABLE, SETTINGS};

/// Every fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<Fault>);

/// What is wrong with one setting. Never shows the value of a secret.
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

    /// An error if there is any fault.
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
    /// The value is, or may hold, a secret.
    Hidden,
}

/// The one key of the file that has no setting: an array of tables.
pub(super) const WEBHOOKS: &str = "webhooks";

pub(super) struct Sources<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    /// By name as in the environment.
    file: BTreeMap<String, String>,
    /// What the file holds under [`WEBHOOKS`].
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

    /// The value, if nothing was wrong.
    pub fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        ConfigErrors::none_of(self.faults).map(|()| value)
    }

    /// What `read` makes of its settings, and whether nothing in them is wrong.
    pub fn part<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = self.faults.len();
        let part = read(self);
        (part, self.faults.len() == before)
    }

    /// The setting without white space around it. An empty one counts as not set: that is what
    /// `NAME=` in an env file and `${NAME:-}` in a compose file mean.
    pub fn get(&self, name: &str) -> Option<String> {
        debug_assert!(SETTINGS.contains(&name), "{name} is not in SETTINGS");
        let set = |text: &String| !text.is_empty();
        let from_env = (self.env)(name).map(|text| text.trim().to_owned());
        from_env.filter(set).or_else(|| self.file.get(name).cloned()).filter(set)
    }

    /// What the file holds under [`WEBHOOKS`], for whoever asks first.
    pub fn take_webhooks(&mut self) -> Option<toml::Value> {
        self.webhooks.take()
    }

    pub fn fault(&mut self, name: &str, what: impl Into<String>) {
        self.faults.push(Fault::new(name, what));
    }

    /// A setting that `parse` understands; `None` where it is not set or faulty.
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
        // The error's own text would quote the line, and the line may hold a secret.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        let what = format!("line {line} of the file is not TOML");
        Fault::new(FILE_VARIABLE, what).into()
    })
}

/// What the variable would hold. A list is written with commas there.
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
