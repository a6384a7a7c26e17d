//! The manual pages in `docs/man` are those of the command line as it is. `EGRESSD_UPDATE_MANUAL=1 cargo test --test
//! manual` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use egressd::command_line::CommandLine;

#[test]
fn the_manual_pages_are_those_of_the_command_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let update = std::env::var_os("EGRESSD_UPDATE_MANUAL").is_some();
    let pages = pages();
    if update {
        fs::create_dir_all(&folder).expect("docs can be written to");
    }
    for (name, text) in &pages {
        let file = folder.join(name);
        if update {
            fs::write(&file, text).expect("docs can be written to");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == *text,
            "{name} is not up to date: EGRESSD_UPDATE_MANUAL=1 cargo test --test manual"
        );
    }
    let mut committed: Vec<PathBuf> =
        fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    committed.retain(|file| !pages.iter().any(|(name, _)| file.ends_with(name)));
    assert!(committed.is_empty(), "no command has these pages: {committed:?}");
}

/// Each page's file name and its text: one of the whole, and one of each command that users see.
fn pages() -> Vec<(String, String)> {
    let mut whole = CommandLine::command().disable_help_subcommand(true);
    whole.build();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let mut pages: Vec<_> =
        commands.cloned().map(|command| page(command.disable_version_flag(true))).collect();
    pages.push(page(whole));
    pages
}

fn page(command: Command) -> (String, String) {
    // `build` has given a command of ours the name `egressd-serve` for this.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command).title(name.clone());
    let mut text = Vec::new();
    man.render(&mut text).expect("memory takes all bytes");
    (format!("{name}.1"), String::from_utf8(text).expect("roff is UTF-8"))
}
