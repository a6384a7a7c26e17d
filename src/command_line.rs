//! The command line: its commands, their arguments and their help texts. Carries out nothing but `health`.
//!
//! The manual pages in `docs/man` are made from it.

pub mod health;

use clap::{Parser, Subcommand};

use crate::check::CheckArgs;
use crate::demo::{DemoArgs, PublishArgs};
use crate::health::TRIAL_COMMAND;
use crate::record::RecordArgs;
use health::HealthArgs;

#[derive(Parser, Debug)]
#[command(
    name = "egressd",
    version,
    about,
    after_help = "Settings come from environment variables, or from the TOML file that EGRESSD_CONFIG names; \
    docs/configuration.md lists them.\n\n\
    Exit codes: 0 success; 1 failure, told on standard error; 2 a wrong argument; 75 something is left that the next \
    start (serve) or --finish (record) takes care of."
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the service: the recording API, its recordings, their uploads and webhooks.
    #[command(
        after_help = "Settings come from environment variables, or from the TOML file that EGRESSD_CONFIG names; \
        docs/configuration.md lists them, and `egressd check` tries them.\n\n\
        SIGTERM and Ctrl-C end it: recordings may go on for EGRESSD_SHUTDOWN_GRACE_SECONDS, then they are stopped and \
        stored; a second signal stops them at once. It logs to standard error: text on a terminal, one JSON object a line \
        elsewhere.\n\n\
        Exit code: 0 if everything is stored and told; 75 if something is left for the next start on the same data; 1 if \
        it cannot start or go on."
    )]
    Serve,
    /// Records one room into one file, without a service.
    Record(Box<RecordArgs>),
    /// Says what works and what does not: configuration, LiveKit, store, encoders, this machine.
    #[command(
        after_help = "It takes the settings that `egressd serve` would take, tries everything that a recording needs, \
    and leaves nothing behind.\n\n\
    Exit code: 0 if recordings could be made, warnings or not; 1 otherwise."
    )]
    Check(CheckArgs),
    /// Asks the running service how it is.
    #[command(
        after_help = "Exit code: 0 if it could start a recording now, with --alive if it answers at all; 1 otherwise."
    )]
    Health(HealthArgs),
    /// Starts what it needs locally, records moving test participants, says where the file is.
    #[command(
        after_help = "It needs a LiveKit server: `livekit-server` on PATH, or where EGRESSD_LIVEKIT_SERVER says.\n\n\
    Exit code: 0 if the file is there and as long as was asked for; 1 otherwise."
    )]
    Demo(DemoArgs),
    /// Publishes test participants into a room.
    #[command(hide = true)]
    Publish(PublishArgs),
    /// Makes a second of a recording, for the service that wants to know whether it could; says why not.
    #[command(name = TRIAL_COMMAND, hide = true)]
    TryEncoders,
    /// One recording, for the service that started it.
    #[command(hide = true)]
    Worker,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_that_users_see_says_its_exit_codes() {
        let command = CommandLine::command();
        let silent: Vec<_> = command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set())
            .filter(|sub| !sub.get_after_help().is_some_and(|help| help.to_string().contains("Exit code: 0")))
            .map(|sub| sub.get_name().to_owned())
            .collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}
