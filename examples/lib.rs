//! Programs to start from; see `Cargo.toml` for the list.
