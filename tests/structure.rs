//! Holds the architecture's invariants by reading the sources: who may import whom, which foreign library
//! lives where, and how a file opens. `docs/ARCHITECTURE.md` says why; the tables here are the law.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder (or file) of `src`, and the only others of egressd's own modules that it may name. Modules that
/// are not listed here (`main`, `demo`) join the rest and may name anything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("media", &[]),
    ("filepath", &["ids"]),
    ("options", &["filepath", "media"]),
    ("report", &[]),
    ("config", &["ids", "media", "options", "storage", "webhook"]),
    ("telemetry", &["config", "ids"]),
    ("failpoint", &[]),
    // The media folders share words, never one another.
    ("room", &["ids", "media"]),
    ("decode", &["ids", "media"]),
    ("compose", &["ids", "media"]),
    ("encode", &["ids", "media"]),
    ("mp4", &["ids", "media"]),
    ("storage", &["ids"]),
    ("store", &["ids", "media", "options", "report"]),
    (
        "worker",
        &["ids", "media", "options", "report", "room", "decode", "compose", "encode", "mp4", "telemetry"],
    ),
    ("webhook", &["ids", "failpoint", "store"]),
    ("livekit", &["ids", "config"]),
    ("admission", &[]),
    ("upload", &["ids", "media", "filepath", "options", "failpoint", "mp4", "storage", "store", "admission"]),
    ("health", &["config", "livekit", "admission", "upload"]),
    (
        "control",
        &[
            "ids",
            "media",
            "filepath",
            "options",
            "report",
            "failpoint",
            "store",
            "storage",
            "mp4",
            "webhook",
            "worker",
            "telemetry",
            "config",
            "livekit",
            "admission",
            "upload",
            "health",
        ],
    ),
    (
        "front",
        &[
            "ids",
            "media",
            "filepath",
            "options",
            "report",
            "config",
            "store",
            "webhook",
            "livekit",
            "admission",
            "upload",
            "health",
            "control",
        ],
    ),
];

/// A narrower rule than that of the whole folder: of these modules only the part that carries no machinery.
/// `control` speaks to workers by messages; a spool is finished by `mp4`'s reader, never by its writer.
/// The configuration names webhooks as `webhook` wants them.
const ONLY_PART: &[(&str, &str, &[&str])] = &[
    ("control", "crate::worker::", &["messages"]),
    ("config", "crate::webhook::", &["EventFilter", "StaticWebhook", "TargetPolicy", "check_url"]),
];

/// A foreign library (the first words of its crates) and the only places that may name it.
const LIVES_IN: &[(&[&str], &[&str])] = &[
    (&["livekit_signaling", "livekit_protocol", "livekit_net", "str0m"], &["room/"]),
    (&["tokio_rustls", "rustls_native_certs", "tokio_tungstenite"], &["room/"]),
    // Asking LiveKit whether a room exists takes a token, too, and its webhooks carry one.
    (&["livekit_token"], &["room/", "livekit/", "front/rest/livekit_signature.rs"]),
    (&["gst", "gst_app", "gst_video", "gstreamer"], &["decode/", "encode/", "demo/clips.rs", "demo/clips/"]),
    (&["aws_"], &["storage/s3.rs", "storage/s3/"]),
    (&["axum", "utoipa_axum"], &["front/"]),
    // A report is answered as it is.
    (&["utoipa"], &["front/", "report.rs"]),
    (&["rusqlite"], &["store/"]),
    // The demo tells what is in its file.
    (&["mp4_atom"], &["mp4/", "demo/contents.rs"]),
    (&["cosmic_text"], &["compose/decor/text.rs"]),
    (&["png"], &["compose/decor/watermark.rs"]),
    (&["image"], &["encode/"]),
    // Where errors need not be told apart any more.
    (&["anyhow"], &["main.rs", "demo/"]),
];

const FORBIDDEN: &[(&str, &str)] = &[
    (".unwrap()", "say with expect() why it cannot fail, or return the error"),
    ("todo!", "nothing is left out silently"),
    ("unimplemented!", "nothing is left out silently"),
    ("dbg!", "log lines go through tracing"),
];

struct Source {
    /// Below `src`, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// Lines with their numbers, without comments and without the unit tests at the end of the file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests =
            lines.windows(2).position(|pair| pair[0].trim() == "#[cfg(test)]" && pair[1].ends_with('{'));
        let end = tests.unwrap_or(lines.len());
        let code = lines.into_iter().take(end).enumerate();
        code.map(|(number, line)| (number + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let faults = faults(|source, line| {
        // A group over several lines would hide its names from a reader of lines.
        if line.trim_end().ends_with("crate::{") {
            return Some("one `use` for each module".to_owned());
        }
        let (_, allowed) = MAY_IMPORT.iter().find(|(module, _)| *module == source.module())?;
        let stranger = named_after(line, "crate::").into_iter().find(|name| {
            *name != source.module() && !allowed.contains(name) && name.starts_with(char::is_lowercase)
        })?;
        Some(format!("{} must not know {stranger}", source.module()))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn of_a_machinery_only_the_words_cross_the_border() {
    let faults = faults(|source, line| {
        let (module, prefix, parts) = ONLY_PART.iter().find(|(module, ..)| *module == source.module())?;
        let stranger = named_after(line, prefix).into_iter().find(|name| !parts.contains(name))?;
        Some(format!("{module} must not know {prefix}{stranger}"))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_foreign_library_is_named_only_where_it_lives() {
    let faults = faults(|source, line| {
        let (crates, homes) =
            LIVES_IN.iter().find(|(crates, _)| crates.iter().any(|name| names_crate(line, name)))?;
        let at_home = homes.iter().any(|home| source.path.starts_with(home));
        (!at_home).then(|| format!("{} belongs into {}", crates.join(", "), homes.join(", ")))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn code_outside_tests_neither_unwraps_nor_leaves_anything_out() {
    let faults = faults(|_, line| {
        let (found, why) = FORBIDDEN.iter().find(|(text, _)| line.contains(text))?;
        Some(format!("{found}: {why}"))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_test_is_ignored() {
    // Put together here, or this file would find itself.
    let ignore = format!("#[{}", "ignore");
    let ignored: Vec<String> = all(&["src", "tests", "benches"])
        .into_iter()
        .filter(|source| source.text.contains(&ignore))
        .map(|source| source.path)
        .collect();
    assert!(ignored.is_empty(), "{ignored:?}");
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let silent: Vec<String> = all(&["src", "tests"])
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
}

/// What `rule` finds in the code outside tests, as `file:line: fault`.
fn faults(rule: impl Fn(&Source, &str) -> Option<String>) -> Vec<String> {
    let sources = all(&["src"]);
    assert!(!sources.is_empty(), "no sources were found");
    let product = sources.iter().filter(|source| !source.is_test());
    product
        .flat_map(|source| {
            let found = source.code().filter_map(|(number, line)| Some((number, rule(source, line)?)));
            found.map(|(number, fault)| format!("src/{}:{number}: {fault}", source.path)).collect::<Vec<_>>()
        })
        .collect()
}

/// The identifiers that follow `prefix` in a line, those in a group `prefix{a, b}` of one line included.
fn named_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group.split([',', '}']).map(|entry| identifier(entry.trim()))),
            None => names.push(identifier(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Whether `line` names a crate: the word before `::`. A name that ends in `_` stands for all that begin so.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let starts_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '.');
        let word = identifier(&line[at..]);
        let whole = if name.ends_with('_') { word.starts_with(name) } else { word == name };
        starts_word && whole && line[at + word.len()..].starts_with("::")
    })
}

fn all(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    folders
        .iter()
        .flat_map(|folder| {
            let base = root.join(folder);
            rust_files(&base).into_iter().map(move |file| read(&base, &file))
        })
        .collect()
}

fn read(base: &Path, file: &Path) -> Source {
    let path = file.strip_prefix(base).expect("the file lies below").to_string_lossy().replace('\\', "/");
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Source { path, text }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => path.extension().is_some_and(|e| e == "rs").then_some(path).into_iter().collect(),
        })
        .collect()
}
