//! `egressd serve` as a process of its own, configured by the documented environment variables only.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::procfs;
use super::rest::Caller;
use super::servers::{LiveKit, Minio};

/// The name of its folder.
const DATA: &str = "egressd";

pub struct Service {
    process: Process,
    port: u16,
    folder: PathBuf,
    environment: Vec<(String, OsString)>,
}

impl Service {
    pub const KEY: &str = "an-api-key";
    pub const SECRET: &str = "an-end-to-end-test-secret-of-egressd";

    /// On this port. `settings` are those of this test, besides where everything is.
    pub async fn start(
        folder: &Path,
        port: u16,
        livekit_url: &str,
        minio: &Minio,
        settings: &[(&str, &OsStr)],
    ) -> Self {
        let environment = Self::environment(folder, livekit_url, (port, minio.port()), settings);
        let process = Self::run(folder, port, &environment, None).await;
        Self { process, port, folder: folder.to_owned(), environment }
    }

    /// Starts the service anew, on the same port and the same data. One that runs still is killed.
    pub async fn start_again(&mut self) {
        self.process.kill();
        self.process = Self::run(&self.folder, self.port, &self.environment, None).await;
    }

    /// The same, but this one dies at a certain moment (src/failpoint.rs).
    pub async fn start_to_die_at(&mut self, moment: &str) {
        self.process.kill();
        self.process = Self::run(&self.folder, self.port, &self.environment, Some(moment)).await;
    }

    /// Waits until the process has gone by itself; its exit code, if it was no signal that ended it.
    pub async fn gone(&mut self) -> Option<i32> {
        self.process.gone().await
    }

    /// Where it keeps its database and its spools.
    pub fn data(&self) -> PathBuf {
        Self::data_in(&self.folder)
    }

    pub fn data_in(folder: &Path) -> PathBuf {
        folder.join(DATA)
    }

    async fn run(
        folder: &Path,
        port: u16,
        environment: &[(String, OsString)],
        dies_at: Option<&str>,
    ) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        command.arg("serve").env_remove("EGRESSD_CONFIG").env_remove("REDIS_URL");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.envs(dies_at.map(|moment| ("EGRESSD_FAIL_AT", moment)));
        let mut process = Process::start("egressd", &mut command, folder);
        let health = format!("http://127.0.0.1:{port}/v1/health");
        // Whether it is well is for the tests to say; but it must have looked.
        process
            .until(async || {
                let Ok(answer) = reqwest::get(&health).await else { return false };
                answer.text().await.is_ok_and(|text| !text.contains("not known yet"))
            })
            .await;
        process
    }

    fn environment(
        folder: &Path,
        livekit_url: &str,
        (port, minio): (u16, u16),
        settings: &[(&str, &OsStr)],
    ) -> Vec<(String, OsString)> {
        let data = Self::data_in(folder);
        let (port, minio) = (port.to_string(), minio.to_string());
        let all: [(&str, &OsStr); 18] = [
            ("LOG_LEVEL", "info".as_ref()),
            ("API_HOST", "127.0.0.1".as_ref()),
            ("API_PORT", port.as_ref()),
            ("API_KEY", Self::KEY.as_ref()),
            ("API_SECRET", Self::SECRET.as_ref()),
            ("LIVEKIT_URL_INTERNAL", livekit_url.as_ref()),
            ("LIVEKIT_API_KEY", LiveKit::KEY.as_ref()),
            ("LIVEKIT_API_SECRET", LiveKit::SECRET.as_ref()),
            ("MINIO_ENDPOINT", "127.0.0.1".as_ref()),
            ("MINIO_PORT", minio.as_ref()),
            ("MINIO_USE_SSL", "false".as_ref()),
            ("MINIO_ACCESS_KEY", Minio::ACCESS_KEY.as_ref()),
            ("MINIO_SECRET_KEY", Minio::SECRET_KEY.as_ref()),
            ("MINIO_BUCKET", Minio::BUCKET.as_ref()),
            ("EGRESSD_DATA_DIR", data.as_ref()),
            ("WEBHOOK_ALLOW_PRIVATE", "true".as_ref()),
            // Tests ask far more often than applications do.
            ("RATE_LIMIT_MAX", "100000".as_ref()),
            // What else runs beside a test is no reason to refuse it a recording.
            ("EGRESSD_MAX_LOAD_PERCENT", "100000".as_ref()),
        ];
        all.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// `egressd check --json` with the same settings, but for these; its exit code, and what it prints.
    pub fn check(&self, settings: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
        command.args(["check", "--json"]).env_remove("EGRESSD_CONFIG").env_remove("REDIS_URL");
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(settings.iter().copied());
        let done = command.output().expect("egressd can be started");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "only findings are told");
        (done.status.code(), String::from_utf8(done.stdout).expect("JSON is UTF-8"))
    }

    pub fn caller(&self) -> Caller {
        Caller::new(self.address(""), Self::KEY, Self::SECRET)
    }

    /// Where this path is.
    pub fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where LiveKit's own webhooks go.
    pub fn livekit_hook(&self) -> String {
        Self::livekit_hook_at(self.port)
    }

    pub fn livekit_hook_at(port: u16) -> String {
        format!("http://127.0.0.1:{port}/livekit/webhook")
    }

    /// Process ids of the recordings' workers.
    pub fn workers(&self) -> Vec<u32> {
        let mut children = self.children();
        children.retain(|id| procfs::arguments_of(*id).iter().any(|argument| argument == "worker"));
        children
    }

    /// Of all its children. At its start there is one that tries the encoders, besides workers.
    pub fn children(&self) -> Vec<u32> {
        procfs::children_of(self.process.id())
    }

    /// How many files the process has open, and how many threads it has.
    pub fn holdings(&self) -> (usize, usize) {
        procfs::holdings(self.id())
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Asks a process to end, as `docker stop` does.
pub fn terminate(id: u32) {
    signal("TERM", id);
}

/// Ends a process the hard way, as the kernel's out-of-memory killer does.
pub fn kill_hard(id: u32) {
    signal("KILL", id);
}

/// Stops a process where it is, as a disk that does not answer would.
pub fn stop_dead(id: u32) {
    signal("STOP", id);
}

fn signal(name: &str, id: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
    assert!(status.is_ok_and(|status| status.success()), "process {id} cannot be signalled");
}
