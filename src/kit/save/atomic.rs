//! Writing a file as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Writes a new file beside the old one, flushes it to the disk and renames it over the old one. If
/// anything fails, the old file stays. The new file has the old one's permissions and, where the system lets it, owner.
///
/// A symbolic link stays, and its target is replaced. What is no regular file (a pipe, a device) is written to as it is.
pub(super) fn write(path: &Path, contents: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Ok(old) if old.is_dir() => return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")),
        Ok(old) if !old.is_file() => return contents(&mut OpenOptions::new().write(true).open(path)?),
        Ok(old) if old.permissions().readonly() => {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the old file is read-only"));
        }
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = &target(path)?;
    let (mut file, mut temporary) = create_beside(path)?;
    if let Some(old) = old {
        keep_owner(&file, &old);
        file.set_permissions(old.permissions())?;
    }
    let written = contents(&mut file).and_then(|()| file.sync_all());
    drop(file);
    let renamed = written.and_then(|()| fs::rename(&temporary.path, path));
    if renamed.is_ok() {
        temporary.kept = true;
        // The file is in place and whole. A folder that cannot be opened is flushed later, by the system.
        let _ = sync_folder(path);
    }
    renamed
}

/// The path to which symbolic links lead; there need not be a file yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        if !fs::symlink_metadata(&path).is_ok_and(|old| old.is_symlink()) {
            return Ok(path);
        }
        // A link is relative to its folder.
        path = path.with_file_name("").join(fs::read_link(&path)?);
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Gives a new file the owner and the group of the old one. Only an administrator may give files away, so a failure to do
/// so is none to save.
fn keep_owner(file: &File, old: &fs::Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata().map(|new| (new.uid(), new.gid()));
        if !new.is_ok_and(|new| new == (old.uid(), old.gid())) {
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, old);
}

/// A file that is removed on drop, also when writing panics, unless it is kept.
struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            // A file that stays is never read, and the next save picks another name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a new file in the same folder, so that renaming it moves no data.
fn create_beside(path: &Path) -> io::Result<(File, Temporary)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    // Not the whole name, which may be as long as the system allows.
    let name: String = name.to_string_lossy().chars().take(40).collect();
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // Left by a killed process with the same process number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("no new file can be made in its folder: {error}")));
            }
            Ok(file) => return Ok((file, Temporary { path: temporary, kept: false })),
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

    /// A thing at the path stays what it is: a link, its target's permissions, a device, a pipe, a read-only file.
    #[test]
    #[cfg(unix)]
    fn what_exists_is_written_through() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = folder("through");
        let (path, link, chain) = (folder.join("file"), folder.join("link"), folder.join("chain"));
        write(&path, |file| file.write_all(b"old")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("file", &link).unwrap();
        symlink(&link, &chain).unwrap();
        write(&chain, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!([&link, &chain].iter().all(|link| fs::symlink_metadata(link).unwrap().is_symlink()));
        // A link to a file that does not exist yet, and one to itself.
        fs::remove_file(&path).unwrap();
        write(&chain, |file| file.write_all(b"first")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        symlink("loop", folder.join("loop")).unwrap();
        assert!(write(&folder.join("loop"), |_| Ok(())).is_err());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(write(&path, |_| Ok(())).unwrap_err().to_string().contains("read-only"));
        assert!(write(&folder, |_| Ok(())).unwrap_err().to_string().contains("folder"));

        write(Path::new("/dev/null"), |file| file.write_all(b"gone")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let pipe = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write(&pipe, |file| file.write_all(b"through")).unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(!fs::metadata(&pipe).unwrap().is_file());

        let long = folder.join("x".repeat(255));
        write(&long, |file| file.write_all(b"long")).unwrap();
        assert_eq!(fs::read(&long).unwrap(), b"long");
        assert_eq!(files(&folder), 6, "nothing temporary is left");
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
