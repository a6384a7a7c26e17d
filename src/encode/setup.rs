//! Holds samples back until every encoder has returned its stream's setup. Pure.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{EncodeError, Encoded};
use crate::media::{AudioSetup, EncodedSample, StreamKind, StreamSetup, Streams};

/// A message of the encoder threads.
pub enum EncoderMessage {
    Sample { sample: EncodedSample, codec_data: Option<Bytes> },
    End(StreamKind),
    Failed(EncodeError),
}

/// Sorts the messages of the encoder threads into the order that [`super::Encoder`] promises.
#[derive(Default)]
pub struct Sequencer {
    streams: Streams,
    avcc: Option<Bytes>,
    audio_specific_config: Option<Bytes>,
    set_up: bool,
    held: VecDeque<EncodedSample>,
    ready: VecDeque<Encoded>,
    ended: Vec<StreamKind>,
}

/// How many samples avenc_aac puts in front of the first real one (libavcodec's `initial_padding`).
const AAC_PRIMING: u32 = 1024;

impl Sequencer {
    pub fn new(streams: Streams) -> Self {
        Self { streams, ..Self::default() }
    }

    pub fn take(&mut self, message: EncoderMessage) {
        match message {
            EncoderMessage::Sample { sample, codec_data } => self.sample(sample, codec_data),
            EncoderMessage::End(stream) => self.end(stream),
            EncoderMessage::Failed(error) => self.ready.push_back(Encoded::Failed(error)),
        }
    }

    pub fn next(&mut self) -> Option<Encoded> {
        self.ready.pop_front()
    }

    fn sample(&mut self, sample: EncodedSample, codec_data: Option<Bytes>) {
        if self.set_up {
            return self.ready.push_back(Encoded::Sample(sample));
        }
        let known = match sample.stream {
            StreamKind::Video => &mut self.avcc,
            StreamKind::Audio => &mut self.audio_specific_config,
        };
        if known.is_none() {
            let Some(codec_data) = codec_data else {
                let error = EncodeError::NoCodecData { stream: sample.stream };
                return self.ready.push_back(Encoded::Failed(error));
            };
            *known = Some(codec_data);
        }
        self.held.push_back(sample);
        self.set_up_if_known();
    }

    fn set_up_if_known(&mut self) {
        let is_known = |stream, data: &Option<Bytes>| !self.streams.has(stream) || data.is_some();
        if !is_known(StreamKind::Video, &self.avcc)
            || !is_known(StreamKind::Audio, &self.audio_specific_config)
        {
            return;
        }
        self.set_up = true;
        let config = self.audio_specific_config.clone();
        self.ready.push_back(Encoded::Setup(StreamSetup {
            avcc: self.avcc.clone(),
            audio: config.map(|specific_config| AudioSetup { specific_config, priming: AAC_PRIMING }),
        }));
        self.ready.extend(self.held.drain(..).map(Encoded::Sample));
    }

    fn end(&mut self, stream: StreamKind) {
        if !self.ended.contains(&stream) {
            self.ended.push(stream);
        }
        let all =
            [StreamKind::Video, StreamKind::Audio].into_iter().filter(|stream| self.streams.has(*stream));
        if all.into_iter().all(|stream| self.ended.contains(&stream)) {
            self.ready.push_back(Encoded::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(stream: StreamKind) -> EncoderMessage {
        let sample = EncodedSample { stream, data: Bytes::from_static(b"x"), keyframe: true };
        EncoderMessage::Sample { sample, codec_data: Some(Bytes::from_static(b"c")) }
    }

    fn names(sequencer: &mut Sequencer) -> Vec<&'static str> {
        std::iter::from_fn(|| sequencer.next())
            .map(|e| match e {
                Encoded::Setup(_) => "setup",
                Encoded::Sample(s) if s.stream == StreamKind::Video => "video",
                Encoded::Sample(_) => "audio",
                Encoded::End => "end",
                Encoded::Failed(_) => "failed",
            })
            .collect()
    }

    #[test]
    fn nothing_comes_before_the_setup_of_both_streams() {
        let mut sequencer = Sequencer::default();
        sequencer.take(sample(StreamKind::Audio));
        sequencer.take(sample(StreamKind::Audio));
        assert!(names(&mut sequencer).is_empty());
        sequencer.take(sample(StreamKind::Video));
        sequencer.take(sample(StreamKind::Audio));
        assert_eq!(names(&mut sequencer), ["setup", "audio", "audio", "video", "audio"]);
    }

    #[test]
    fn the_end_is_that_of_both_streams() {
        let mut sequencer = Sequencer::default();
        sequencer.take(EncoderMessage::End(StreamKind::Audio));
        assert!(names(&mut sequencer).is_empty());
        sequencer.take(EncoderMessage::End(StreamKind::Video));
        assert_eq!(names(&mut sequencer), ["end"]);
    }

    #[test]
    fn where_there_is_one_stream_nothing_waits_for_the_other() {
        for (streams, stream, name) in [
            (Streams::AudioOnly, StreamKind::Audio, "audio"),
            (Streams::VideoOnly, StreamKind::Video, "video"),
        ] {
            let mut sequencer = Sequencer::new(streams);
            sequencer.take(sample(stream));
            sequencer.take(EncoderMessage::End(stream));
            assert_eq!(names(&mut sequencer), ["setup", name, "end"]);
        }
    }

    #[test]
    fn a_stream_that_nobody_could_decode_is_a_failure() {
        let mut sequencer = Sequencer::default();
        let sample = EncodedSample { stream: StreamKind::Video, data: Bytes::new(), keyframe: true };
        sequencer.take(EncoderMessage::Sample { sample, codec_data: None });
        assert_eq!(names(&mut sequencer), ["failed"]);
    }
}
