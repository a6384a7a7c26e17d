//! The decorations that may be drawn on tiles: names, panels with initials or a notice, a border around the
//! participant who speaks, and the watermark over the whole frame. Owns how they look; the caller chooses
//! which of them are drawn.
//!
//! Contract: everything that is drawn for a tile stays inside its cell. Fonts are looked for when the first
//! text is written, and never in a recording without text.

mod label;

mod text;

mod stamp;

mod watermark;

pub(super) use label::{draw_border, initials_panel, name_tag, notice_panel};
pub(super) use stamp::Stamp;
pub(super) use text::FontCache;
pub use text::installed_fonts;
pub use watermark::WatermarkFault;
pub(super) use watermark::load as load_watermark;
