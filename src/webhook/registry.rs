//! Owns which webhooks are taken in: checks what callers want and keeps it in the store.

use jiff::Timestamp;
use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::WebhookError;
use super::event::EventFilter;
use super::target::TargetPolicy;
use crate::ids::WebhookId;
use crate::store::{Store, WebhookRow};

/// 32 characters of `[A-Za-z0-9]` are 190 bits, more than a key for HMAC-SHA256 needs.
const SECRET_LEN: usize = 32;

/// Registers and removes webhooks.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    targets: TargetPolicy,
}

/// What a caller wants.
#[derive(Debug)]
pub struct NewWebhook {
    pub url: String,
    /// `None`: one is made.
    pub secret: Option<SecretString>,
    pub events: Vec<EventFilter>,
}

/// A webhook as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub events: Vec<EventFilter>,
    pub created_at: Timestamp,
}

#[derive(Debug)]
pub struct Registered {
    pub webhook: Webhook,
    /// The secret, if it was made here: the only time that it is shown.
    pub made_secret: Option<SecretString>,
}

impl Registry {
    pub fn new(store: Store, targets: TargetPolicy) -> Self {
        Self { store, targets }
    }

    pub async fn register(&self, new: NewWebhook, now: Timestamp) -> Result<Registered, WebhookError> {
        let url = parse_url(&new.url)?;
        let events = without_duplicates(new.events)?;
        if new.secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            return Err(WebhookError::EmptySecret);
        }
        self.targets.check_now(&url).await?;
        let (secret, made_secret) = match new.secret {
            Some(secret) => (secret, None),
            None => {
                let made = make_secret();
                (made.clone(), Some(made))
            }
        };
        let webhook = Webhook { id: WebhookId::random(), url: new.url, events, created_at: now };
        self.store.insert_webhook(row(&webhook, secret)).await?;
        tracing::info!(webhook = %webhook.id, "webhook registered");
        Ok(Registered { webhook, made_secret })
    }

    /// All webhooks, oldest first.
    pub async fn list(&self) -> Result<Vec<Webhook>, WebhookError> {
        let rows = self.store.webhooks().await?;
        rows.into_iter().map(Webhook::try_from).collect()
    }

    pub async fn get(&self, id: &WebhookId) -> Result<Webhook, WebhookError> {
        let row = self.store.webhook(id).await?;
        row.ok_or_else(|| WebhookError::NotFound(id.clone()))?.try_into()
    }

    /// Removes a webhook, with what was still to be delivered to it.
    pub async fn remove(&self, id: &WebhookId) -> Result<(), WebhookError> {
        if !self.store.delete_webhook(id).await? {
            return Err(WebhookError::NotFound(id.clone()));
        }
        tracing::info!(webhook = %id, "webhook removed");
        Ok(())
    }
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = WebhookError;

    fn try_from(row: WebhookRow) -> Result<Self, WebhookError> {
        let WebhookRow { id, url, secret: _, events, created_at } = row;
        let events: Result<_, _> = events.iter().map(|word| word.parse()).collect();
        match events {
            Ok(events) => Ok(Self { id, url, events, created_at }),
            Err(source) => Err(WebhookError::CorruptFilter { id, source }),
        }
    }
}

fn row(webhook: &Webhook, secret: SecretString) -> WebhookRow {
    WebhookRow {
        id: webhook.id.clone(),
        url: webhook.url.clone(),
        secret,
        events: webhook.events.iter().map(|filter| filter.as_str().to_owned()).collect(),
        created_at: webhook.created_at,
    }
}

fn parse_url(url: &str) -> Result<Url, WebhookError> {
    let parsed = Url::parse(url).map_err(|error| WebhookError::InvalidUrl(Some(error)))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        _ => Err(WebhookError::InvalidUrl(None)),
    }
}

fn without_duplicates(events: Vec<EventFilter>) -> Result<Vec<EventFilter>, WebhookError> {
    let mut kept = Vec::with_capacity(events.len());
    for event in events {
        if !kept.contains(&event) {
            kept.push(event);
        }
    }
    if kept.is_empty() {
        return Err(WebhookError::NoEvents);
    }
    Ok(kept)
}

fn make_secret() -> SecretString {
    let random = rand::rng().sample_iter(&Alphanumeric);
    random.take(SECRET_LEN).map(char::from).collect::<String>().into()
}
