//! The library through its public interface, one module a topic. Tests that need a server say which in
//! their `ignore`; `tests/run test` starts the servers and runs them too.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

mod dpop {
    mod layer;
    mod mtls;
    mod proof;
    mod replay;
}
mod endpoint {
    mod clients;
    mod cookies;
    mod errors;
    mod fuzz;
    mod introspection;
    mod limits;
    mod pairs;
    mod sessions;
    mod sessions_bound;
}
mod feed;
mod issue {
    mod background;
    mod bound;
    mod claims;
    mod metrics;
    mod races;
    mod rotation;
    mod sessions;
    mod tokens;
}
mod jwks {
    mod discovery;
    mod http;
    mod life;
    mod misses;
    mod requests;
}
mod protect {
    mod contract;
    mod cookies;
    mod grpc;
    mod http;
    mod metrics;
    mod preflight;
    mod rules;
    mod waiting;
}
mod store {
    mod laws;
    mod pooler;
    mod redis_setups;
    mod work;
}
