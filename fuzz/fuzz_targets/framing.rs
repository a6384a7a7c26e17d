//! ICE over TCP: what comes on the connection, in any pieces.
//!
//! Holds: the pieces make no difference, and what was framed comes out as it went in.

#![no_main]

use bytes::BytesMut;
use egressd::room::fuzzing::{has_datagram, next_datagram, put_datagram};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pieces: Vec<&[u8]>| {
    let mut framed = BytesMut::new();
    pieces.iter().for_each(|piece| put_datagram(piece, &mut framed));
    for piece in &pieces {
        assert_eq!(next_datagram(&mut framed).as_deref(), Some(*piece));
    }
    assert!(framed.is_empty());

    let mut at_once = BytesMut::from(pieces.concat().as_slice());
    let mut piecewise = BytesMut::new();
    for piece in &pieces {
        piecewise.extend_from_slice(piece);
        while has_datagram(&piecewise) {
            assert_eq!(next_datagram(&mut piecewise), next_datagram(&mut at_once));
        }
    }
    assert_eq!(piecewise, at_once);
});
