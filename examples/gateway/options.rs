use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use examples::Store;
use http::Uri;

/// Signs users in at an upstream, keeps its tokens from their browsers, and passes their requests on.
///
/// `POST /login` takes what the upstream's log-in takes, as JSON. The tokens that it answers stay here;
/// the browser gets an access token of the gateway's own for `Authorization: Bearer`, and keeps the
/// refresh token in the cookie `__Host-refresh`, which works for pages of this origin and for nothing
/// but `/refresh` and `/logout`. A client that is no browser, one that sends neither `Origin` nor
/// `Sec-Fetch-Site`, gets both tokens in the body. `/sessions` lists and ends a user's sessions,
/// which are known by `sub` of the upstream's access token; if that is no JWT, each log-in stands alone.
///
/// Every other path goes to the upstream, with the user's token there, which is refreshed when it dies.
/// A page opens a WebSocket with the protocols `[.., "bearer." + token]`, as it cannot set headers.
/// `GET /healthz` says ok. The gateway speaks plain HTTP: put TLS in front of it, and say so by --proxies.
///
/// SIGTERM lets requests that have begun end. RUST_LOG=info shows what happens to sessions.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// A TOML file with any of these flags, as in `access-ttl = "5m"`; those of the command line win.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to listen; port 0 picks one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub(crate) addr: SocketAddr,
    /// Whom requests go to: `https://host[:port]`, or `http` to this machine.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Uri,
    /// Where users sign in. Default: `/login` of the upstream.
    #[arg(long, value_name = "URL")]
    pub(crate) login_url: Option<Uri>,
    /// Where the tokens of users are refreshed. Default: `/refresh` of the upstream.
    #[arg(long, value_name = "URL")]
    pub(crate) refresh_url: Option<Uri>,
    /// Where their sessions are ended. Default: `logout` beside --refresh-url.
    #[arg(long, value_name = "URL")]
    pub(crate) logout_url: Option<Uri>,
    /// Lets tokens and passwords go by `http` to other machines. Whoever is on the way can read them.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Where sessions and the upstream's tokens live: `memory`, `sqlite:PATH`, `postgres://...` or
    /// `redis://...`; a database of the gateway's own, which several gateways share.
    #[arg(long, default_value = "memory")]
    pub(crate) store: Store,
    /// The file of the secrets that sign tokens and seal those of the upstream, made if it is missing.
    /// Gateways that share a store share it too. Default: beside the SQLite file, or `gateway.keys`. Not
    /// for `memory`: there keys and sessions die with the process.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// How long the gateway's own access tokens live, at most 1h.
    #[arg(long, default_value = "15m")]
    pub(crate) access_ttl: humantime::Duration,
    /// How long a session may stay unused.
    #[arg(long, default_value = "14d")]
    pub(crate) idle: humantime::Duration,
    /// How long a session lasts at most.
    #[arg(long, default_value = "90d")]
    pub(crate) absolute: humantime::Duration,
    /// How many proxies of yours are in front. What they say in `X-Forwarded-*` and `Forwarded` is
    /// believed and passed on; without any it is dropped, as clients can say what they like.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) proxies: usize,
    /// How long to wait for a connection to the upstream.
    #[arg(long, default_value = "5s")]
    pub(crate) connect_timeout: humantime::Duration,
    /// How long requests and WebSockets that have begun may go on after SIGTERM.
    #[arg(long, default_value = "30s")]
    pub(crate) drain: humantime::Duration,
    /// Serves `GET /metrics`, in the text format of Prometheus.
    #[arg(long)]
    pub(crate) metrics: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_lists_every_flag_and_says_what_it_is_for() {
        let mut command = Options::command();
        command.build();
        let help = command.render_long_help().to_string();
        for arg in command.get_arguments() {
            let flag = format!("--{}", arg.get_long().unwrap());
            let listed = help.lines().map(str::trim_start);
            assert!(
                listed
                    .clone()
                    .any(|it| it.contains(&flag) && it.starts_with('-')),
                "{flag}"
            );
            assert!(arg.get_help().is_some(), "{flag}");
        }
    }
}
