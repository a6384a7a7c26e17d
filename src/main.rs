use clap::Parser;

#[derive(Parser)]
enum Command {
    Demo(egressd::demo::DemoArgs),
    #[command(hide = true)]
    Publish(egressd::demo::PublishArgs),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let done = match Command::parse() {
        Command::Demo(args) => egressd::demo::run(args).await,
        Command::Publish(args) => egressd::demo::publish(args).await,
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("egressd: {e:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
