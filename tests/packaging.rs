//! Holds what is delivered around the program to the program itself: container, compose files and systemd unit name only
//! settings that there are, install what `./dev` installs, and pin the versions that the tests run against.
//!
//! Reads files only. Whether the container builds and runs is told in `docker/README.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use egressd::config::SETTINGS;

/// What the container has besides what media needs: authorities for TLS, and the first process.
const CONTAINER_ONLY: [&str; 2] = ["ca-certificates", "tini"];

/// A line of a YAML file: how far it is indented, its key, and what stands behind it.
type Entry<'a> = (usize, &'a str, &'a str);

#[test]
fn compose_files_set_only_what_the_configuration_knows() {
    for file in ["docker/compose.yaml", "docker/compose.replace-egress.yaml"] {
        let text = read(file);
        let names = keys_below(&text, &["services", "egressd", "environment"]);
        assert!(names.contains("LIVEKIT_URL_INTERNAL"), "{file}: {names:?}");
        assert_known(&names, file);
    }
}

#[test]
fn the_image_and_the_systemd_unit_set_only_what_the_configuration_knows() {
    let (image, unit) = (read("docker/Dockerfile"), read("docker/egressd.service"));
    let docker = assignments(&image, "ENV ");
    assert!(docker.contains("EGRESSD_DATA_DIR"), "{docker:?}");
    assert_known(&docker, "docker/Dockerfile");
    let mut unit = assignments(&unit, "Environment=");
    assert!(unit.remove("HOME") && unit.contains("EGRESSD_DATA_DIR"), "{unit:?}");
    assert_known(&unit, "docker/egressd.service");
}

#[test]
fn the_example_of_the_secrets_names_what_the_compose_file_asks_for() {
    let (compose, example) = (read("docker/compose.yaml"), read("docker/.env.example"));
    assert_eq!(variables(&compose), offered(&example));
}

#[test]
fn secrets_have_no_value_in_the_files() {
    let asked: Vec<String> = ["docker/compose.yaml", "docker/compose.replace-egress.yaml"].map(read).into();
    let secrets = ["API_KEY", "API_SECRET", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"];
    for (text, secret) in asked.iter().flat_map(|text| secrets.map(|secret| (text, secret))) {
        assert!(text.contains(&format!("${{{secret}:?")), "{secret} has a default");
    }
    let example = read("docker/.env.example");
    assert!(secrets.iter().all(|secret| example.contains(&format!("\n{secret}=\n"))));
}

#[test]
fn the_image_installs_what_the_front_door_installs() {
    let (dev, stages) = (read("dev"), read("docker/Dockerfile"));
    let (build, run) = stages.split_once("\nFROM debian").expect("two stages");
    assert_eq!(installed(build), list(&dev, "BUILD_PACKAGES"));
    let media = installed(run).into_iter().filter(|package| !CONTAINER_ONLY.contains(package));
    assert_eq!(media.collect::<BTreeSet<_>>(), list(&dev, "MEDIA_PACKAGES"));
}

#[test]
fn containers_have_the_versions_that_the_tests_run_against() {
    let dev = read("dev");
    let version = |name: &str| value(&dev, &format!("{name}="));
    let (compose, docker) = (read("docker/compose.yaml"), read("docker/Dockerfile"));
    let livekit = version("LIVEKIT_VERSION");
    assert_eq!(value(&compose, "image: livekit/livekit-server:v"), livekit);
    let rust = version("RUST_VERSION");
    assert_eq!(value(&docker, "FROM rust:"), format!("{rust}-slim-bookworm AS build"));
    assert_eq!(value(&read("Cargo.toml"), "rust-version = "), format!("{rust:?}"));
    assert_eq!(value(&read("rust-toolchain.toml"), "channel = "), format!("\"{rust}.0\""));
}

#[test]
fn the_image_is_built_with_every_file_that_the_sources_include() {
    let docker = read("docker/Dockerfile");
    let ignored = read(".dockerignore");
    for folder in ["src", "benches", "pipelines", "Cargo.toml", "Cargo.lock", "LICENSE"] {
        assert!(docker.contains(folder) && ignored.contains(&format!("\n!{folder}\n")), "{folder}");
    }
    let mut sources = Vec::new();
    files_below(Path::new("src"), &mut sources);
    // Unit tests are not built into the image, and may read what they like.
    sources.retain(|path| path.ends_with(".rs") && !path.contains("/tests"));
    let included = sources.iter().flat_map(|source| included_by(source)).collect::<BTreeSet<_>>();
    assert!(included.iter().any(|path| path.starts_with("pipelines/")), "{included:?}");
    let copied = |path: &String| ["src/", "pipelines/"].iter().any(|folder| path.starts_with(folder));
    for path in included.iter().filter(|path| !copied(path)) {
        assert!(docker.contains(&format!("COPY {path} ")), "{path} is not copied");
        assert!(ignored.contains(&format!("\n!{path}\n")), "{path} is ignored");
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn assert_known(names: &BTreeSet<&str>, file: &str) {
    let unknown: Vec<_> = names.iter().filter(|name| !SETTINGS.contains(name)).collect();
    assert!(unknown.is_empty(), "{file}: {unknown:?} are no settings");
}

/// The keys of the mapping that is found below these keys, one in the other.
fn keys_below<'a>(yaml: &'a str, path: &[&str]) -> BTreeSet<&'a str> {
    let lines: Vec<Entry> = yaml.lines().filter_map(entry).collect();
    let mut inside = lines.as_slice();
    for key in path {
        inside = below(inside, key).unwrap_or_else(|| panic!("no {key}"));
    }
    let depth = inside.first().expect("a mapping that is not empty").0;
    inside.iter().filter(|line| line.0 == depth).map(|line| line.1).collect()
}

/// What is indented below the first of the outermost keys that is called so.
fn below<'a, 'b>(lines: &'b [Entry<'a>], key: &str) -> Option<&'b [Entry<'a>]> {
    let depth = lines.first()?.0;
    let at = lines.iter().position(|line| line.0 == depth && line.1 == key)?;
    let rest = &lines[at + 1..];
    let end = rest.iter().position(|line| line.0 <= depth).unwrap_or(rest.len());
    Some(&rest[..end])
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let text = line.trim_start();
    let (key, value) = text.split_once(':').filter(|_| !text.starts_with('#'))?;
    Some((line.len() - text.len(), key, value.trim()))
}

/// The names in lines that begin so and assign several, `A=1 B=2`.
fn assignments<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let words = text.lines().filter_map(|line| line.strip_prefix(start)).flat_map(str::split_whitespace);
    words.filter_map(|word| Some(word.split_once('=')?.0)).collect()
}

/// The variables that a compose file takes from its surroundings, `${NAME...}`.
fn variables(text: &str) -> BTreeSet<&str> {
    let name = |after: &'_ str| after.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(0);
    text.split("${").skip(1).map(|after| &after[..name(after)]).collect()
}

/// The variables of an example: those to be filled in, and those that have a default and are commented out.
fn offered(text: &str) -> BTreeSet<&str> {
    let names = text.lines().filter_map(|line| Some(line.trim_start_matches('#').split_once('=')?.0));
    names.filter(|name| name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')).collect()
}

/// The packages that a stage installs.
fn installed(stage: &str) -> BTreeSet<&str> {
    let (_, list) = stage.split_once("--no-install-recommends \\\n").expect("packages");
    let (list, _) = list.split_once("&&").expect("a command behind them");
    list.split_whitespace().filter(|word| *word != "\\").collect()
}

/// A bash array, `NAME=(a b c)`.
fn list<'a>(script: &'a str, name: &str) -> BTreeSet<&'a str> {
    let (_, list) = script.split_once(&format!("\n{name}=(")).expect("the array");
    list.split_once(')').expect("its end").0.split_whitespace().collect()
}

/// What stands behind this in the first line that has it.
fn value(text: &str, start: &str) -> String {
    let line = text.lines().find_map(|line| Some(line.split_once(start)?.1));
    line.unwrap_or_else(|| panic!("no {start}")).trim().to_owned()
}

fn files_below(folder: &Path, found: &mut Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(folder)).expect("a folder can be listed") {
        let path = folder.join(entry.expect("a folder can be listed").file_name());
        match root.join(&path).is_dir() {
            true => files_below(&path, found),
            false => found.push(path.to_string_lossy().into_owned()),
        }
    }
}

/// What a source takes in with `include_str!` and its like, as paths in the repository.
fn included_by(source: &str) -> Vec<String> {
    let text = read(source);
    let here = Path::new(source).parent().expect("a file is in a folder");
    let quoted = text.split("include_").skip(1).filter_map(|after| {
        let (kind, rest) = after.split_once("!(")?;
        matches!(kind, "str" | "bytes").then(|| rest.split('"').nth(1))?
    });
    quoted.map(|path| resolved(&here.join(path))).collect()
}

/// Without `..`.
fn resolved(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.iter().map(|part| part.to_str().expect("UTF-8")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
