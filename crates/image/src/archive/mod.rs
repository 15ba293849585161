//! An image as one file, for programs that take no folder: `docker load`, `podman load`, `skopeo copy oci-archive:`.
//!
//! One tar is two formats at once: an OCI image layout, and Docker's own `manifest.json`, which points into its blobs.
//! A plain OCI archive is refused by Docker before 25 ("blobs/json: no such file"). Equal images give equal bytes.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use serde_json::json;

use crate::image::Image;
use crate::layout::LayoutError;
use crate::manifest::{Index, annotation, to_json};
use crate::reference::{LOCALHOST, Reference};
use crate::ustar;

/// What a layout of this kind says of itself.
const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const BLOBS: &str = "blobs/sha256";
/// Of a new archive, before the umask.
const MODE: Mode = Mode::from_raw_mode(0o666);

impl Image {
    /// Writes the image as a tar, under the name `reference` (such as `gimmetime:0.1.0`) or nameless.
    ///
    /// Docker and podman show it as `localhost/gimmetime:0.1.0`.
    pub fn write_archive(&self, reference: Option<&str>, mut out: impl Write) -> io::Result<()> {
        // Docker takes a name without a host for one of Docker Hub.
        let has_host = |reference: &str| reference.parse::<Reference>().is_ok();
        let with_host = |reference: &str| {
            if has_host(reference) { reference.to_owned() } else { format!("{LOCALHOST}/{reference}") }
        };
        let name = reference.map(with_host);
        let mut append = |name: &str, bytes: &[u8]| ustar::append(&mut out, name, ustar::Mode::Data, bytes);
        append("oci-layout", MARKER.as_bytes())?;
        append("index.json", &to_json(&self.index(reference, name.as_deref())))?;
        append("manifest.json", &to_json(&self.docker_manifest(name.as_deref())))?;
        // An image may have one layer twice.
        let mut written = BTreeSet::new();
        for blob in self.blobs().filter(|blob| written.insert(&blob.digest)) {
            append(&format!("{BLOBS}/{}", blob.digest.hex()), &blob.bytes)?;
        }
        ustar::finish(&mut out)?;
        out.flush()
    }

    /// Writes [`Image::write_archive`] to `file`, which then holds all of it or what it held before, whatever happens.
    ///
    /// # Errors
    /// [`LayoutError::Io`]
    pub fn save(&self, reference: Option<&str>, file: &Path) -> Result<(), LayoutError> {
        let write = || {
            let unfinished = Unfinished::beside(file)?;
            let mut out = BufWriter::new(&unfinished.opened);
            self.write_archive(reference, &mut out)?;
            drop(out);
            unfinished.put_in_place()
        };
        write().map_err(|source| LayoutError::Io { attempt: "write", file: file.to_owned(), source })
    }

    fn index(&self, reference: Option<&str>, name: Option<&str>) -> Index {
        let mut entry = self.index_entry();
        let names = [(annotation::REF_NAME, reference), (annotation::CONTAINERD_NAME, name)];
        let named = names.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())));
        entry.annotations.get_or_insert_default().extend(named);
        Index { manifests: vec![entry], ..Index::empty() }
    }

    /// What `docker save` calls `manifest.json`.
    fn docker_manifest(&self, name: Option<&str>) -> serde_json::Value {
        let layers: Vec<String> = self.layers().iter().map(|layer| format!("{BLOBS}/{}", layer.digest.hex())).collect();
        let config = format!("{BLOBS}/{}", self.config().digest.hex());
        json!([{ "Config": config, "RepoTags": name.into_iter().collect::<Vec<_>>(), "Layers": layers }])
    }
}

/// A file that is not there yet.
struct Unfinished {
    opened: File,
    /// Whether it gets a name only once it is whole, so that a killed process leaves nothing behind.
    is_nameless: bool,
    temporary: PathBuf,
    file: PathBuf,
}

impl Unfinished {
    fn beside(file: &Path) -> io::Result<Self> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}", std::process::id()));
        // Whoever had this number before is gone, and what it left is nobody's.
        let _ = fs::remove_file(&temporary);
        let nameless = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, MODE);
        let is_nameless = nameless.is_ok();
        let opened = match nameless {
            Ok(opened) => File::from(opened),
            // Not every filesystem has files without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR) => File::create_new(&temporary)?,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { opened, is_nameless, temporary, file: file.to_owned() })
    }

    fn put_in_place(&self) -> io::Result<()> {
        self.opened.sync_all()?;
        if self.is_nameless {
            let opened = format!("/proc/self/fd/{}", self.opened.as_raw_fd());
            rustix::fs::linkat(CWD, opened, CWD, &self.temporary, AtFlags::SYMLINK_FOLLOW)?;
        }
        fs::rename(&self.temporary, &self.file)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Best effort: once it is in place there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}
