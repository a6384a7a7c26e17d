//! Serves HTTP for the doors: connections and their limits, cross-origin calls, error bodies.
//!
//! Knows no call. Contract: every error is `application/problem+json`, and no client can hold a connection
//! for ever.

pub mod problem;

pub mod cors;

pub mod server;
