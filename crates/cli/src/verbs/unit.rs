//! `unit`: a systemd unit that brings the service up at boot, and takes it down in order.

use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::settings::Settings;
use crate::verbs::said;

/// Prints the unit.
pub(crate) fn run(settings: &Settings, config: Option<&Path>, printer: &mut Printer) -> Result<Exit, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::unsure(format!("where am I? {error}")))?;
    let config = config.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    let config = config.map_or_else(String::new, |path| format!(" --config {}", quoted(&path)));
    // The settings file that is found here, and paths in it, must be found then.
    let folder = std::env::current_dir().map_err(|error| Failure::unsure(format!("where am I? {error}")))?;
    let folder = folder.display().to_string().replace('%', "%%");
    let Settings { name, target, state_root, .. } = settings;
    let unit = format!(
        "# Install: gimmetime unit | sudo tee /etc/systemd/system/gimmetime-{name}.service; \
         sudo systemctl enable --now gimmetime-{name}\n\
         [Unit]\n\
         Description=gimmetime {name}: a load-balanced service on this machine\n\
         Wants=network-online.target\n\
         After=network-online.target time-sync.target\n\n\
         [Service]\n\
         # Tasks and the data plane outlive a crash of the supervisor; a restart adopts them.\n\
         ExecStart={program} up --foreground --name {name} --target {target} --state {state}{config}\n\
         WorkingDirectory={folder}\n\
         KillMode=process\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         TimeoutStopSec=180\n\
         LimitNOFILE=65536\n\n\
         [Install]\n\
         WantedBy=multi-user.target",
        program = quoted(&program),
        state = quoted(state_root),
    );
    said(printer.data(unit))
}

/// A path as systemd reads it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}
