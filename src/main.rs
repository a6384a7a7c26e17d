//! The command line: what to run, how it logs, and its exit code, which is 0 only on success.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use egressd::config::Config;
use egressd::demo::{DemoArgs, PublishArgs};
use egressd::{demo, serve, telemetry, worker};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the service, configured by environment variables or the file that EGRESSD_CONFIG names.
    Serve,
    /// Starts what it needs locally, records moving test participants, says where the file is.
    Demo(DemoArgs),
    /// Publishes test participants into a room.
    #[command(hide = true)]
    Publish(PublishArgs),
    /// One recording, for the service that started it.
    #[command(hide = true)]
    Worker,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("egressd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => {
            let config = Config::load()?;
            telemetry::init(config.log_level.as_str())?;
            serve::run(config).await?;
        }
        Command::Demo(args) => {
            // Its progress is what a user reads; faults are told at its end.
            telemetry::init(&telemetry::inherited_level("warn"))?;
            demo::run(args).await?;
        }
        Command::Publish(args) => {
            telemetry::init(&telemetry::inherited_level("warn"))?;
            demo::publish(args).await?;
        }
        Command::Worker => {
            telemetry::init(&telemetry::inherited_level("info"))?;
            return Ok(worker::run().await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
