//! syslog messages (RFC 5424) to a socket of this system, or over UDP (RFC 5426) or TCP (RFC 6587, octet counting).

mod address;
mod message;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
#[cfg(unix)]
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::record::Record;
use super::sink::Sink;
pub(crate) use address::Address;
use message::Sender;

/// For a connection, and for a receiver that does not read.
const PATIENCE: Duration = Duration::from_secs(10);

/// A syslog receiver as a sink.
pub(super) struct Syslog {
    address: Address,
    sender: Sender,
    connection: Option<Connection>,
    message: String,
}

enum Connection {
    #[cfg(unix)]
    Datagram(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// For the receiver at `address`; it need not be there yet.
    pub(super) fn new(address: Address) -> Self {
        Self { address, sender: Sender::of_this_process(), connection: None, message: String::new() }
    }

    fn try_to_send(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.message.clear();
        self.sender.write_message(record, &mut self.message);
        if let Some(Connection::Tcp(stream)) = &self.connection
            && has_ended(stream)
        {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            // That an address is of no use does not make the record one.
            none => none.insert(connect(&self.address).map_err(|error| io::Error::other(error.to_string()))?),
        };
        match connection {
            #[cfg(unix)]
            Connection::Datagram(socket) => socket.send(self.message.as_bytes()).map(drop),
            Connection::Udp(socket) => socket.send(self.message.as_bytes()).map(drop),
            Connection::Tcp(stream) => {
                let count = format!("{} ", self.message.len());
                self.message.insert_str(0, &count);
                stream.write_all(self.message.as_bytes())
            }
        }
    }
}

impl Sink for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn offer(&mut self, record: &Record<'_>) -> io::Result<()> {
        match &self.connection {
            // What is written to it may have to wait, and finding a host's address too.
            Some(Connection::Tcp(_)) | None => Err(io::ErrorKind::WouldBlock.into()),
            #[cfg(unix)]
            Some(Connection::Datagram(socket)) => {
                self.message.clear();
                self.sender.write_message(record, &mut self.message);
                let flags = rustix::net::SendFlags::DONTWAIT;
                rustix::net::send(socket, self.message.as_bytes(), flags)?;
                Ok(())
            }
            // A datagram waits for room in the system's own buffer at the most.
            Some(Connection::Udp(_)) => self.try_to_send(record),
        }
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let result = self.try_to_send(record);
        if result.is_err() {
            // A part of the message may be on its way: the next attempt needs a connection of its own.
            self.connection = None;
        }
        result
    }
}

fn connect(address: &Address) -> io::Result<Connection> {
    match address {
        #[cfg(unix)]
        Address::Datagram(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Datagram(socket))
        }
        Address::Udp(receiver) => {
            let connect = |receiver: SocketAddr| {
                let socket = match receiver {
                    SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
                    SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
                };
                socket.connect(receiver)?;
                Ok(socket)
            };
            first_that_answers(receiver, connect).map(Connection::Udp)
        }
        Address::Tcp(receiver) => {
            let connect = |receiver: SocketAddr| {
                let stream = TcpStream::connect_timeout(&receiver, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Ok(stream)
            };
            first_that_answers(receiver, connect).map(Connection::Tcp)
        }
    }
}

fn first_that_answers<T>(receiver: &str, connect: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut failure = io::Error::other("the name has no address");
    for receiver in receiver.to_socket_addrs()? {
        match connect(receiver) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Whether the receiver has closed the connection: a write would still succeed, and the message be lost. A receiver
/// never sends anything.
fn has_ended(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let ended = match stream.peek(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    ended || stream.set_nonblocking(false).is_err()
}

#[cfg(all(test, unix))]
mod tests;
