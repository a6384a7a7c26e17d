//! From encoded samples to bytes in the spool file: fragments are made here, written by the spool's
//! thread.

use std::path::Path;
use std::time::Duration;

use tokio::sync::Notify;

use super::WorkerError;
use super::spool::{Spool, SpoolError};
use crate::encode::{Encoded, Encoder};
use crate::media::{EncodedSample, Size};
use crate::mp4::{FragmentWriter, MovieConfig};

/// A tenth of a second of work is left when ticks end; a machine that is swamped gets this long.
const ENCODER_DEADLINE: Duration = Duration::from_secs(10);

pub struct FileWriter {
    size: Size,
    frame_rate: u32,
    spool: Spool,
    stage: Stage,
}

enum Stage {
    /// The encoders have not said how their streams begin.
    BeforeSetup,
    Open(Box<FragmentWriter>),
    Ended,
}

impl FileWriter {
    pub fn create(path: &Path, size: Size, frame_rate: u32) -> Result<Self, SpoolError> {
        Ok(Self { size, frame_rate, spool: Spool::create(path)?, stage: Stage::BeforeSetup })
    }

    pub fn final_bytes(&self) -> u64 {
        self.spool.final_bytes()
    }

    /// Takes what the encoder has ready.
    pub fn take(&mut self, encoder: &mut Encoder) -> Result<(), WorkerError> {
        while let Some(encoded) = encoder.try_next() {
            match encoded {
                Encoded::Setup(setup) => {
                    let config = MovieConfig { size: self.size, frame_rate: self.frame_rate, setup };
                    let (writer, head) = FragmentWriter::new(config);
                    self.spool.append(head)?;
                    self.stage = Stage::Open(Box::new(writer));
                }
                Encoded::Sample(sample) => self.sample(sample)?,
                Encoded::End => return self.end(),
                Encoded::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Drains the encoder and closes the file; answers with its length and what went wrong.
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
        (len, outcome.and(written.map_err(WorkerError::from)))
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

    fn sample(&mut self, sample: EncodedSample) -> Result<(), WorkerError> {
        let Stage::Open(writer) = &mut self.stage else { return Err(WorkerError::SampleBeforeSetup) };
        if let Some(fragment) = writer.push(sample) {
            self.spool.append(fragment)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), WorkerError> {
        if let Stage::Open(writer) = std::mem::replace(&mut self.stage, Stage::Ended)
            && let Some(fragment) = writer.finish()
        {
            self.spool.append(fragment)?;
        }
        Ok(())
    }
}
