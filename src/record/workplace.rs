//! The hidden folder beside the file in which it is made, `.FILE.egressd`: database, spool, and the file until it has its
//! name.
//!
//! Contract: one process uses it at a time; the file gets its name in one step, and never in the place of another one
//! unless that was asked for.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::error::RecordError;

const SUFFIX: &str = ".egressd";

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// There must be none yet.
    New,
    /// There must be one that an earlier run left.
    Found,
}

#[derive(Debug)]
pub struct Workplace {
    file: PathBuf,
    existing: Existing,
    folder: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl Workplace {
    pub fn open(out: &Path, existing: Existing, begin: Begin) -> Result<Self, RecordError> {
        let file = whole_path(out)?;
        // Said before an hour was recorded, and looked at again when the file gets its name.
        match (fs::symlink_metadata(&file), existing) {
            (Ok(found), _) if found.is_dir() => return Err(RecordError::NoFile { file }),
            (Ok(_), Existing::Refuse) => return Err(RecordError::Exists { file }),
            (Ok(_), Existing::Replace) | (Err(_), _) => {}
        }
        let folder = folder_of(&file);
        match begin {
            Begin::New => match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Somebody may be at it.
                    lock(&folder, &file)?;
                    return Err(RecordError::Unfinished { file, folder });
                }
                Err(source) => return Err(RecordError::Workplace { folder, source }),
            },
            Begin::Found if folder.is_dir() => {}
            Begin::Found => return Err(RecordError::NothingLeft { file, folder }),
        }
        let lock = lock(&folder, &file)?;
        Ok(Self { file, existing, folder, _lock: lock })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn database(&self) -> PathBuf {
        self.folder.join("egressd.db")
    }

    pub fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// Where the file is made.
    pub fn recordings(&self) -> PathBuf {
        self.folder.join("recordings")
    }

    /// Gives the file with this key its name, and removes the rest.
    pub fn publish(self, key: &str) -> Result<PathBuf, RecordError> {
        let made = self.recordings().join(key);
        let named = match self.existing {
            Existing::Replace => fs::rename(&made, &self.file),
            Existing::Refuse => give_name(&made, &self.file),
        };
        named
            .and_then(|()| sync_parent(&self.file))
            .map_err(|source| RecordError::Publish { file: made, source })?;
        let file = self.file.clone();
        self.remove();
        Ok(file)
    }

    /// Nothing in it is needed any more.
    pub fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "the folder stays");
        }
    }

    /// Nothing was begun: one that was made for it goes, one that was found stays.
    pub fn give_up(self, begin: Begin) {
        match begin {
            Begin::New => self.remove(),
            Begin::Found => {}
        }
    }
}

fn whole_path(out: &Path) -> Result<PathBuf, RecordError> {
    let no_file = || RecordError::NoFile { file: out.to_owned() };
    let name = out.file_name().ok_or_else(no_file)?;
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let folder = parent.canonicalize();
    let folder = folder.map_err(|source| RecordError::Folder { folder: parent.to_owned(), source })?;
    Ok(folder.join(name))
}

fn folder_of(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(SUFFIX);
    file.with_file_name(name)
}

/// The kernel lets go of it when the process is gone, however it went.
fn lock(folder: &Path, file: &Path) -> Result<File, RecordError> {
    let wrong = |source| RecordError::Workplace { folder: folder.to_owned(), source };
    let opened = File::options().write(true).create(true).truncate(false).open(folder.join("lock"));
    let opened = opened.map_err(wrong)?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(RecordError::Busy { file: file.to_owned() }),
        Err(TryLockError::Error(source)) => Err(wrong(source)),
    }
}

/// In one step, unless the name is taken.
fn give_name(made: &Path, file: &Path) -> io::Result<()> {
    let mut made = TempPath::try_from_path(made)?;
    // It is not a temporary file that is to go if this fails.
    made.disable_cleanup(true);
    made.persist_noclobber(file).map_err(|failed| failed.error)
}

fn sync_parent(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(file))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        dir: tempfile::TempDir,
        out: PathBuf,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("x.mp4");
            Self { dir, out }
        }

        fn open(&self, existing: Existing, begin: Begin) -> Result<Workplace, RecordError> {
            Workplace::open(&self.out, existing, begin)
        }

        /// A workplace with a finished file.
        fn finished(&self, existing: Existing, text: &str) -> Workplace {
            let workplace = self.open(existing, Begin::New).unwrap();
            fs::create_dir_all(workplace.recordings().join("room")).unwrap();
            fs::write(workplace.recordings().join("room/1.mp4"), text).unwrap();
            workplace
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.dir.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    #[test]
    fn a_finished_file_gets_its_name_and_nothing_else_stays() {
        let scene = Scene::new();
        let file = scene.finished(Existing::Refuse, "whole").publish("room/1.mp4").unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "whole");
        assert_eq!(scene.names(), ["x.mp4"]);
    }

    #[test]
    fn a_file_that_is_there_stays_unless_it_is_to_be_replaced() {
        let scene = Scene::new();
        fs::write(&scene.out, "mine").unwrap();
        assert!(matches!(scene.open(Existing::Refuse, Begin::New), Err(RecordError::Exists { .. })));
        scene.finished(Existing::Replace, "new").publish("room/1.mp4").unwrap();
        assert_eq!(fs::read_to_string(&scene.out).unwrap(), "new");
    }

    #[test]
    fn a_file_that_came_while_it_was_recorded_is_not_replaced_and_the_recording_stays() {
        let scene = Scene::new();
        let workplace = scene.finished(Existing::Refuse, "new");
        fs::write(&scene.out, "mine").unwrap();
        let Err(RecordError::Publish { file, .. }) = workplace.publish("room/1.mp4") else {
            panic!("it was")
        };
        assert_eq!(fs::read_to_string(&scene.out).unwrap(), "mine");
        assert_eq!(fs::read_to_string(file).unwrap(), "new");
    }

    #[test]
    fn what_was_left_is_neither_recorded_over_nor_made_up() {
        let scene = Scene::new();
        assert!(matches!(scene.open(Existing::Refuse, Begin::Found), Err(RecordError::NothingLeft { .. })));
        drop(scene.open(Existing::Refuse, Begin::New).unwrap());
        assert!(matches!(scene.open(Existing::Refuse, Begin::New), Err(RecordError::Unfinished { .. })));
        scene.open(Existing::Refuse, Begin::Found).unwrap();
    }

    #[test]
    fn two_cannot_record_to_one_file() {
        let scene = Scene::new();
        let _first = scene.open(Existing::Refuse, Begin::New).unwrap();
        for begin in [Begin::New, Begin::Found] {
            assert!(matches!(scene.open(Existing::Refuse, begin), Err(RecordError::Busy { .. })));
        }
    }

    #[test]
    fn a_folder_is_no_file_and_a_folder_that_is_not_there_is_named() {
        let scene = Scene::new();
        let open = |out: &Path| Workplace::open(out, Existing::Replace, Begin::New);
        assert!(matches!(open(scene.dir.path()), Err(RecordError::NoFile { .. })));
        assert!(matches!(open(Path::new("..")), Err(RecordError::NoFile { .. })));
        assert!(matches!(open(&scene.dir.path().join("no/x.mp4")), Err(RecordError::Folder { .. })));
    }
}
