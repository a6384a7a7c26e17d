//! The command line: what to run, and its exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use egressd::demo::{DemoArgs, PublishArgs};

#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
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
        Command::Demo(args) => egressd::demo::run(args).await?,
        Command::Publish(args) => egressd::demo::publish(args).await?,
        Command::Worker => return Ok(egressd::worker::run().await?),
    }
    Ok(ExitCode::SUCCESS)
}
