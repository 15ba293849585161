//! Pushing the image, beside what others do it with, into a `docker-registry` on loopback.
//!
//! Times are of whole commands. For a cold push the registry's folder is emptied first; the image is built before, except where
//! a tool's push begins with its build. Everything is in a folder of its own, the peers' stores too.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::figures::Figures;
use crate::run::{must, now, target};

/// Where the registry listens: an address of loopback that nothing else uses.
const REGISTRY: &str = "127.77.0.2:5000";
/// How often our own commands are timed.
const RUNS: u32 = 30;
/// How often the peers' are, which take longer.
const PEER_RUNS: u32 = 10;
/// How long the registry may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The registry, the program, and a folder for all of them.
struct Place {
    program: PathBuf,
    folder: PathBuf,
    registry: Child,
}

/// Times of a cold and of a repeated push, of ours and of the peers.
pub(super) fn run(program: PathBuf) -> Result<()> {
    let place = Place::new(program)?;
    let built = place.json(&["image", "build", "--to", "layout"])?;
    let size = |field: &str| built[field].as_u64().context("`image build` tells no sizes");
    println!("image: {} bytes, of them its layer {} (goal 600 KB)", size("size")?, size("layerSize")?);
    let (cold, own, again, own_again) = ours(&place)?;
    println!("gimmetime image push, cold         {cold}   (goal 100 ms)");
    println!("  of it the push itself            {own}");
    println!("gimmetime image push, there        {again}   (goal 10 ms)");
    println!("  of it the push itself            {own_again}");
    let (cold, again) = skopeo(&place)?;
    println!("skopeo copy, cold                  {cold}");
    println!("skopeo copy, there                 {again}");
    println!("buildah bud && push, cold          {}", buildah(&place)?);
    println!("docker build && push, cold         {}", docker(&place)?);
    Ok(())
}

fn ours(place: &Place) -> Result<(Figures, Figures, Figures, Figures)> {
    let [mut cold, mut own, mut again, mut own_again] = std::array::from_fn(|_| Figures::default());
    let image = format!("{REGISTRY}/gimmetime:1");
    // Its trial is another matter, and no peer has one.
    let push = ["image", "push", &image, "--no-smoke"];
    let own_time = |receipt: &Value| receipt["ms"].as_f64().map(|ms| Duration::from_secs_f64(ms / 1e3));
    for _ in 0..RUNS {
        place.empty()?;
        for (whole, part) in [(&mut cold, &mut own), (&mut again, &mut own_again)] {
            let start = now();
            let receipt = place.json(&push)?;
            whole.add(start.elapsed());
            part.add(own_time(&receipt).context("the receipt has no ms")?);
        }
    }
    Ok((cold, own, again, own_again))
}

fn skopeo(place: &Place) -> Result<(Figures, Figures)> {
    let (mut cold, mut again) = (Figures::default(), Figures::default());
    for _ in 0..PEER_RUNS {
        place.empty()?;
        for figures in [&mut cold, &mut again] {
            let mut copy = place.command("skopeo");
            copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "oci:layout"]);
            copy.arg(format!("docker://{REGISTRY}/skopeo:1"));
            figures.add(timed(&mut [copy])?);
        }
    }
    Ok((cold, again))
}

fn buildah(place: &Place) -> Result<Figures> {
    let context = place.context()?;
    let image = format!("{REGISTRY}/buildah:1");
    let mut cold = Figures::default();
    for _ in 0..PEER_RUNS {
        place.empty()?;
        let buildah = || {
            let mut command = place.command("buildah");
            command.args(["--root", "buildah/root", "--runroot", "buildah/run", "--storage-driver", "vfs"]);
            command
        };
        let (mut build, mut push) = (buildah(), buildah());
        build.args(["bud", "--quiet", "--no-cache", "--isolation", "chroot", "--tag", &image]).arg(&context);
        push.args(["push", "--quiet", "--tls-verify=false", &image]);
        cold.add(timed(&mut [build, push])?);
    }
    Ok(cold)
}

fn docker(place: &Place) -> Result<Figures> {
    let context = place.context()?;
    let image = format!("{REGISTRY}/docker:1");
    let mut cold = Figures::default();
    for _ in 0..PEER_RUNS {
        place.empty()?;
        let (mut build, mut push) = (place.command("docker"), place.command("docker"));
        build.args(["build", "--quiet", "--no-cache", "--tag", &image]).arg(&context);
        push.args(["push", "--quiet", &image]);
        cold.add(timed(&mut [build, push])?);
        must(place.command("docker").args(["rmi", "--force", &image]).stdout(Stdio::null()))?;
    }
    Ok(cold)
}

/// How long the commands take, one after the other.
fn timed(commands: &mut [Command]) -> Result<Duration> {
    let start = now();
    for command in commands {
        // What a peer says is worth showing only if it fails.
        let output = command.output().with_context(|| format!("could not start {command:?}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?} ended with {}: {errors}", output.status);
    }
    Ok(start.elapsed())
}

impl Place {
    fn new(program: PathBuf) -> Result<Self> {
        let folder = target()?.join("bench-image");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let settings = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {}/registry }} }}\nhttp: {{ addr: '{REGISTRY}' }}\n",
            folder.display()
        );
        std::fs::write(folder.join("registry.yml"), settings)?;
        let registry = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("registry.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start docker-registry")?;
        let place = Self { program, folder, registry };
        let start = now();
        while std::net::TcpStream::connect(REGISTRY).is_err() {
            if PATIENCE < start.elapsed() {
                bail!("docker-registry does not listen on {REGISTRY}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(place)
    }

    /// Leaves nothing in the registry.
    fn empty(&self) -> Result<()> {
        let blobs = self.folder.join("registry");
        if blobs.exists() {
            std::fs::remove_dir_all(blobs)?;
        }
        Ok(())
    }

    /// A folder with the server's executable and a Dockerfile that packs it as we do.
    fn context(&self) -> Result<PathBuf> {
        let context = self.folder.join("context");
        if !context.exists() {
            std::fs::create_dir(&context)?;
            let dockerfile = "FROM scratch\nCOPY app /app\nUSER 65532:65532\nENTRYPOINT [\"/app\"]\n";
            std::fs::write(context.join("Dockerfile"), dockerfile)?;
            must(Command::new("tar").arg("-xzf").arg(self.layer()?).arg("-C").arg(&context))?;
        }
        Ok(context)
    }

    /// The layer of the image in the layout: its largest blob.
    fn layer(&self) -> Result<PathBuf> {
        let blobs = std::fs::read_dir(self.folder.join("layout/blobs/sha256"))?;
        let sized = blobs.map(|blob| blob.and_then(|blob| Ok((blob.metadata()?.len(), blob.path()))));
        let largest = sized.collect::<Result<Vec<_>, _>>()?.into_iter().max();
        largest.map(|(_, path)| path).context("the layout holds no blob")
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let mut command = self.command(&self.program);
        command.args(args).args(["--name", "bench", "--output", "json", "--state", "state"]);
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`gimmetime {}` ended with {}: {errors}", args.join(" "), output.status);
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("`gimmetime {}` printed no JSON", args.join(" ")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is in the registry is of no use to anybody.
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}
