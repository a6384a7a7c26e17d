//! Owns the plain look of a test participant: a card of one colour. The colours differ so much that tests
//! recognise a participant from a few pixels of a bad copy. Pure: drawn, not encoded.
//!
//! Contract: the middle of the picture has the card's colour in every frame; a bar moves below it.

use rand::{RngCore, SeedableRng};

use super::picture::{Colour, Planes};
use crate::media::Size;

/// Red, green and blue each have one of these levels.
const LEVELS: [f64; 3] = [0.125, 0.5, 0.875];
/// All combinations but the darkest, which looks like a background.
pub const CARDS: u32 = 26;

/// The share of the picture that is noise, 1 in so many: even the coarsest quantiser makes as many bits of it
/// as the encoder may spend.
const NOISY_SHARE: u32 = 32;

/// Draws one participant's pictures, planar 4:2:0 without padding.
pub struct Card {
    size: Size,
    colour: Colour,
    /// Frames until the motion starts over.
    period: u32,
}

impl Card {
    /// `participant` counts from 0; from [`CARDS`] on, the colours repeat. Width and height of `size` must be
    /// even.
    pub fn new(size: Size, participant: u32, period: u32) -> Self {
        let number = (participant % CARDS + 1) as usize;
        let [red, green, blue] = [number / 9, number / 3 % 3, number % 3].map(|level| LEVELS[level]);
        Self { size, colour: Colour::rgb((red, green, blue)), period }
    }

    pub fn draw(&self, frame: u32) -> Vec<u8> {
        self.planes(frame).concat()
    }

    /// Draws the card with noise at the top, which differs from frame to frame.
    pub fn draw_busy(&self, frame: u32) -> Vec<u8> {
        let mut picture = self.planes(frame).concat();
        let noisy = (self.size.width * self.size.height / NOISY_SHARE) as usize;
        rand::rngs::StdRng::seed_from_u64(frame.into()).fill_bytes(&mut picture[..noisy]);
        picture
    }

    fn planes(&self, frame: u32) -> Planes {
        let mut planes = Planes::new(self.size);
        planes.fill(self.colour);
        let Size { width, height } = self.size;
        let bar = Size { width: width / 16, height: height / 8 };
        let left = (width - bar.width) * (frame % self.period) / self.period;
        planes.bar((left, height - bar.height), bar);
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 160, height: 90 };

    fn middle(participant: u32, frame: u32) -> [u8; 3] {
        let picture = Card::new(SIZE, participant, 180).draw(frame);
        let (luma, chroma) = (160 * 90, 80 * 45);
        let centre = 80 * 22 + 40;
        [picture[160 * 45 + 80], picture[luma + centre], picture[luma + chroma + centre]]
    }

    #[test]
    fn no_two_cards_are_alike() {
        for a in 0..CARDS {
            for b in 0..a {
                let distance = middle(a, 0).iter().zip(middle(b, 0)).map(|(x, y)| x.abs_diff(y)).max();
                assert!(distance > Some(30), "{a} and {b}");
            }
        }
    }

    #[test]
    fn the_middle_is_the_same_in_every_frame_and_the_picture_is_not() {
        let card = Card::new(SIZE, 7, 180);
        for frame in 0..180 {
            assert_eq!(middle(7, frame), middle(7, 0));
        }
        assert_ne!(card.draw(0), card.draw(90));
    }
}
