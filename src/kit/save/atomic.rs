//! Writing a file as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Writes a new file beside the old one, flushes it to the disk and renames it over the old one. If
/// anything fails, the old file stays.
pub(super) fn write(path: &Path, contents: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (mut file, temporary) = create_beside(path)?;
    let written = contents(&mut file).and_then(|()| file.sync_all());
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&temporary.0, path));
    if renamed.is_ok() {
        std::mem::forget(temporary);
        // The file is in place and whole. A folder that cannot be opened is flushed later, by the system.
        let _ = sync_folder(path);
    }
    renamed
}

/// A file that is removed on drop, also when writing panics; `mem::forget` keeps it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // A file that stays is never read, and the next save picks another name.
        let _ = fs::remove_file(&self.0);
    }
}

/// Creates a new file in the same folder, so that renaming it moves no data.
fn create_beside(path: &Path) -> io::Result<(File, Temporary)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    loop {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // Left by a killed process with the same process number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok((other?, Temporary(temporary))),
        }
    }
}

/// Flushes the renaming to the disk, on systems where folders can be opened.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use super::*;

    const CHILD: &str = "WENGERT_TEST_ABORTS_WHILE_SAVING";

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("wengert-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = folder("failure");
        let path = folder.join("file");
        write(&path, |file| file.write_all(b"old")).unwrap();
        let error = write(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("no room"))
        });
        assert_eq!(error.unwrap_err().to_string(), "no room");
        let panicked = std::panic::catch_unwind(|| write(&path, |_| panic!("in the middle")));
        assert!(panicked.is_err());
        assert_eq!((fs::read(&path).unwrap(), files(&folder)), (b"old".to_vec(), 1));
        write(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&path).unwrap(), files(&folder)), (b"new".to_vec(), 1));
        assert!(write(&folder.join("none/file"), |_| Ok(())).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    /// Starts this test again as a child process, which aborts with half of the new file written.
    #[test]
    fn a_process_that_dies_while_saving_leaves_the_old_file() {
        if let Some(path) = std::env::var_os(CHILD) {
            let _ = write(Path::new(&path), |file| {
                file.write_all(b"half of the n")?;
                file.sync_all()?;
                std::process::abort()
            });
        }
        let folder = folder("abort");
        let path = folder.join("file");
        write(&path, |file| file.write_all(b"old")).unwrap();
        let name = concat!(module_path!(), "::a_process_that_dies_while_saving_leaves_the_old_file");
        let (_, name) = name.split_once("::").unwrap(); // without the crate
        let child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, &path)
            .output()
            .unwrap();
        assert!(!child.status.success());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(files(&folder), 2, "the old file and the child's temporary one");
        // The next save succeeds beside it.
        write(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&path).unwrap(), files(&folder)), (b"new".to_vec(), 2));
        fs::remove_dir_all(folder).unwrap();
    }
}
