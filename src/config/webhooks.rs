//! The webhooks of the configuration: one from settings, any number from tables of the file. Pure.
//!
//! Contract: a webhook's id depends on its name alone. So its pending deliveries survive a restart and a
//! changed URL.

use std::collections::BTreeSet;

use secrecy::SecretString;

use super::WebhookConfig;
use super::sections::truth;
use super::sources::Quote::{Hidden, Shown};
use super::sources::{Sources, WEBHOOKS};
use super::table::Table;
use crate::ids::WebhookId;
use crate::webhook::{EventFilter, StaticWebhook, TargetPolicy, check_url};

const URL: &str = "WEBHOOK_URL";
const SECRET: &str = "WEBHOOK_SECRET";
const EVENTS: &str = "WEBHOOK_EVENTS";

const EXPECTED_SECRET: &str = "the secret that its events are signed with";
const EXPECTED_EVENTS: &str = "egress_started, egress_updated, egress_ended or *";

pub fn webhook(sources: &mut Sources) -> WebhookConfig {
    let targets = match truth(sources, "WEBHOOK_ALLOW_PRIVATE") {
        true => TargetPolicy::AnyAddress,
        false => TargetPolicy::PublicOnly,
    };
    let mut fixed: Vec<StaticWebhook> = of_settings(sources, targets).into_iter().collect();
    let mut names = BTreeSet::new();
    let tables = sources.take_webhooks();
    for table in Table::all_of(sources, WEBHOOKS, tables) {
        fixed.extend(of_table(sources, table, targets, &mut names));
    }
    WebhookConfig { targets, fixed }
}

/// Returns the webhook of the settings.
fn of_settings(sources: &mut Sources, targets: TargetPolicy) -> Option<StaticWebhook> {
    if sources.get(URL).is_none() {
        if let Some(because) = [SECRET, EVENTS].into_iter().find(|name| sources.get(name).is_some()) {
            sources.fault(URL, format!("is not set, expected where events are sent, as {because} is set"));
        }
        return None;
    }
    // A URL may contain a token of the receiver, so it is not quoted.
    let expected = expected_url(targets);
    let url = sources.optional(URL, (Hidden, &expected), |text| accepted(text, targets));
    let secret = sources.required_secret(SECRET, EXPECTED_SECRET);
    let events = sources.optional(EVENTS, (Shown, EXPECTED_EVENTS), filters);
    Some(StaticWebhook {
        id: WebhookId::of_name(URL),
        url: url?,
        secret,
        events: events.unwrap_or_else(|| vec![EventFilter::All]),
    })
}

fn of_table(
    sources: &mut Sources,
    mut table: Table,
    targets: TargetPolicy,
    names: &mut BTreeSet<String>,
) -> Option<StaticWebhook> {
    let name = table.required(sources, "name", "a word that no other webhook has");
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        table.fault(sources, "name", format!("is {name:?}, as that of another webhook"));
    }
    let expected = expected_url(targets);
    let url = table.required(sources, "url", &expected).and_then(|text| {
        let url = accepted(&text, targets);
        if url.is_none() {
            table.fault(sources, "url", format!("expected {expected}"));
        }
        url
    });
    let secret = table.required(sources, "secret", EXPECTED_SECRET);
    let events = match table.optional(sources, "events") {
        Some(words) => {
            let events = filters(&words);
            if events.is_none() {
                table.fault(sources, "events", format!("is {words:?}, expected {EXPECTED_EVENTS}"));
            }
            events
        }
        None => Some(vec![EventFilter::All]),
    };
    table.end(sources, "name, url, secret, events");
    Some(StaticWebhook {
        // This cannot be equal to the name of a setting: those are upper case.
        id: WebhookId::of_name(&format!("webhooks.{}", name?)),
        url: url?,
        secret: SecretString::from(secret?),
        events: events?,
    })
}

fn accepted(text: &str, targets: TargetPolicy) -> Option<String> {
    check_url(text, targets).ok().map(|()| text.to_owned())
}

fn expected_url(targets: TargetPolicy) -> String {
    let which = match targets {
        TargetPolicy::AnyAddress => "",
        TargetPolicy::PublicOnly => " that is not of a private address (WEBHOOK_ALLOW_PRIVATE allows them)",
    };
    format!("an absolute http or https URL{which}")
}

/// Reads words that are separated by commas.
fn filters(words: &str) -> Option<Vec<EventFilter>> {
    let mut filters = Vec::new();
    for word in words.split(',') {
        let filter = word.trim().parse().ok()?;
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    Some(filters)
}

#[cfg(test)]
mod tests;
