//! `egressd record`: one room into one file, without a service.
//!
//! It is the service's own recorder, with a database, a spool and a store of its own in a hidden folder beside the file
//! (`workplace`): what a service survives, this does. Contract: the file appears under its name whole or not at all, and
//! in the place of another one only if that was asked for; what a run leaves that was killed, another one finishes.

mod arguments;
mod error;
mod progress;
mod recorder;
mod signals;
mod workplace;

use std::io::{self, IsTerminal};
use std::time::Duration;

pub use self::arguments::RecordArgs;
pub use self::error::RecordError;

use self::arguments::Task;
use self::progress::Progress;
use self::recorder::{Ended, Recorder};
use self::signals::Signals;
use self::workplace::{Begin, Workplace};
use crate::config::{Joining, RecorderConfig};
use crate::store::Phase;
use crate::telemetry;

/// How often it is looked how far the recording is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// On a terminal the line of progress is not to be torn apart.
pub fn log_level() -> String {
    telemetry::inherited_level(if io::stderr().is_terminal() { "warn" } else { "info" })
}

/// # Errors
/// Unless the recording is complete and under its name.
pub async fn run(args: RecordArgs) -> Result<(), RecordError> {
    let signals = Signals::new().map_err(RecordError::Signals)?;
    let task = args.task()?;
    let (joining, begin) = match &task {
        Task::Record { .. } => (Joining::Yes, Begin::New),
        Task::Resume => (Joining::Yes, Begin::Found),
        Task::Finish => (Joining::No, Begin::Found),
    };
    let config = RecorderConfig::load(joining)?;
    let workplace = Workplace::open(&args.out, args.existing(), begin)?;
    let mut progress = Progress::new();
    let recorder = match Recorder::start(&workplace, config, &task).await {
        Ok(recorder) => recorder,
        Err(error) => {
            workplace.give_up(begin);
            return Err(error);
        }
    };
    let ended = watch(recorder, signals, &mut progress).await;
    progress.done();
    finish(workplace, ended?, &task)
}

/// What signals have asked for.
enum Asked {
    Nothing,
    Stop,
}

/// Until it has ended. The first signal stops it, the second leaves the rest to another run.
async fn watch(
    recorder: Recorder,
    mut signals: Signals,
    progress: &mut Progress,
) -> Result<Ended, RecordError> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut asked = Asked::Nothing;
    loop {
        tokio::select! {
            biased;
            () = signals.next() => match asked {
                Asked::Nothing => {
                    asked = Asked::Stop;
                    progress.stopping();
                    recorder.stop().await;
                }
                Asked::Stop => {
                    recorder.abandon().await;
                    return Err(RecordError::Abandoned);
                }
            },
            _ = looks.tick() => {
                let state = recorder.state().await?;
                // A stop that could not be written down is asked for again.
                if let (Asked::Stop, Phase::Starting | Phase::Active) = (&asked, state.row.phase) {
                    recorder.stop().await;
                }
                match state.row.ended_at {
                    Some(_) => return Ok(recorder.end(state).await),
                    None => progress.show(&state),
                }
            }
        }
    }
}

/// Gives the file its name, and says how it went.
fn finish(workplace: Workplace, ended: Ended, task: &Task) -> Result<(), RecordError> {
    let Ended { saved, error, spool_is_kept } = ended;
    let Some(saved) = saved else {
        let error = error.unwrap_or_else(|| "Nothing was recorded.".to_owned());
        return Err(match spool_is_kept {
            true => RecordError::Kept { error, folder: workplace.folder().to_owned() },
            false => {
                workplace.remove();
                RecordError::Failed { error }
            }
        });
    };
    let file = workplace.publish(&saved.key)?;
    tracing::info!(file = %file.display(), seconds = saved.duration_s, bytes = saved.size, "recorded");
    Progress::recorded(&file, &saved);
    match (error, task) {
        (None, _) => Ok(()),
        // That it was cut off is known.
        (Some(error), Task::Finish) => {
            tracing::warn!(error, "the file holds what there was");
            Ok(())
        }
        (Some(error), Task::Record { .. } | Task::Resume) => Err(RecordError::Failed { error }),
    }
}
