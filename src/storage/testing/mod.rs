//! A real store for tests, and a proxy in front of it that disturbs connections.

pub mod minio;
pub mod proxy;
