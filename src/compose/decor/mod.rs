//! What may be drawn on the tiles besides pictures: names, panels with initials or a notice, a border around who
//! speaks, and the watermark over all. Owns how these look; whether there are any is the caller's choice.
//!
//! Contract: everything drawn for a tile lies inside its cell. Fonts are looked for when the first text is
//! written, and never in a recording without one.

mod label;

mod text;

mod stamp;

mod watermark;

pub(super) use label::{draw_border, initials_panel, name_tag, notice_panel};
pub(super) use stamp::Stamp;
pub(super) use text::Lettering;
pub use text::installed_fonts;
pub use watermark::WatermarkFault;
pub(super) use watermark::load as load_watermark;
