//! (placeholder: being written)
pub mod publisher;
