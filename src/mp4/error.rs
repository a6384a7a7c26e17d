//! What is wrong with a box, with the place where to look.

#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    #[error("the {stream} encoder's configuration is not understood")]
    Setup { stream: &'static str, source: mp4_atom::Error },
    #[error("cannot write the box {name}")]
    Encode { name: &'static str, source: mp4_atom::Error },
    #[error("the box {name} at byte {offset} is not understood")]
    Decode { name: String, offset: u64, source: mp4_atom::Error },
    #[error("the box {name} at byte {offset} claims {size} bytes, more than {max}")]
    TooLarge { name: String, offset: u64, size: u64, max: u64 },
    #[error("the box {name} at byte {offset} is not expected there")]
    Unexpected { name: String, offset: u64 },
    #[error("the fragment at byte {offset} is not one of a spool: {reason}")]
    Fragment { offset: u64, reason: &'static str },
    #[error("the file is not one of a spool: {reason}")]
    NotASpool { reason: &'static str },
}
