//! Lines between the service and a worker. A worker speaks of what it read in a room, so its lines are not trusted.
//!
//! Holds: what was read is written as a line that reads as the same.

#![no_main]

use egressd::worker::messages::{Command, Event, from_line, to_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = from_line::<Command>(line);
    if let Ok(event) = from_line::<Event>(line) {
        let written = to_line(&event);
        let again: Event = from_line(&written).expect("what was written can be read");
        assert_eq!(to_line(&again), written);
        assert_eq!(written.matches('\n').count(), 1);
    }
});
