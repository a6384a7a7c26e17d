//! Decides whether this machine has room for one more recording, from its load and its free disk space.
//!
//! Does not start or end anything (`control` does). Contract: an admitted recording harms none that runs.
//! Only this folder reads measurements from the kernel.

mod space;

mod capacity;

mod slots;

mod meter;

mod machine;

mod monitor;

pub use capacity::{Load, Pool, Shortage};
pub use machine::{free_bytes, process, sample};
pub use meter::Meter;
pub use monitor::{Measurements, Monitor};
pub use slots::{Slot, Slots};
pub use space::Space;
