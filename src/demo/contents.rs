//! Owns what the demo says about the file. It reads this from the file's own index (ISO/IEC 14496-12), and
//! does not ask the recorder.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail};
use mp4_atom::{Atom, Codec, Header, Moov, ReadAtom, ReadFrom, Trak};

pub struct Contents {
    pub bytes: u64,
    pub video: VideoStream,
    pub audio: AudioStream,
}

pub struct VideoStream {
    pub width: u16,
    pub height: u16,
    pub frames: u64,
    pub seconds: f64,
}

pub struct AudioStream {
    pub rate: u16,
    pub channels: u16,
    pub seconds: f64,
}

impl Contents {
    /// # Errors
    /// If the file is no MP4 with one H.264 and one AAC stream in it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let bytes = file.metadata().context("cannot tell the size of the file")?.len();
        let moov =
            index(&mut BufReader::new(file)).with_context(|| format!("cannot read {}", path.display()))?;
        let video = moov.trak.iter().find_map(video).context("the file has no H.264 stream")?;
        let audio = moov.trak.iter().find_map(audio).context("the file has no AAC stream")?;
        Ok(Self { bytes, video, audio })
    }
}

fn index(file: &mut (impl std::io::Read + Seek)) -> anyhow::Result<Moov> {
    loop {
        let header = Header::read_from(file).context("there is no index (moov) in it")?;
        if header.kind == Moov::KIND {
            return Moov::read_atom(&header, file).context("its index (moov) is damaged");
        }
        let Some(size) = header.size else {
            bail!("there is no index (moov) in it");
        };
        file.seek(SeekFrom::Current(i64::try_from(size)?))?;
    }
}

fn video(track: &Trak) -> Option<VideoStream> {
    let avc = codecs(track).iter().find_map(|codec| match codec {
        Codec::Avc1(avc) => Some(avc),
        _ => None,
    })?;
    let times = &track.mdia.minf.stbl.stts.entries;
    Some(VideoStream {
        width: avc.visual.width,
        height: avc.visual.height,
        frames: times.iter().map(|e| u64::from(e.sample_count)).sum(),
        seconds: seconds(track),
    })
}

fn audio(track: &Trak) -> Option<AudioStream> {
    let aac = codecs(track).iter().find_map(|codec| match codec {
        Codec::Mp4a(aac) => Some(aac),
        _ => None,
    })?;
    Some(AudioStream {
        rate: aac.audio.sample_rate.integer(),
        channels: aac.audio.channel_count,
        seconds: seconds(track),
    })
}

fn codecs(track: &Trak) -> &[Codec] {
    &track.mdia.minf.stbl.stsd.codecs
}

fn seconds(track: &Trak) -> f64 {
    let media = &track.mdia.mdhd;
    media.duration as f64 / f64::from(media.timescale.max(1))
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, video, audio } = self;
        let rate = video.frames as f64 / video.seconds.max(f64::MIN_POSITIVE);
        writeln!(f, "  {:.1} MB, {:.1} s", *bytes as f64 / 1e6, video.seconds)?;
        writeln!(
            f,
            "  video  H.264 {}x{}, {} frames, {rate:.2} a second",
            video.width, video.height, video.frames
        )?;
        write!(f, "  audio  AAC {} Hz, {} channels, {:.1} s", audio.rate, audio.channels, audio.seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Makes a file with GStreamer, whose muxer is not ours.
    fn sample(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("sample.mp4");
        let description = format!(
            "videotestsrc num-buffers=45 ! video/x-raw,width=320,height=180,framerate=30/1 ! x264enc ! h264parse ! mux. \
             audiotestsrc num-buffers=48 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! voaacenc ! aacparse ! mux. \
             mp4mux name=mux faststart=true ! filesink location={}",
            path.display()
        );
        let done = Command::new("gst-launch-1.0").arg("-q").args(description.split_whitespace()).status();
        assert!(done.unwrap().success());
        path
    }

    #[test]
    fn a_file_of_another_muxer_is_described_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = sample(dir.path());
        let contents = Contents::read(&path).unwrap();
        assert_eq!(contents.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!((contents.video.width, contents.video.height), (320, 180));
        assert_eq!(contents.video.frames, 45);
        assert!((contents.video.seconds - 1.5).abs() < 0.01);
        assert_eq!((contents.audio.rate, contents.audio.channels), (48_000, 2));
    }

    #[test]
    fn a_file_without_an_index_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mp4");
        std::fs::write(&path, b"\0\0\0\x08free\0\0\0\x10mdat12345678").unwrap();
        let error = format!("{:#}", Contents::read(&path).err().unwrap());
        assert!(error.contains("no index (moov)"), "{error}");
    }
}
