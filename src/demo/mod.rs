//! (head: below)
mod clips;
mod crowd;
mod picture;
mod publish;
mod voice;
pub use self::publish::{PublishArgs, run as publish};
/// Resolves on Ctrl-C or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
