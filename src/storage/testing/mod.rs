//! What tests need to see a store in all its moods: a real one, and a proxy in front of it that disturbs.

pub mod minio;
pub mod proxy;
