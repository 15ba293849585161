//! What `/proc` says about processes: who they are, and who listens where.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

use gimmetime_clock::source;
use gimmetime_scheduler::model::Process;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::Holder;

/// When a process started, in clock ticks after boot (field 22 of `/proc/PID/stat`); None if there is none.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// A process's state letter: `Z` is one that ended and waits to be reaped.
pub(crate) fn state(pid: u32) -> Option<char> {
    stat_field(pid, 3)?.chars().next()
}

/// A process's parent.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    stat_field(pid, 4)?.parse().ok()
}

/// A process's group.
pub(crate) fn group(pid: u32) -> Option<u32> {
    stat_field(pid, 5)?.parse().ok()
}

fn stat_field(pid: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets and may contain anything: count from behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number - 3).map(ToOwned::to_owned)
}

/// A process's name.
pub(crate) fn name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// A process's environment; None if it is gone or another user's.
pub(crate) fn environment(pid: u32) -> Option<BTreeMap<String, String>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}

/// All processes.
pub(crate) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What tells this process from a later one of the same pid.
pub(crate) fn identity(pid: u32) -> Option<Process> {
    Some(Process { pid, start_time: start_time(pid)?, boot_id: source::boot_id() })
}

/// A handle on exactly this process, if it still lives: the handle is taken first and compared after, so that a pid
/// that is used again in between is noticed.
pub(crate) fn open(process: &Process) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    if process.boot_id != source::boot_id() {
        return Ok(None);
    }
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let alive = start_time(process.pid) == Some(process.start_time) && state(process.pid) != Some('Z');
    Ok(alive.then_some(handle))
}

/// Whether exactly this process lives.
pub(crate) fn lives(process: &Process) -> bool {
    open(process).is_ok_and(|handle| handle.is_some())
}

/// Who listens on this address, as far as this user may know.
pub(crate) fn listener(address: SocketAddr) -> Option<Holder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| listening_inode(line, address))
    })?;
    let wanted = format!("socket:[{inode}]");
    let pid = pids().into_iter().find(|pid| holds(*pid, &wanted))?;
    Some(Holder { pid, name: name(pid)? })
}

/// The socket's inode, if this line of `/proc/net/tcp` is a listener in the way of `address`.
fn listening_inode(line: &str, address: SocketAddr) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let (ip, port) = local.split_once(':')?;
    let ip = parse_ip(ip)?;
    let same = u16::from_str_radix(port, 16).ok()? == address.port();
    let overlaps = ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified();
    (*state == LISTEN && same && overlaps).then(|| inode.parse().ok())?
}

/// An address as `/proc/net/tcp` has it: 32-bit words in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut bytes = [0; 16];
    for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&word(index * 8)?);
    }
    let ip = Ipv6Addr::from(bytes);
    Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == Path::new(socket)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_found_by_pid_and_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = super::listener(listener.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert_eq!(found.name, name(std::process::id()).unwrap());
    }

    #[test]
    fn a_process_is_not_taken_for_one_of_another_start_time_or_boot() {
        let own = identity(std::process::id()).unwrap();
        assert!(open(&own).unwrap().is_some());
        assert!(open(&Process { start_time: own.start_time + 1, ..own.clone() }).unwrap().is_none());
        assert!(open(&Process { boot_id: "another".into(), ..own }).unwrap().is_none());
    }

    #[test]
    fn both_address_families_are_read_in_the_machines_byte_order() {
        assert_eq!(parse_ip("0100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse_ip("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        assert_eq!(parse_ip("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
    }
}
