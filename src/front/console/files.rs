//! Owns the list of the console's files. The binary contains them as they are in `files/`: there is no build
//! step.

use sha2::{Digest, Sha256};

/// A text file that is sent to browsers.
pub struct File {
    name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    pub text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! file {
    ($name:literal, $kind:expr) => {
        File { name: $name, kind: $kind, text: include_str!(concat!("files/", $name)) }
    };
}

/// The page that `/console` returns.
pub const PAGE: File = file!("index.html", HTML);

/// The files that the page loads.
const FILES: [File; 12] = [
    file!("console.css", CSS),
    file!("icon.svg", SVG),
    file!("main.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("words.js", SCRIPT),
    file!("pace.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("running.js", SCRIPT),
    file!("previews.js", SCRIPT),
    file!("finished.js", SCRIPT),
    file!("start.js", SCRIPT),
    file!("notices.js", SCRIPT),
];

pub fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

impl File {
    /// Returns the file's `ETag`, which changes with the content.
    pub fn tag(&self) -> String {
        format!("\"{}\"", hex::encode(&Sha256::digest(self.text)[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the quoted names that follow `marker`.
    fn named<'a>(text: &'a str, marker: &str) -> Vec<&'a str> {
        let parts = text.split(marker).skip(1);
        parts.map(|part| part.split('"').next().unwrap()).collect()
    }

    #[test]
    fn everything_that_the_page_and_its_scripts_load_is_there_and_nothing_else_is() {
        let mut loaded: Vec<&str> = Vec::new();
        for marker in ["src=\"", "href=\""] {
            loaded.extend(named(PAGE.text, marker).iter().filter_map(|name| name.strip_prefix("console/")));
        }
        for file in &FILES {
            loaded.extend(named(file.text, "from \"./"));
        }
        loaded.sort_unstable();
        loaded.dedup();
        let mut there: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        there.sort_unstable();
        assert_eq!(loaded, there);
    }

    /// Neither what the policy would forbid in the browser, nor what could turn other people's text into
    /// markup.
    #[test]
    fn no_file_writes_markup_or_asks_for_what_the_policy_forbids() {
        for file in FILES.iter().chain([&PAGE]) {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "localStorage",
                "sessionStorage",
                "document.cookie",
                "indexedDB",
                " style=\"",
                " onclick=",
                "<style",
            ] {
                assert!(!file.text.contains(forbidden), "{} has {forbidden}", file.name);
            }
        }
        assert!(!PAGE.text.contains("<script>"), "a script stands in the page");
    }
}
