//! Owns which webhooks there are: checks what callers register, keeps it in the store, and sends `test`
//! events on demand.

use jiff::Timestamp;
use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::WebhookError;
use super::event::{self, EventFilter};
use super::sender::{Message, Sender};
use super::target::TargetPolicy;
use crate::ids::WebhookId;
use crate::store::{DeliveryId, Store, WebhookRow, WebhookSource, WebhookUpdate};

/// How many webhooks calls can register. Each of them can have attempts under way at the same time.
const MAX_WEBHOOKS: usize = 100;
/// Longer than any real URL, and than any key that makes HMAC-SHA256 stronger.
pub const MAX_URL_BYTES: usize = 2048;
pub const MAX_SECRET_BYTES: usize = 1024;

/// 32 characters of `[A-Za-z0-9]` are 190 bits, more than a key for HMAC-SHA256 needs.
const SECRET_LEN: usize = 32;

/// Registers, changes, tests and removes webhooks.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: Store,
    targets: TargetPolicy,
    sender: Sender,
}

/// A webhook that a caller wants to register.
#[derive(Debug)]
pub struct NewWebhook {
    pub url: String,
    /// `None`: a secret is made.
    pub secret: Option<SecretString>,
    pub events: Vec<EventFilter>,
}

/// What a caller wants to change. `None` leaves the value as it is.
#[derive(Debug)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub secret: Option<SecretString>,
    pub events: Option<Vec<EventFilter>>,
}

/// The result of a `test` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    Delivered {
        status: u16,
    },
    /// `reason` may be shown to the caller. `status` is the receiver's answer, if there was one.
    Failed {
        status: Option<u16>,
        reason: String,
    },
}

/// A webhook as callers see it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub url: String,
    pub events: Vec<EventFilter>,
    pub created_at: Timestamp,
    pub source: WebhookSource,
}

#[derive(Debug)]
pub struct Registered {
    pub webhook: Webhook,
    /// The secret, if it was made here. Callers see it this one time.
    pub made_secret: Option<SecretString>,
}

impl Registry {
    /// Fails if TLS cannot be set up on this host (no usable certificate store).
    pub fn new(store: Store, targets: TargetPolicy) -> Result<Self, reqwest::Error> {
        Ok(Self { store, targets, sender: Sender::new(targets)? })
    }

    pub async fn register(&self, new: NewWebhook, now: Timestamp) -> Result<Registered, WebhookError> {
        let url = parse_url(&new.url)?;
        let events = without_duplicates(new.events)?;
        check_secret(new.secret.as_ref())?;
        if self.store.webhooks().await?.len() >= MAX_WEBHOOKS {
            return Err(WebhookError::TooMany { most: MAX_WEBHOOKS });
        }
        self.targets.check_now(&url).await?;
        let (secret, made_secret) = match new.secret {
            Some(secret) => (secret, None),
            None => {
                let made = make_secret();
                (made.clone(), Some(made))
            }
        };
        let (id, source) = (WebhookId::random(), WebhookSource::Api);
        let webhook = Webhook { id, url: new.url, events, created_at: now, source };
        self.store.insert_webhook(row(&webhook, secret)).await?;
        tracing::info!(webhook = %webhook.id, "webhook registered");
        Ok(Registered { webhook, made_secret })
    }

    /// Returns all webhooks, oldest first.
    pub async fn list(&self) -> Result<Vec<Webhook>, WebhookError> {
        let rows = self.store.webhooks().await?;
        rows.into_iter().map(Webhook::try_from).collect()
    }

    pub async fn get(&self, id: &WebhookId) -> Result<Webhook, WebhookError> {
        let row = self.store.webhook(id).await?;
        row.ok_or_else(|| WebhookError::NotFound(id.clone()))?.try_into()
    }

    /// Changes a webhook. Pending deliveries go to the new URL, signed with the new secret.
    pub async fn change(&self, id: &WebhookId, change: WebhookChange) -> Result<Webhook, WebhookError> {
        let WebhookChange { url, secret, events } = change;
        self.must_be_ours(id).await?;
        check_secret(secret.as_ref())?;
        let events = events.map(without_duplicates).transpose()?;
        if let Some(url) = &url {
            self.targets.check_now(&parse_url(url)?).await?;
        }
        let events = events.map(|events| words(&events));
        let changed = self.store.update_webhook(id, WebhookUpdate { url, secret, events }).await?;
        let row = changed.ok_or_else(|| WebhookError::NotFound(id.clone()))?;
        tracing::info!(webhook = %id, "webhook changed");
        row.try_into()
    }

    /// Sends a `test` event once, now, whatever the webhook subscribes to. The event is not stored.
    pub async fn try_out(&self, id: &WebhookId, now: Timestamp) -> Result<Trial, WebhookError> {
        let row = self.store.webhook(id).await?;
        let WebhookRow { url, secret, .. } = row.ok_or_else(|| WebhookError::NotFound(id.clone()))?;
        let event = event::test(id, now);
        let delivery = DeliveryId::random();
        let (url, secret, body) = (&url, &secret, &event.body);
        let message = Message { id: &delivery, url, secret, event: event.name, body };
        match self.sender.send(message).await {
            Ok(status) => {
                tracing::info!(webhook = %id, status = status.as_u16(), "webhook tried");
                Ok(Trial::Delivered { status: status.as_u16() })
            }
            Err(error) => {
                tracing::warn!(webhook = %id, %error, "webhook tried in vain");
                let status = error.status().map(|status| status.as_u16());
                Ok(Trial::Failed { status, reason: error.for_users() })
            }
        }
    }

    /// Removes a webhook and its pending deliveries.
    pub async fn remove(&self, id: &WebhookId) -> Result<(), WebhookError> {
        self.must_be_ours(id).await?;
        if !self.store.delete_webhook(id).await? {
            return Err(WebhookError::NotFound(id.clone()));
        }
        tracing::info!(webhook = %id, "webhook removed");
        Ok(())
    }

    /// Returns an error if the configuration set this webhook: calls change only webhooks that calls have
    /// made. A webhook's origin never changes.
    async fn must_be_ours(&self, id: &WebhookId) -> Result<(), WebhookError> {
        match self.get(id).await?.source {
            WebhookSource::Api => Ok(()),
            WebhookSource::Config => Err(WebhookError::OfConfiguration(id.clone())),
        }
    }
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = WebhookError;

    fn try_from(row: WebhookRow) -> Result<Self, WebhookError> {
        let WebhookRow { id, url, secret: _, events, created_at, source } = row;
        let events: Result<_, _> = events.iter().map(|word| word.parse()).collect();
        match events {
            Ok(events) => Ok(Self { id, url, events, created_at, source }),
            Err(source) => Err(WebhookError::CorruptFilter { id, source }),
        }
    }
}

fn row(webhook: &Webhook, secret: SecretString) -> WebhookRow {
    WebhookRow {
        id: webhook.id.clone(),
        url: webhook.url.clone(),
        secret,
        events: words(&webhook.events),
        created_at: webhook.created_at,
        source: webhook.source,
    }
}

/// Returns the filters as the store keeps them.
pub(super) fn words(events: &[EventFilter]) -> Vec<String> {
    events.iter().map(|filter| filter.as_str().to_owned()).collect()
}

fn check_secret(secret: Option<&SecretString>) -> Result<(), WebhookError> {
    match secret.map(|secret| secret.expose_secret().len()) {
        Some(0) => Err(WebhookError::EmptySecret),
        Some(len) if len > MAX_SECRET_BYTES => Err(WebhookError::LongSecret { most: MAX_SECRET_BYTES }),
        Some(_) | None => Ok(()),
    }
}

/// Checks a URL as far as that is possible without resolving its host.
pub fn check_url(url: &str, targets: TargetPolicy) -> Result<(), WebhookError> {
    Ok(targets.check_literal(&parse_url(url)?)?)
}

fn parse_url(url: &str) -> Result<Url, WebhookError> {
    if url.len() > MAX_URL_BYTES {
        return Err(WebhookError::LongUrl { most: MAX_URL_BYTES });
    }
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
