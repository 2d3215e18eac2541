//! A port where nobody listens, for as long as a test needs it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

/// An address that refuses connections until it is dropped. Its socket is bound but does not listen, so the system gives
/// the port to no server of another test meanwhile.
pub struct ClosedPort {
    pub address: SocketAddr,
    _socket: OwnedFd,
}

impl ClosedPort {
    pub fn new() -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.expect("a socket");
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = getsockname(&socket).expect("an address").try_into().expect("an IP address");
        Self { address, _socket: socket }
    }
}
