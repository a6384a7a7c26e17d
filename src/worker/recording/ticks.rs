//! The ticks of a recording: what belongs to them goes through the decoders into the composer, what the composer
//! makes goes to the encoder. When a tick is due is decided in `pace`.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Recording, quality};
use crate::media::{Codec, TrackKind};
use crate::room::RoomCommand;
use crate::worker::WorkerError;
use crate::worker::feed::FeedEvent;
use crate::worker::pace::Due;
use crate::worker::quality::{MadeTick, Source};

/// A tick's sound needs the packet that begins after it too: the decoder's look-ahead (6.5 ms) and
/// the resampler's neighbours reach into it.
const SOUND_AHEAD: Duration = Duration::from_millis(20);

/// What the ticks wait for.
pub(super) enum Wait {
    Until(Instant),
    ForOthers,
    Done,
}

impl Recording {
    /// Makes every tick that can be made now.
    pub(super) fn make_ticks(&mut self) -> Result<Wait, WorkerError> {
        loop {
            self.file.take(&mut self.encoder)?;
            let overdue = match self.pace.due(self.now()) {
                Due::NotBefore(at) => {
                    self.pace.caught_up();
                    return Ok(Wait::Until(self.instant(at)));
                }
                Due::Finished => return Ok(Wait::Done),
                Due::Ready => false,
                Due::Overdue => true,
            };
            if !self.encoder.ready() {
                return Ok(Wait::ForOthers);
            }
            let caught_up = self.decode_next_burst();
            if !caught_up && !overdue {
                return Ok(Wait::ForOthers);
            }
            if overdue {
                self.pace.caught_up();
            }
            self.quality.tick(MadeTick { delay: self.pace.delay(self.now()), hurried: !caught_up });
            let tick = self.composer.tick();
            self.encoder.push(tick.canvas, tick.sound)?;
            self.pace.advance(self.now());
            self.after_tick();
        }
    }

    /// Puts what the next burst of ticks needs through the decoders; whether all of it has come out.
    fn decode_next_burst(&mut self) -> bool {
        let (start, end) = self.pace.last_of_burst();
        let mut caught_up = true;
        for (sid, feed) in &mut self.feeds {
            let until = match feed.kind() {
                TrackKind::Video => start,
                TrackKind::Audio => end + SOUND_AHEAD,
            };
            feed.feed(until);
            // Asked before the outputs are taken: what came out until now is taken below.
            caught_up &= feed.caught_up();
            while let Some(output) = feed.try_next() {
                match output {
                    FeedEvent::Picture(picture) => self.composer.picture(sid, picture),
                    FeedEvent::Sound(sound) => self.composer.sound(sid, &sound),
                    FeedEvent::KeyframeWanted => {
                        request(&self.room_commands, RoomCommand::RequestKeyframe(sid.clone()));
                    }
                    FeedEvent::Failed(reason) => {
                        let message = format!("its decoder failed and was started anew: {reason}");
                        self.quality.warn(start, Some(sid), message);
                        request(&self.room_commands, RoomCommand::RequestKeyframe(sid.clone()));
                    }
                    FeedEvent::Undecodable { codec, reason } => {
                        self.quality.warn(start, Some(sid), format!("cannot be decoded: {reason}"));
                        self.composer.set_placeholder(sid, &placeholder(codec), start);
                    }
                }
            }
        }
        caught_up
    }

    fn after_tick(&mut self) {
        let start = self.pace.next_tick();
        for (sid, feed) in self.feeds.extract_if(|_, feed| feed.is_over(start)) {
            tracing::info!(track = %sid, counters = ?feed.counters(), "track ended");
            quality::count(&mut self.quality, &self.composer, (&sid, &feed), Source::Ended);
            self.composer.remove_audio(&sid);
            feed.close();
        }
        for command in self.layers.update(self.composer.wanted(), self.now()) {
            tracing::debug!(?command, "layer");
            request(&self.room_commands, command);
        }
    }
}

/// What is written on the tile of a track that cannot be decoded.
pub(super) fn placeholder(codec: Codec) -> String {
    format!("{codec} cannot be shown here")
}

/// A room that is not listening is about to end: its last event says so.
fn request(commands: &mpsc::Sender<RoomCommand>, command: RoomCommand) {
    if let Err(error) = commands.try_send(command) {
        tracing::debug!(%error, "room command not taken");
    }
}
