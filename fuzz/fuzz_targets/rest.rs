//! What anybody can send to the REST API before and after he is let in.
//!
//! Holds: nobody is let in without the secret; a room's name that is taken is fit to be part of an object key.

#![no_main]

use egressd::front::fuzzing::{admits, options, room, view_change, webhook};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Request<'a> {
    timestamp: &'a [u8],
    signature: &'a [u8],
    segment: &'a str,
    body: &'a [u8],
}

fuzz_target!(|request: Request| {
    let Request { timestamp, signature, segment, body } = request;
    let headers: [(&str, &[u8]); 3] =
        [("X-Api-Key", b"key"), ("X-RTCstack-Timestamp", timestamp), ("X-RTCstack-Signature", signature)];
    assert!(!admits(&headers, segment, body));
    let _ = (options(body), view_change(body), webhook(body));
    if let Some(room) = room(segment) {
        let name = room.as_str();
        assert!(!name.is_empty() && name.len() <= 256 && !name.contains(['/', '\0', '\n']) && name != "..");
    }
});
