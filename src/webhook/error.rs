//! The errors of webhooks and deliveries. Knows nothing of the HTTP statuses of our answers.

use std::net::IpAddr;

use super::event::UnknownEvent;
use crate::ids::WebhookId;
use crate::store::{DeliveryId, StoreError};

/// What the caller is told about a [`TargetRefused`].
pub(super) const TARGET_REFUSED: &str =
    "url leads to a loopback, link-local or private address, which is not allowed here";

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The caller's fault; the message is fit to be shown.
    #[error("url must be an absolute http or https URL with a host")]
    InvalidUrl(#[source] Option<url::ParseError>),
    /// The caller's fault; the message is fit to be shown.
    #[error("{TARGET_REFUSED}")]
    TargetRefused(#[from] TargetRefused),
    /// The caller's fault; the message is fit to be shown.
    #[error("secret must not be empty")]
    EmptySecret,
    /// The caller's fault; the message is fit to be shown.
    #[error("events must name at least one event")]
    NoEvents,
    /// The caller's fault; the message is fit to be shown.
    #[error("url must not be longer than {most} bytes")]
    LongUrl { most: usize },
    /// The caller's fault; the message is fit to be shown.
    #[error("secret must not be longer than {most} bytes")]
    LongSecret { most: usize },
    #[error("there are {most} webhooks already, as many as may be")]
    TooMany { most: usize },
    #[error("the webhook {0} is set by the configuration")]
    OfConfiguration(WebhookId),
    #[error("there is no webhook {0}")]
    NotFound(WebhookId),
    #[error("this webhook has no delivery {0}")]
    NoSuchDelivery(DeliveryId),
    #[error("the webhook {id} in the database asks for an unknown event")]
    CorruptFilter {
        id: WebhookId,
        #[source]
        source: UnknownEvent,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A target resolves to an address that webhooks must not reach. For the log only: the address would tell
/// users about the network behind this service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} resolves to {address}, which is not a public address")]
pub struct TargetRefused {
    pub host: String,
    pub address: IpAddr,
}
