//! Owns what the demo shows while it works: on a terminal one line that is rewritten, elsewhere plain lines.
//! Writes to stderr, so that stdout holds only the result.

use std::io::{IsTerminal, Write, stderr};

/// Carriage return, and clearing to the end of the line (ECMA-48, EL).
const REWRITE: &str = "\r\x1b[K";
const BAR: u64 = 30;

pub enum Progress {
    Terminal,
    Plain,
}

impl Progress {
    pub fn new() -> Self {
        if stderr().is_terminal() { Self::Terminal } else { Self::Plain }
    }

    pub fn step(&self, what: &str) {
        match self {
            Self::Terminal => show(&format!("{REWRITE}{what} ...")),
            Self::Plain => show(&format!("{what}\n")),
        }
    }

    pub fn recorded(&self, seconds: u64, of: u64) {
        match self {
            Self::Terminal => show(&format!("{REWRITE}recording {}", bar(seconds, of))),
            Self::Plain => {}
        }
    }

    pub fn done(&self) {
        match self {
            Self::Terminal => show(REWRITE),
            Self::Plain => {}
        }
    }
}

fn bar(seconds: u64, of: u64) -> String {
    let full = (seconds * BAR / of.max(1)).min(BAR) as usize;
    let empty = BAR as usize - full;
    format!("[{}{}] {seconds} of {of} s", "#".repeat(full), " ".repeat(empty))
}

/// Ignores errors: a closed stderr is no reason to fail.
fn show(text: &str) {
    let mut out = stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_from_empty_to_full() {
        assert_eq!(bar(0, 15), format!("[{}] 0 of 15 s", " ".repeat(30)));
        assert_eq!(bar(15, 15), format!("[{}] 15 of 15 s", "#".repeat(30)));
        assert_eq!(bar(1, 2), format!("[{}{}] 1 of 2 s", "#".repeat(15), " ".repeat(15)));
    }
}
