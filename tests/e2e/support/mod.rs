//! What the end-to-end tests stand on: servers, participants, callers and measurements. No assertions about
//! egressd are made here, only about the set-up itself.

pub mod stage;

pub mod service;

pub mod worker;

pub mod servers;

pub mod signalling;

pub mod faults;

pub mod participants;

pub mod publication;

pub mod rest;

pub mod hooks;

pub mod hostile;

pub mod probe;

pub mod grid;

pub mod process;

pub mod disk;

mod procfs;

pub mod tools;
