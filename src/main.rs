//! The command line: what to run, how it logs, and its exit code, which is 0 only on success.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use egressd::check::{CheckArgs, Verdict};
use egressd::config::Config;
use egressd::control::TRIAL_COMMAND;
use egressd::demo::{DemoArgs, PublishArgs};
use egressd::health::HealthArgs;
use egressd::{check, demo, health, serve, telemetry, worker};
use tokio::runtime::{Builder, Runtime};

/// sysexits.h: somebody is to try again, here by starting the service again on the same data.
const EX_TEMPFAIL: u8 = 75;

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
    /// Asks the running service how it is; the exit code is 0 if it could start a recording now.
    Health(HealthArgs),
    /// Says what works and what does not: configuration, LiveKit, store, encoders, this machine.
    Check(CheckArgs),
    /// Starts what it needs locally, records moving test participants, says where the file is.
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

fn main() -> ExitCode {
    match start(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("egressd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = runtime(&command)?;
    let is_worker = matches!(command, Command::Worker);
    let done = runtime.block_on(run(command));
    if is_worker {
        // A read of standard input is always under way and would be waited for, for as long as the service lives.
        runtime.shutdown_background();
    }
    done
}

fn runtime(command: &Command) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if matches!(command, Command::Worker) {
        // The recording's own loop has the main thread, the room has this one. Media has its threads.
        builder.worker_threads(1);
    }
    Ok(builder.enable_all().build()?)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => {
            let config = Config::load()?;
            telemetry::init(config.log_level.as_str())?;
            return Ok(match serve::run(config).await? {
                serve::Left::Nothing => ExitCode::SUCCESS,
                serve::Left::Work => ExitCode::from(EX_TEMPFAIL),
            });
        }
        Command::Health(args) => {
            return Ok(if health::run(args).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Check(args) => {
            // What goes wrong is told in words; what libraries have to say of it would stand between them.
            telemetry::init("off")?;
            return Ok(match check::run(args).await? {
                Verdict::Usable => ExitCode::SUCCESS,
                Verdict::Unusable => ExitCode::FAILURE,
            });
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
        Command::TryEncoders => {
            if let Err(error) = check::try_encoders().await {
                println!("{:#}", anyhow::Error::new(error));
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Worker => {
            telemetry::init(&telemetry::inherited_level("info"))?;
            return Ok(worker::run().await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
