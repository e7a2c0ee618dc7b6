//! The library through its public interface, one module a topic.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

mod exploration;
mod http {
    mod dpop;
    mod grpc;
    mod hyper;
    mod redirects;
    mod requests;
    mod responses;
    mod service_contract;
    mod streams;
}
mod managers {
    mod families;
    mod many;
}
mod refresh {
    mod answers;
    mod other_servers;
    mod requests;
    mod well_known;
}
mod reqwest {
    mod bare;
    mod client;
    mod features;
    mod middleware;
}
mod secrets {
    mod debug;
    mod log;
}
mod session {
    mod blips;
    mod concurrency;
    mod events;
    mod failures;
    mod life;
    mod metrics;
    mod orderly_end;
    mod parked;
    mod plain_server;
    mod runtimes;
    mod sign_ins;
}
mod store {
    #[cfg(unix)]
    mod file;
    #[cfg(unix)]
    mod file_processes;
    mod keyring;
    mod laws;
    mod newer_sign_ins;
    mod persistence;
    mod shared;
}
mod test_util;
mod threads;
