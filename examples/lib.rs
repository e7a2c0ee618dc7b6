//! What several of the programs need and none is about.
//!
//! The README is here so that its programs are compiled:
#![doc = include_str!("../README.md")]

mod door;
mod keys;
mod load;
mod metrics;
mod protection;
mod signed_in;
mod store;
mod users;

pub use door::{Door, peer_address};
pub use keys::Keys;
pub use load::{Answer, Counts, Load};
pub use metrics::metrics;
pub use protection::Protection;
pub use signed_in::SignedIn;
pub use store::Store;
pub use users::Users;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;

/// Ends the program: an error is a sentence on standard error and exit code 1.
pub fn report(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it.
pub fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// Listens at `address`.
///
/// # Errors
/// A sentence when that is not possible.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| format!("cannot listen on {address}: {error}; choose another --addr"))
}

/// Ends when the process is asked to stop, by SIGTERM or Ctrl-C.
pub async fn terminated() {
    tokio::select! {
        () = sigterm() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(unix)]
async fn sigterm() {
    use tokio::signal::unix::{SignalKind, signal};
    // Without the signal the process just runs on, as it would without this function.
    match signal(SignalKind::terminate()) {
        Ok(mut term) => drop(term.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn sigterm() {
    std::future::pending().await
}

/// 64 random bytes.
///
/// # Errors
/// When the operating system gives none.
pub fn random() -> Result<[u8; 64], getrandom::Error> {
    let mut bytes = [0; 64];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that `digits` write in hexadecimal.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect();
    let digits = digits.filter(|it| it.len() % 2 == 0)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}
