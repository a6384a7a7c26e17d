//! Small pictures for the tests of this folder.

use std::sync::Arc;

use crate::ids::TrackSid;
use crate::media::{I420, MediaTime, Picture, Plane, Rotation, Size};

/// Padding after each row, in a value that nothing else has: it must never be seen.
const PADDING: usize = 13;
const PADDING_VALUE: u8 = 255;

pub(super) struct Image {
    size: Size,
    planes: [Vec<u8>; 3],
}

impl Image {
    /// A picture of one colour.
    pub(super) fn plain(size: Size, colour: [u8; 3]) -> Self {
        Self::painted(size, |_, _| colour)
    }

    /// `colour` returns the colour at a luma pixel. Chroma is taken at every second one.
    pub(super) fn painted(size: Size, colour: impl Fn(u32, u32) -> [u8; 3]) -> Self {
        let plane = |component: usize, step: u32| {
            let mut bytes = Vec::new();
            for y in (0..size.height).step_by(step as usize) {
                let row = (0..size.width).step_by(step as usize);
                bytes.extend(row.map(|x| colour(x, y)[component]));
                bytes.extend([PADDING_VALUE; PADDING]);
            }
            bytes
        };
        Self { size, planes: [plane(0, 1), plane(1, 2), plane(2, 2)] }
    }

    pub(super) fn cut_short(mut self) -> Self {
        self.planes[2].truncate(1);
        self
    }

    pub(super) fn at(self, time: MediaTime) -> Picture {
        self.turned(Rotation::Upright, time)
    }

    pub(super) fn turned(self, rotation: Rotation, time: MediaTime) -> Picture {
        Picture { time, rotation, image: Arc::new(self) }
    }
}

impl I420 for Image {
    fn size(&self) -> Size {
        self.size
    }

    fn planes(&self) -> [Plane<'_>; 3] {
        let half = self.size.width.div_ceil(2);
        let [y, u, v] = &self.planes;
        [(y, self.size.width), (u, half), (v, half)]
            .map(|(data, width)| Plane { data, stride: width as usize + PADDING })
    }
}

pub(super) fn sid(name: &str) -> TrackSid {
    TrackSid(name.to_owned())
}

pub(super) const fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}
