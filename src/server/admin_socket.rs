//! Administration beside the running server: a unix socket on which the server executes the commands of root and of its
//! own user, and answers the API. The system says who has connected (`SO_PEERCRED`).

pub mod client;
mod endpoint;
mod wire;

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use poem::Addr;
use poem::http::uri::Scheme;
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::endpoint::{Administration, peer_address};
use super::connection::{Ends, Service};
use super::listener::{Api, PAUSE};
use super::timed_stream::ConnectionDeadlines;
use crate::config::{Settings, SocketPath};
use crate::engine::system::System;
use crate::store::files;

/// The longest path that the system accepts for a socket, in bytes.
const LONGEST_PATH: usize = 107;

/// The number of connections that are served at once; further ones wait. Event streams take at most 20 of them.
const CONNECTIONS: usize = 64;

/// The number of connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A socket that is bound, and its file, which is removed when the server ends.
pub struct AdminSocket {
    bound: UnixListener,
    file: SocketFile,
}

/// A socket, and what answers on it.
pub struct ServedSocket {
    socket: AdminSocket,
    service: Arc<Service<Administration>>,
}

struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have replaced a socket that is not beside the database.
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the path of the socket of a database, given by its real name, or `None` if it is off.
#[must_use]
pub fn path(setting: &SocketPath, database: &Path) -> Option<PathBuf> {
    match setting {
        SocketPath::Off => None,
        SocketPath::At(path) => Some(path.clone()),
        SocketPath::Beside => Some(files::beside(database, ".sock")),
    }
}

impl AdminSocket {
    /// Creates the socket, for its owner only. Replaces one that a server left behind. The error says what to set.
    /// Returns `None` if the disk is full, because a server must be able to start then.
    pub fn bind(path: PathBuf, database: &Path) -> Result<Option<Self>, String> {
        let name = path.display();
        let instead = "set `socket` to another path, or to `off`";
        let length = path.as_os_str().len();
        if length > LONGEST_PATH {
            return Err(format!(
                "the path of the socket {name} is {length} bytes long, and the system accepts at most {LONGEST_PATH}: \
                 set `socket` to a shorter path, or to `off`"
            ));
        }
        if files::is_reserved(database, &path) {
            return Err(format!("the socket {name} has a name that orgkeys reserves for another file: {instead}"));
        }
        remove_stale(&path).map_err(|problem| format!("the socket {name} {problem}: {instead}"))?;
        let listening = bind_private(&path).and_then(|bound| {
            let inode = fs::symlink_metadata(&path)?.ino();
            Ok((UnixListener::from_std(bound)?, inode))
        });
        match listening {
            Ok((bound, inode)) => Ok(Some(Self { bound, file: SocketFile { path, inode } })),
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                tracing::warn!(socket = %name, %error, "the disk is too full for the socket: commands need the server to be stopped");
                Ok(None)
            }
            Err(error) => Err(format!("the socket {name} cannot be created ({error}): {instead}")),
        }
    }

    /// Returns the socket with what answers on it: the commands of `system`, and the API.
    #[must_use]
    pub(super) fn serving(self, system: Arc<System>, api: Api, settings: &Settings) -> ServedSocket {
        let service = Arc::new(Service::new(Administration::new(system, api), settings));
        ServedSocket { socket: self, service }
    }
}

impl ServedSocket {
    /// Answers until `stop`, then lets requests in progress finish within `stop_timeout`.
    pub async fn run(self, stop: CancellationToken, stop_timeout: Duration) {
        let Self { socket: AdminSocket { bound, file }, service } = self;
        let (tasks, kill) = (TaskTracker::new(), CancellationToken::new());
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        while let Some(Some((stream, slot))) = stop.run_until_cancelled(next(&bound, &slots)).await {
            let (service, stop, kill) = (Arc::clone(&service), stop.clone(), kill.clone());
            tasks.spawn(async move {
                kill.run_until_cancelled(Box::pin(serve(stream, &service, stop))).await;
                drop(slot);
            });
        }
        drop((bound, file));
        tasks.close();
        if tokio::time::timeout(stop_timeout, tasks.wait()).await.is_err() {
            kill.cancel();
            tasks.wait().await;
        }
    }
}

/// Binds a path for the owner only. The system gives the file the mode of the socket, so the path is not open to others
/// even for a moment. A `umask` would do the same, but for the whole process.
fn bind_private(path: &Path) -> io::Result<StdListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(StdListener::from(socket))
}

/// Removes a socket on which nobody listens. The error is a phrase that follows the socket's path.
fn remove_stale(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot be examined ({error})")),
        Ok(meta) if !meta.file_type().is_socket() => return Err("exists already and is not a socket".to_owned()),
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Ok(_) => return Err("belongs to another process, which listens on it".to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(format!("exists already ({error})")),
    }
    fs::remove_file(path)
        .map_err(|error| format!("was left behind by an earlier start, and cannot be removed ({error})"))
}

/// Returns the next connection once there is a slot for it.
async fn next(bound: &UnixListener, slots: &Arc<Semaphore>) -> Option<(UnixStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match bound.accept().await {
            Ok((stream, _)) => return Some((stream, slot)),
            Err(error) => {
                tracing::warn!(%error, "a connection to the socket could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers the requests of a connection.
async fn serve(stream: UnixStream, service: &Arc<Service<Administration>>, stop: CancellationToken) {
    // Without the credentials nobody is served.
    let Ok(peer) = stream.peer_cred().map(|peer| peer.uid()) else { return };
    let ends = Ends { local: Addr::custom("unix", "socket"), peer: peer_address(peer) };
    let deadlines = ConnectionDeadlines::new(service.timeouts());
    service.answer(stream, deadlines, ends, Scheme::HTTP, stop).await;
}
