//! The faults that a spool can have. Writing cannot fail.

use mp4_atom::FourCC;

/// A fault in the spool, with its byte position from the spool's start. The file itself is wrong, so reading
/// again does not help. The whole fragments before the fault are good.
#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    #[error("box `{}` at byte {offset} of the spool, where `{expected}` should be", .found.as_ref().escape_ascii())]
    UnexpectedBox { offset: u64, found: FourCC, expected: FourCC },
    #[error("box `{kind}` at byte {offset} of the spool has an impossible length")]
    BoxLength { offset: u64, kind: FourCC },
    #[error("box `{kind}` at byte {offset} of the spool is malformed")]
    Malformed {
        offset: u64,
        kind: FourCC,
        #[source]
        source: mp4_atom::Error,
    },
    #[error("`moof` at byte {offset} of the spool starts track {track_id} at {found}, not {expected}")]
    Gap { offset: u64, track_id: u32, found: u64, expected: u64 },
    #[error("`moof` at byte {offset} of the spool places track {track_id} at {found}, not {expected}")]
    Misplaced { offset: u64, track_id: u32, found: i32, expected: u64 },
    #[error("`mdat` at byte {offset} of the spool holds {found} bytes, its samples {expected}")]
    MediaLength { offset: u64, found: u64, expected: u64 },
    #[error("the spool ends at byte {len}, before its `moov` is whole")]
    NoMovie { len: u64 },
}
