//! The socket that clients connect to, made by the supervisor, so that no death of the data plane closes it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::error::StartFailure;
use crate::proc;

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4_096;

/// A listening socket at this address; why not, by what a person can do about it.
pub(crate) fn bind_listener(address: SocketAddr) -> Result<OwnedFd, StartFailure> {
    open(address, false).map_err(|error| explain(address, error))
}

/// A listening socket in place of `old`, which may overlap it (`127.0.0.1:80` and `0.0.0.0:80`) and still listens.
///
/// Linux lets sockets overlap if all of them allow it at that moment. Afterwards the new one allows it no more, so that
/// another engine at this address is noticed as ever.
pub(crate) fn bind_beside(address: SocketAddr, old: &OwnedFd) -> Result<OwnedFd, StartFailure> {
    let made = || {
        sockopt::set_socket_reuseport(old, true)?;
        let socket = open(address, true);
        sockopt::set_socket_reuseport(old, false)?;
        let socket = socket?;
        sockopt::set_socket_reuseport(&socket, false)?;
        Ok(socket)
    };
    made().map_err(|error| explain(address, error))
}

fn open(address: SocketAddr, overlapping: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if overlapping {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn explain(address: SocketAddr, error: Errno) -> StartFailure {
    match error {
        Errno::ADDRINUSE => StartFailure::PortTaken { listen: address, holder: proc::listener(address) },
        Errno::ACCESS => StartFailure::PortForbidden { listen: address },
        Errno::ADDRNOTAVAIL => StartFailure::NoSuchAddress { listen: address },
        other => StartFailure::Other { message: format!("cannot listen on {address}: {}", io::Error::from(other)) },
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn address_of(socket: &OwnedFd) -> SocketAddr {
        rustix::net::getsockname(socket).unwrap().try_into().unwrap()
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let first = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let listen = address_of(&first);
        let Err(StartFailure::PortTaken { holder: Some(holder), .. }) = bind_listener(listen) else {
            panic!("the port is taken by this process");
        };
        assert_eq!(holder.pid, std::process::id());
    }

    #[test]
    fn an_overlapping_address_is_bound_before_the_old_one_is_closed() {
        let narrow = bind_listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = address_of(&narrow).port();
        let wide = bind_beside(SocketAddr::from(([0, 0, 0, 0], port)), &narrow).unwrap();
        drop(narrow);
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        let third = bind_beside(SocketAddr::from(([127, 0, 0, 1], port)), &wide).unwrap();
        drop(wide);
        assert!(bind_listener(address_of(&third)).is_err(), "afterwards it overlaps with nobody");
    }

    #[test]
    fn an_address_that_is_not_ours_is_told_from_a_taken_port() {
        let listen = "192.0.2.1:8080".parse().unwrap();
        assert_eq!(bind_listener(listen).unwrap_err(), StartFailure::NoSuchAddress { listen });
    }
}
