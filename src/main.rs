//! The command line. Owns nothing but the way from arguments to the part that does the work, and
//! the exit code: 0 only on success.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use egressd::{config::Config, serve, telemetry};

/// Records LiveKit rooms: joins hidden, composes, and writes MP4 to S3 while the meeting runs.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service. It is configured by environment variables, or by the TOML file that
    /// EGRESSD_CONFIG names.
    Serve,
    /// Make one recording; started by the service, which speaks to it over its standard input.
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("egressd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve => {
            let config = Config::load()?;
            telemetry::init(config.log_level.as_str())?;
            runtime()?.block_on(serve::run(config))?;
        }
        Command::Worker => {
            telemetry::init(&inherited_log_level())?;
            runtime()?.block_on(egressd::worker::run())?;
        }
    }
    Ok(())
}

fn inherited_log_level() -> String {
    std::env::var(telemetry::LEVEL_VARIABLE).unwrap_or_else(|_unset| "info".to_owned())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")
}
