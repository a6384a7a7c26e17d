//! Which stream transport-wide feedback names (draft-holmer-rmcat-transport-wide-cc-extensions-01, section
//! 3.1).
//!
//! Such feedback covers all streams, yet RTCP requires it to name one. str0m 0.25 names any of them
//! (`first_ssrc_remote`, the first key of a hash map). LiveKit 1.11 accepts the feedback only if it names a
//! stream of video (`pkg/sfu/downtrack.go`), so with a microphone in the room it depends on chance. str0m has
//! no option for this. But its SRTP provider can be replaced, and this one changes each RTCP packet before it
//! encrypts it.
//!
//! Contract: it changes the media SSRC of transport-wide feedback, and nothing else. With the profile
//! `SRTP_AES128_CM_SHA1_80` it changes nothing, as that cipher does not see which packet it encrypts. LiveKit
//! prefers the profiles of GCM.

use std::cell::Cell;

use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, CryptoError, CryptoProvider, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80, from_feature_flags,
};

thread_local! {
    /// All connections share the providers, so this holds the SSRC for the connection that is being polled.
    static NAMED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Makes the feedback that `poll` encrypts name this stream.
pub fn naming<T>(ssrc: Option<u32>, poll: impl FnOnce() -> T) -> T {
    let outer = NAMED.replace(ssrc);
    let polled = poll();
    NAMED.set(outer);
    polled
}

/// Returns str0m's default provider with this SRTP provider.
pub fn crypto() -> CryptoProvider {
    CryptoProvider { srtp_provider: &Srtp, ..from_feature_flags() }
}

#[derive(Debug)]
struct Srtp;

fn default() -> &'static dyn SrtpProvider {
    from_feature_flags().srtp_provider
}

impl SrtpProvider for Srtp {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        default().aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Srtp
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Srtp
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        default().srtp_aes_128_ecb_round(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        default().srtp_aes_256_ecb_round(key, input, output);
    }
}

impl SupportedAeadAes128Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 16], encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Naming(default().aead_aes_128_gcm().create_cipher(key, encrypt)))
    }
}

impl SupportedAeadAes256Gcm for Srtp {
    fn create_cipher(&self, key: [u8; 32], encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Naming(default().aead_aes_256_gcm().create_cipher(key, encrypt)))
    }
}

/// A cipher that renames the feedback which it encrypts.
#[derive(Debug)]
struct Naming<C: ?Sized>(Box<C>);

/// The two profiles of GCM differ only in the length of the key and in their types.
macro_rules! names_what_it_encrypts {
    ($cipher:ident) => {
        impl $cipher for Naming<dyn $cipher> {
            fn encrypt(
                &mut self,
                iv: &[u8; 12],
                aad: &[u8],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<(), CryptoError> {
                match renamed(aad, input) {
                    Some(renamed) => self.0.encrypt(iv, aad, &renamed, output),
                    None => self.0.encrypt(iv, aad, input, output),
                }
            }

            fn decrypt(
                &mut self,
                iv: &[u8; 12],
                aads: &[&[u8]],
                input: &[u8],
                output: &mut [u8],
            ) -> Result<usize, CryptoError> {
                self.0.decrypt(iv, aads, input, output)
            }
        }
    };
}

names_what_it_encrypts!(AeadAes128GcmCipher);
names_what_it_encrypts!(AeadAes256GcmCipher);

/// Returns the encrypted part of a packet if it must be changed. The first eight bytes of RTCP are not
/// encrypted; the additional data begins with them (RFC 7714, section 9.3).
fn renamed(aad: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    const CLEAR: usize = 8;
    let ssrc = NAMED.get()?;
    let head = aad.get(..CLEAR).filter(|head| is_rtcp(head))?;
    let mut packet = [head, input].concat();
    name(&mut packet, ssrc);
    packet.drain(..CLEAR);
    Some(packet)
}

/// RFC 5761, section 4: no payload type of RTP that is in use has such a second byte.
fn is_rtcp(head: &[u8]) -> bool {
    (192..=223).contains(&head[1])
}

/// Sets the SSRC in each transport-wide feedback of a compound packet (RFC 3550, section 6.1).
fn name(compound: &mut [u8], ssrc: u32) {
    /// The packet type of transport layer feedback (RFC 4585, section 6.2).
    const TRANSPORT_FEEDBACK: u8 = 205;
    const TRANSPORT_WIDE: u8 = 15;
    let mut rest = compound;
    while let [first, kind, high, low, ..] = *rest {
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let Some((packet, behind)) = rest.split_at_mut_checked(length) else { return };
        if (first & 0x1f, kind) == (TRANSPORT_WIDE, TRANSPORT_FEEDBACK)
            && let Some(media) = packet.get_mut(8..12)
        {
            media.copy_from_slice(&ssrc.to_be_bytes());
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 1];
    const LOSS: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7];
    const ARRIVALS: [u8; 20] = [0x8f, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0];

    fn named(compound: &[u8], ssrc: u32) -> Vec<u8> {
        let mut compound = compound.to_vec();
        name(&mut compound, ssrc);
        compound
    }

    #[test]
    fn transport_wide_feedback_names_another_stream_wherever_it_stands() {
        let mut expected = ARRIVALS;
        expected[8..12].copy_from_slice(&[0, 0, 1, 2]);
        assert_eq!(named(&ARRIVALS, 0x102), expected);
        let compound = [&REPORT[..], &LOSS, &ARRIVALS, &LOSS].concat();
        assert_eq!(named(&compound, 0x102), [&REPORT[..], &LOSS, &expected, &LOSS].concat());
    }

    #[test]
    fn other_feedback_names_what_it_named() {
        let compound = [&REPORT[..], &LOSS].concat();
        assert_eq!(named(&compound, 0x102), compound);
    }

    #[test]
    fn what_is_no_whole_packet_is_left_as_it_is() {
        for length in 0..ARRIVALS.len() {
            assert_eq!(named(&ARRIVALS[..length], 0x102), ARRIVALS[..length]);
        }
    }

    #[test]
    fn without_a_stream_to_name_and_for_media_nothing_is_changed() {
        let (head, rest) = ARRIVALS.split_at(8);
        assert_eq!(renamed(head, rest), None);
        assert_eq!(naming(Some(1), || renamed(&[0x80, 96, 0, 1, 0, 0, 0, 1], rest)), None);
        assert_eq!(
            naming(Some(0x102), || renamed(head, rest)).map(|rest| rest[..4].to_vec()),
            Some(vec![0, 0, 1, 2])
        );
        assert_eq!(renamed(head, rest), None, "it holds no longer than a poll");
    }
}
