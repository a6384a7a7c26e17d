//! One recording in its own process. The messages between the service and a worker are here.

pub mod messages;
