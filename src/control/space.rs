//! How much room the disk with the spools has left, as far as a recording has to care. Pure.

/// What the disk allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Space {
    /// Nobody has to do anything.
    #[default]
    Ample,
    /// It runs out: uploads give back what the store has acknowledged.
    Short,
    /// It is about to be full: recordings are ended while there is still room to end them properly. Uploads do
    /// as under `Short`.
    Exhausted,
}

impl Space {
    /// Whether media that is stored already shall be removed from the spools.
    pub fn is_wanted(self) -> bool {
        match self {
            Self::Ample => false,
            Self::Short | Self::Exhausted => true,
        }
    }
}
