//! egressd records LiveKit rooms: one process for the service, one for each recording.
//!
//! The folders, in reading order. What each one may know of the others is in
//! `docs/ARCHITECTURE.md`, and `tests/structure.rs` holds it.

pub mod config;
pub mod filepath;
pub mod ids;
pub mod media;
pub mod options;
pub mod report;

pub mod worker;

pub mod room;

pub mod decode;

pub mod compose;

pub mod encode;

pub mod mp4;

pub mod storage;

pub mod store;

pub mod webhook;

pub mod livekit;

pub mod admission;

pub mod upload;

pub mod health;

pub mod control;

pub mod front;

pub mod demo;

pub mod check;

pub mod record;

pub mod command_line;

pub mod telemetry;

pub mod failpoint;

pub mod serve;
