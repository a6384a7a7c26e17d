//! How much room is left on the disk with the spools, as far as recordings must know. Pure.

/// The state of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Space {
    /// There is enough room.
    #[default]
    Ample,
    /// The room runs out: uploads remove from the spools what the store has acknowledged.
    Short,
    /// The disk is about to be full: recordings are ended while there is still room to end them properly.
    /// Uploads do the same as under `Short`.
    Exhausted,
}

impl Space {
    /// Returns whether stored media shall be removed from the spools.
    pub fn is_wanted(self) -> bool {
        match self {
            Self::Ample => false,
            Self::Short | Self::Exhausted => true,
        }
    }
}
