//! Where the programs are that the tests use: named by the environment that `./dev` sets, else in the
//! project's `.cache`, where `./dev setup` puts them, else on PATH. Owns no process.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn livekit_server() -> PathBuf {
    program("EGRESSD_LIVEKIT_SERVER", ".cache/bin/livekit-server", "livekit-server")
}

pub fn minio() -> PathBuf {
    program("EGRESSD_MINIO", ".cache/bin/minio", "minio")
}

/// A script of `tests/py`, to be given its arguments.
pub fn python(script: &str) -> Command {
    script_of("tests/py", script)
}

/// The suite of `tests/contract` or a script of it, which starts servers of its own.
pub fn contract(script: &str) -> Command {
    let mut command = script_of("tests", script);
    command.env("EGRESSD_LIVEKIT_SERVER", livekit_server()).env("EGRESSD_MINIO", minio());
    command
}

fn script_of(folder: &str, script: &str) -> Command {
    let mut command = Command::new(program("EGRESSD_PYTHON", ".cache/venv/bin/python", "python3"));
    command.arg(project().join(folder).join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A script of `tests/js`, already given the folder of its packages.
pub fn node(script: &str) -> Command {
    let mut command = Command::new(program("EGRESSD_NODE", ".cache/venv/bin/node", "node"));
    let modules =
        env::var_os("EGRESSD_NODE_MODULES").map_or_else(|| project().join(".cache/node"), PathBuf::from);
    command.arg(project().join("tests/js").join(script)).arg(modules);
    command
}

pub fn chromium() -> PathBuf {
    program("EGRESSD_CHROMIUM", ".cache/bin/chromium", "chromium")
}

/// The whole standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} ended with {}:\n{stderr}", done.status);
    done.stdout
}

/// The standard output of a command that prints one JSON value.
pub fn json(command: &mut Command) -> serde_json::Value {
    let stdout = output(command);
    serde_json::from_slice(&stdout).unwrap_or_else(|error| {
        panic!("{command:?} printed no JSON ({error}): {}", String::from_utf8_lossy(&stdout))
    })
}

fn program(variable: &str, cached: &str, name: &str) -> PathBuf {
    let cached = project().join(cached);
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| cached.exists().then_some(cached))
        .or_else(|| on_path(name))
        .unwrap_or_else(|| panic!("{name} was not found: run the tests by ./dev test, or ./dev setup first"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists())
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
