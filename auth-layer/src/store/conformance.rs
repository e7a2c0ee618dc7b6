//! The laws of a [`SessionStore`], as functions: hold yours to them.
//!
//! Each panics where the store breaks it, and wants an empty store and a multi-threaded runtime with a
//! timer.
//!
//! ```
//! use auth_layer::store::{MemoryStore, conformance};
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! conformance::all(MemoryStore::new()).await;
//! # });
//! ```

mod crowd;
mod dice;
mod feed;
mod history;
mod list;
mod sign_in;
mod single;

pub use crowd::{
    a_kept_token_serves_all_who_prove_its_key, a_refused_rotation_is_not_carried_out,
    competing_keys_leave_one_child_and_a_revoked_session, repeats_of_one_refresh_get_one_child,
    revocation_wins_over_rotations,
};
pub use feed::{
    a_listener_that_starts_in_a_storm_misses_nothing, a_listener_that_was_away_catches_up,
    revocations_reach_whoever_listens,
};
pub use history::histories_follow_the_decision;
pub use list::a_list_names_the_newest_and_is_bounded;
pub use sign_in::{
    a_sign_in_that_began_before_a_revocation_is_refused, sign_ins_do_not_outrun_a_revocation,
};
pub use single::{
    a_dropped_rotation_is_whole_or_nothing, a_taken_id_harms_nobody,
    everything_of_a_session_comes_back, expired_sessions_go_in_bounded_batches,
};

use std::sync::Arc;

use futures_util::future::join_all;

use super::SessionStore;

/// All laws, one after the other, with 32 generated histories at once.
pub async fn all<S: SessionStore>(store: S) {
    let store = Arc::new(store);
    expired_sessions_go_in_bounded_batches(&*store).await;
    everything_of_a_session_comes_back(&*store).await;
    a_taken_id_harms_nobody(&*store).await;
    a_dropped_rotation_is_whole_or_nothing(&*store).await;
    a_list_names_the_newest_and_is_bounded(&store).await;
    a_sign_in_that_began_before_a_revocation_is_refused(&*store).await;
    sign_ins_do_not_outrun_a_revocation(&store).await;
    let histories = (0..32).map(|seed| histories_follow_the_decision(&*store, seed));
    join_all(histories).await;
    repeats_of_one_refresh_get_one_child(&store).await;
    competing_keys_leave_one_child_and_a_revoked_session(&store).await;
    revocation_wins_over_rotations(&store).await;
    a_kept_token_serves_all_who_prove_its_key(&store).await;
    a_refused_rotation_is_not_carried_out(&store).await;
    revocations_reach_whoever_listens(&store).await;
    a_listener_that_was_away_catches_up(&store).await;
    a_listener_that_starts_in_a_storm_misses_nothing(&store).await;
}
