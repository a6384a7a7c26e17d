//! Datagrams on a TCP connection, framed as in ICE over TCP (RFC 4571): two bytes of length before each.
//! Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const LENGTH_BYTES: usize = 2;

/// Removes and returns the first datagram if it is complete.
pub fn next_datagram(incoming: &mut BytesMut) -> Option<Bytes> {
    let length = first_length(incoming)?;
    incoming.advance(LENGTH_BYTES);
    Some(incoming.split_to(length).freeze())
}

/// Returns whether a datagram is complete.
pub fn has_datagram(incoming: &[u8]) -> bool {
    first_length(incoming).is_some()
}

/// Appends a datagram. One that is too long for the frame is left out; egressd sends none.
pub fn put_datagram(datagram: &[u8], outgoing: &mut BytesMut) {
    if let Ok(length) = u16::try_from(datagram.len()) {
        outgoing.put_u16(length);
        outgoing.put_slice(datagram);
    }
}

/// Returns the length of the first datagram if it is complete.
fn first_length(incoming: &[u8]) -> Option<usize> {
    let (length, rest) = incoming.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    (rest.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_datagram_waits_for_its_last_byte() {
        let mut incoming = BytesMut::from(&[0, 3, 7, 8][..]);
        assert_eq!(next_datagram(&mut incoming), None);
        incoming.put_u8(9);
        incoming.put_u8(0);
        assert_eq!(next_datagram(&mut incoming).as_deref(), Some(&[7, 8, 9][..]));
        assert_eq!(next_datagram(&mut incoming), None, "half a length is none");
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_however_the_stream_is_cut(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cut in 1_usize..500,
        ) {
            let mut stream = BytesMut::new();
            for datagram in &datagrams {
                put_datagram(datagram, &mut stream);
            }
            let (mut incoming, mut out) = (BytesMut::new(), Vec::new());
            for piece in stream.chunks(cut) {
                incoming.put_slice(piece);
                while let Some(datagram) = next_datagram(&mut incoming) {
                    out.push(datagram.to_vec());
                }
            }
            prop_assert_eq!(out, datagrams);
            prop_assert!(incoming.is_empty());
        }
    }
}
