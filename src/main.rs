//! The command line: what to run, how it logs, and its exit code, which is 0 only on success.

use std::process::ExitCode;

use clap::Parser;
use egressd::check::Rating;
use egressd::command_line::{Command, CommandLine, health};
use egressd::config::Config;
use egressd::{check, demo, record, serve, telemetry, worker};
use tokio::runtime::{Builder, Runtime};

/// sysexits.h: somebody is to try again, here by starting the service again on the same data.
const EX_TEMPFAIL: u8 = 75;

fn main() -> ExitCode {
    match start(CommandLine::parse().command) {
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
        Command::Record(args) => {
            telemetry::init(&record::log_level())?;
            if let Err(error) = record::run(*args).await {
                if error.leaves_work() {
                    eprintln!("egressd: {error}");
                    return Ok(ExitCode::from(EX_TEMPFAIL));
                }
                return Err(error.into());
            }
        }
        Command::Check(args) => {
            // What goes wrong is told in words; what libraries have to say of it would stand between them.
            telemetry::init("off")?;
            return Ok(match check::run(args).await? {
                Rating::Usable => ExitCode::SUCCESS,
                Rating::Unusable => ExitCode::FAILURE,
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
