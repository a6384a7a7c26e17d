//! Owns webhooks: their registration, the bodies of events, their signature, the schedule of retries and the
//! delivery itself.
//!
//! Does not own the outbox: `store` keeps deliveries, and writes them in the same transaction as the change
//! that they announce. So an event can be late or come twice (with the same delivery id), but it is never
//! lost.

mod deliver;
mod error;
pub mod event;
mod fixed;
mod log;
mod registry;
pub mod retry;
mod sender;
pub mod signature;
mod target;
#[cfg(test)]
pub mod testing;

pub use deliver::Deliverer;
pub use error::WebhookError;
pub use event::{EventFilter, EventName};
pub use fixed::StaticWebhook;
pub use registry::{
    MAX_SECRET_BYTES, MAX_URL_BYTES, NewWebhook, Registered, Registry, Trial, Webhook, WebhookChange,
    check_url,
};
pub use target::TargetPolicy;
