//! `egressd serve` as a process of its own, configured by the documented environment variables only.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::process::{Process, free_tcp_port};
use super::procfs;
use super::rest::Caller;
use super::servers::{LiveKit, Minio};

pub struct Service {
    process: Process,
    port: u16,
}

impl Service {
    pub const KEY: &str = "an-api-key";
    pub const SECRET: &str = "an-end-to-end-test-secret-of-egressd";

    /// `settings` are those of this test, besides where everything is.
    pub async fn start(folder: &Path, livekit_url: &str, minio: &Minio, settings: &[(&str, &OsStr)]) -> Self {
        let port = free_tcp_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        command
            .arg("serve")
            .env("API_HOST", "127.0.0.1")
            .env("API_PORT", port.to_string())
            .env("API_KEY", Self::KEY)
            .env("API_SECRET", Self::SECRET)
            .env("LIVEKIT_URL_INTERNAL", livekit_url)
            .env("LIVEKIT_API_KEY", LiveKit::KEY)
            .env("LIVEKIT_API_SECRET", LiveKit::SECRET)
            .env("MINIO_ENDPOINT", "127.0.0.1")
            .env("MINIO_PORT", minio.port().to_string())
            .env("MINIO_USE_SSL", "false")
            .env("MINIO_ACCESS_KEY", Minio::ACCESS_KEY)
            .env("MINIO_SECRET_KEY", Minio::SECRET_KEY)
            .env("MINIO_BUCKET", Minio::BUCKET)
            .env("EGRESSD_DATA_DIR", folder.join("egressd"))
            .env("WEBHOOK_ALLOW_PRIVATE", "true")
            // Tests ask far more often than applications do.
            .env("RATE_LIMIT_MAX", "100000")
            .env("LOG_LEVEL", "info")
            .env_remove("EGRESSD_CONFIG")
            .env_remove("REDIS_URL")
            .envs(settings.iter().copied());
        let mut process = Process::start("egressd", &mut command, folder);
        let health = format!("http://127.0.0.1:{port}/v1/health");
        process
            .until(async || reqwest::get(&health).await.is_ok_and(|answer| answer.status().is_success()))
            .await;
        Self { process, port }
    }

    pub fn caller(&self) -> Caller {
        Caller::new(format!("http://127.0.0.1:{}", self.port), Self::KEY, Self::SECRET)
    }

    /// Process ids of the recordings' workers: the service's children.
    pub fn workers(&self) -> Vec<u32> {
        procfs::children_of(self.process.id())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Ends a process the hard way, as the kernel's out-of-memory killer does.
pub fn kill_hard(id: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "process {id} cannot be killed");
}
