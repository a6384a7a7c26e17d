use clap::Parser;

#[derive(Parser)]
enum Command {
    Demo(egressd::demo::DemoArgs),
    #[command(hide = true)]
    Publish(egressd::demo::PublishArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match Command::parse() {
        Command::Demo(args) => egressd::demo::run(args).await,
        Command::Publish(args) => egressd::demo::publish(args).await,
    }
}
