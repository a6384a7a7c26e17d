//! Buffers for pictures, from a pool, in the layout that the encoder reads.

use gst::prelude::*;

use super::error::EncodeError;
use super::pipeline::setup;
use crate::media::{Size, StreamKind};

/// Pictures are megabytes: new memory for each would cost page faults.
pub struct Pictures {
    pool: gst::BufferPool,
    /// GStreamer's own layout of I420, in which each row begins at a multiple of 4 bytes.
    info: gst_video::VideoInfo,
}

impl Pictures {
    pub fn new(size: Size) -> Result<Self, EncodeError> {
        let format = gst_video::VideoFormat::I420;
        let info = gst_video::VideoInfo::builder(format, size.width, size.height).build();
        let info = info.map_err(|e| setup(&e))?;
        let bytes = u32::try_from(info.size()).map_err(|e| setup(&e))?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(None, bytes, 2, 0);
        pool.set_config(config).map_err(|e| setup(&e))?;
        pool.set_active(true).map_err(|e| setup(&e))?;
        Ok(Self { pool, info })
    }

    /// Returns a buffer with this picture, which is I420 and tightly packed.
    pub fn buffer(&self, canvas: &[u8]) -> Result<gst::Buffer, EncodeError> {
        let expected = self.canvas_bytes();
        if canvas.len() != expected {
            return Err(EncodeError::Shape { stream: StreamKind::Video, got: canvas.len(), expected });
        }
        let refused = |reason: String| EncodeError::Refused { stream: StreamKind::Video, reason };
        let mut buffer = self.pool.acquire_buffer(None).map_err(|e| refused(e.to_string()))?;
        let writable = buffer.get_mut().ok_or_else(|| refused("its buffer is shared".into()))?;
        if self.info.size() == expected {
            writable.copy_from_slice(0, canvas).map_err(|n| refused(format!("only {n} bytes fit")))?;
        } else {
            let mut bytes = writable.map_writable().map_err(|e| refused(e.to_string()))?;
            self.copy_rows(canvas, &mut bytes);
        }
        Ok(buffer)
    }

    /// Returns the width and the height of the planes Y, U and V.
    fn planes(&self) -> [(usize, usize); 3] {
        let (width, height) = (self.info.width() as usize, self.info.height() as usize);
        [(width, height), (width / 2, height / 2), (width / 2, height / 2)]
    }

    fn canvas_bytes(&self) -> usize {
        self.planes().iter().map(|(width, height)| width * height).sum()
    }

    fn copy_rows(&self, mut canvas: &[u8], buffer: &mut [u8]) {
        for ((plane, offset), (width, height)) in (0..).zip(self.info.offset()).zip(self.planes()) {
            let (rows, rest) = canvas.split_at(width * height);
            let stride = self.info.stride()[plane] as usize;
            for (to, from) in buffer[*offset..].chunks_mut(stride).zip(rows.chunks_exact(width)) {
                to[..width].copy_from_slice(from);
            }
            canvas = rest;
        }
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        let _ = self.pool.set_active(false);
    }
}
