//! Who is on the other end of a connection.

use tokio::net::UnixStream;

use super::error::AdminError;

/// Accepts root, and the user the daemon itself runs as (root on a node). The mode of the socket file is the first
/// door, this the second: a file's mode can be changed by accident.
///
/// # Errors
/// [`AdminError::NotRoot`]; also where the kernel does not say who it is.
pub(super) fn check(stream: &UnixStream) -> Result<(), AdminError> {
    let uid = stream
        .peer_cred()
        .map_or(u32::MAX, |credentials| credentials.uid());
    judge(uid, nix::unistd::geteuid().as_raw())
}

fn judge(uid: u32, own: u32) -> Result<(), AdminError> {
    if uid == 0 || uid == own {
        Ok(())
    } else {
        Err(AdminError::NotRoot(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_users_are_turned_away() {
        assert_eq!(judge(0, 0), Ok(()));
        assert_eq!(judge(1000, 0), Err(AdminError::NotRoot(1000)));
        assert_eq!(judge(u32::MAX, 0), Err(AdminError::NotRoot(u32::MAX)));
        assert_eq!(judge(1000, 1000), Ok(()));
    }
}
