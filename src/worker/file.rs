//! From encoded samples to bytes in the spool file: fragments are made here, written by the spool's
//! thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::WorkerError;
use super::spool::{Spool, SpoolError};
use crate::encode::{Encoded, Encoder};
use crate::media::{EncodedSample, Size, StreamSetup};
use crate::mp4::{FragmentWriter, MovieConfig, SpoolPosition};

/// A tenth of a second of work is left when ticks end; a machine that is swamped gets this long.
const ENCODER_DEADLINE: Duration = Duration::from_secs(10);

/// What the encoders do not say of their streams.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub size: Size,
    pub frame_rate: u32,
}

pub struct FileWriter {
    shape: Shape,
    spool: Spool,
    /// With what was there before.
    bytes: u64,
    stage: Stage,
}

enum Stage {
    /// The encoders have not said how their streams begin.
    BeforeSetup(Beginning),
    Open(Box<FragmentWriter>),
    Ended,
}

enum Beginning {
    Empty,
    /// Streams that were set up like this end there.
    Behind(SpoolPosition, Box<MovieConfig>),
}

impl FileWriter {
    /// `wake` is notified whenever there are more final bytes.
    pub fn create(path: &Path, shape: Shape, wake: &Arc<Notify>) -> Result<Self, SpoolError> {
        let spool = Spool::create(path, Arc::clone(wake))?;
        Ok(Self { shape, spool, bytes: 0, stage: Stage::BeforeSetup(Beginning::Empty) })
    }

    /// Goes on behind what another worker has left; what is there is set up as `config` says, if it has a `moov`.
    pub fn resume(
        path: &Path,
        position: SpoolPosition,
        config: Option<MovieConfig>,
        shape: Shape,
        wake: &Arc<Notify>,
    ) -> Result<Self, SpoolError> {
        let spool = Spool::resume(path, position.bytes, Arc::clone(wake))?;
        let beginning = match config {
            None => Beginning::Empty,
            Some(config) => Beginning::Behind(position, Box::new(config)),
        };
        Ok(Self { shape, spool, bytes: position.bytes, stage: Stage::BeforeSetup(beginning) })
    }

    /// Bytes that are on the disk.
    pub fn final_bytes(&self) -> u64 {
        self.spool.final_bytes()
    }

    /// Bytes of all whole fragments so far, on the disk or on their way to it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what the encoder has ready.
    pub fn take(&mut self, encoder: &mut Encoder) -> Result<(), WorkerError> {
        while let Some(encoded) = encoder.try_next() {
            match encoded {
                Encoded::Setup(setup) => self.set_up(setup)?,
                Encoded::Sample(sample) => self.sample(sample)?,
                Encoded::End => return self.end(),
                Encoded::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Drains the encoder and closes the file; returns its length and what went wrong.
    pub async fn finish(mut self, mut encoder: Encoder, wake: &Notify) -> (u64, Result<(), WorkerError>) {
        encoder.finish();
        let drained = tokio::time::timeout(ENCODER_DEADLINE, self.drain(&mut encoder, wake)).await;
        let mut outcome = drained.unwrap_or(Err(WorkerError::EncoderStuck));
        encoder.close();
        if outcome.is_err() {
            // What is encoded already is whole fragments' worth all the same.
            outcome = outcome.and(self.end());
        }
        let spool = tokio::task::spawn_blocking(move || self.spool.finish()).await;
        let (len, written) = spool.unwrap_or((0, Err(SpoolError::Gone)));
        // What kept the file from being written says more than what came of it.
        (len, written.map_err(WorkerError::from).and(outcome))
    }

    async fn drain(&mut self, encoder: &mut Encoder, wake: &Notify) -> Result<(), WorkerError> {
        loop {
            self.take(encoder)?;
            if matches!(self.stage, Stage::Ended) {
                return Ok(());
            }
            wake.notified().await;
        }
    }

    fn set_up(&mut self, setup: StreamSetup) -> Result<(), WorkerError> {
        let Stage::BeforeSetup(beginning) = &self.stage else { return Err(WorkerError::SecondSetup) };
        let Shape { size, frame_rate } = self.shape;
        let config = MovieConfig::new(size, frame_rate, setup);
        let writer = match beginning {
            Beginning::Behind(position, old) if **old == config => FragmentWriter::behind(*position, &config),
            Beginning::Behind(..) => return Err(WorkerError::OtherSetup),
            Beginning::Empty => {
                let (writer, head) = FragmentWriter::new(config);
                self.append(head)?;
                writer
            }
        };
        self.stage = Stage::Open(Box::new(writer));
        Ok(())
    }

    fn sample(&mut self, sample: EncodedSample) -> Result<(), WorkerError> {
        let Stage::Open(writer) = &mut self.stage else { return Err(WorkerError::SampleBeforeSetup) };
        match writer.push(sample) {
            Some(fragment) => self.append(fragment),
            None => Ok(()),
        }
    }

    fn append(&mut self, piece: Vec<u8>) -> Result<(), WorkerError> {
        self.bytes += piece.len() as u64;
        Ok(self.spool.append(piece)?)
    }

    fn end(&mut self) -> Result<(), WorkerError> {
        if let Stage::Open(writer) = std::mem::replace(&mut self.stage, Stage::Ended)
            && let Some(fragment) = writer.finish()
        {
            self.append(fragment)?;
        }
        Ok(())
    }
}
