//! A registry that nobody here wrote (docker-registry), for one test: at an address of the test's own, gone at its end.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::place::{Place, eventually};

/// Who may push to a registry with a password; the file below has the password as bcrypt has it.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "open sesame";
const PASSWORDS: &str = "alice:$2y$05$Fxwrrf7NEyBA3DDe12lZc.9BorZMyhcjccgCX9Xd2YeoSGlT7mDM6\n";

/// A running registry.
pub(crate) struct Registry {
    process: Child,
    storage: PathBuf,
    pub(crate) address: SocketAddr,
    /// The certificate to trust, if it has one.
    pub(crate) ca: PathBuf,
}

impl Registry {
    /// One that takes everything from everybody.
    pub(crate) fn open_to_all(place: &Place) -> Self {
        Self::start(place, "", "")
    }

    /// One that asks for [`USER`] and [`PASSWORD`].
    pub(crate) fn with_password(place: &Place) -> Self {
        Self::start(place, "", &password(place))
    }

    /// One that speaks TLS with a certificate nobody knows, and asks for a password.
    pub(crate) fn with_tls_and_password(place: &Place) -> Self {
        let folder = place.folder();
        let (key, certificate) = (folder.join("key.pem"), folder.join("ca.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext"])
            .arg(format!("subjectAltName=IP:{}", place.listen.ip()))
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "openssl makes a certificate");
        let tls = format!("\n  tls: {{ certificate: {}, key: {} }}", certificate.display(), key.display());
        Self::start(place, &tls, &password(place))
    }

    fn start(place: &Place, tls: &str, auth: &str) -> Self {
        let folder = place.folder();
        let address = SocketAddr::new(place.listen.ip(), 5000);
        let storage = folder.join("registry");
        let settings = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\n\
             http:\n  addr: {address}{tls}\n{auth}",
            storage.display()
        );
        let file = folder.join("registry.yml");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("this test needs docker-registry: apt-get install docker-registry");
        let registry = Self { process, storage, address, ca: folder.join("ca.pem") };
        eventually("the registry listens", || TcpStream::connect(address).ok());
        registry
    }

    /// `HOST:PORT/NAME`
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Whether it has anything of a repository.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.storage.join("docker/registry/v2/repositories").join(name).exists()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn password(place: &Place) -> String {
    let file = place.folder().join("passwords");
    std::fs::write(&file, PASSWORDS).unwrap();
    format!("auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n", file.display())
}
