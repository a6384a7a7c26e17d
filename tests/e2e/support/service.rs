//! `egressd serve` as a process of its own, configured by the documented environment variables only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, free_tcp_port};
use super::rest::Caller;
use super::servers::{LiveKit, Minio};

pub struct Service {
    process: Process,
    port: u16,
}

impl Service {
    pub const KEY: &str = "an-api-key";
    pub const SECRET: &str = "an-end-to-end-test-secret-of-egressd";

    pub async fn start(folder: &Path, livekit: &LiveKit, minio: &Minio) -> Self {
        let port = free_tcp_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        command
            .arg("serve")
            .env("API_HOST", "127.0.0.1")
            .env("API_PORT", port.to_string())
            .env("API_KEY", Self::KEY)
            .env("API_SECRET", Self::SECRET)
            .env("LIVEKIT_URL_INTERNAL", livekit.url())
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
            .env_remove("REDIS_URL");
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
        let parent = self.process.id();
        fs::read_dir("/proc")
            .expect("/proc can be read")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&id: &u32| parent_of(id) == Some(parent))
            .collect()
    }
}

/// Field 4 of /proc/ID/stat (proc(5)); the name in field 2 may hold anything, so it is skipped by its bracket.
fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Ends a process the hard way, as the kernel's out-of-memory killer does.
pub fn kill_hard(id: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -KILL {id}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "process {id} cannot be killed");
}
