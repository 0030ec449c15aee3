//! Asking: the daemon if one answers, else the same gate in this process.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Global, Place};
use super::{CliError, complain, local};
use crate::admin::{Admin, AdminClient, ClientError, Endpoint};
use crate::config::Config;

/// Who answers.
pub(super) enum Asked {
    /// The daemon.
    Daemon(AdminClient),
    /// A gate in this process.
    Local(Box<Admin>),
}

/// Runs one command's work.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Other(format!("no runtime: {error}")))?
        .block_on(work)
}

/// Chooses who answers. Only a socket that nobody listens on means "no daemon": one that refuses is an error, so that
/// the answer of another policy is never taken for the daemon's.
pub(super) async fn choose(
    global: &Global,
    config: &Config,
    place: &Place,
) -> Result<Asked, CliError> {
    if place.local {
        return local(global, config);
    }
    match tokio::net::UnixStream::connect(&config.admin_socket).await {
        Ok(_) => Ok(Asked::Daemon(AdminClient::new(&config.admin_socket))),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            complain(&format!(
                "portcullis: no daemon answers at {}; judging here, with the policy on disk",
                config.admin_socket.display()
            ));
            local(global, config)
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(ClientError::NotRoot {
                path: config.admin_socket.clone(),
            }
            .into())
        }
        Err(source) => Err(ClientError::NoDaemon {
            path: config.admin_socket.clone(),
            source,
        }
        .into()),
    }
}

fn local(global: &Global, config: &Config) -> Result<Asked, CliError> {
    local::admin(global, config).map(|admin| Asked::Local(Box::new(admin)))
}

/// Asks the daemon something that nobody else can answer.
pub(super) fn daemon<T: DeserializeOwned>(
    global: &Global,
    endpoint: Endpoint,
    question: Option<&(impl Serialize + Sync)>,
) -> Result<T, CliError> {
    let config = global.config()?;
    block_on(async {
        let client = AdminClient::new(&config.admin_socket);
        client.ask(endpoint, question).await.map_err(|error| {
            if let ClientError::NoDaemon { .. } = error {
                CliError::Other(format!(
                    "{error}; is it running? (systemctl status portcullis)"
                ))
            } else {
                error.into()
            }
        })
    })
}
