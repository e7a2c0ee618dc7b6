//! Every row of the table. The model check (R1 to R5, R7, R8) is in the package `tests`, generated
//! histories (R1 to R6) are in the conformance suite.

use super::*;
use crate::store::{Rotated, Session};

const NOW: Timestamp = Timestamp::from_secs(1_000);
const IDLE: Duration = Duration::from_secs(60);
const ABSOLUTE: Duration = Duration::from_secs(100);
const SESSION: SessionId = SessionId::from_bytes([1; 16]);

/// A chain at generation 2: the tokens 0 and 1 were rotated, 2 is the newest.
fn chain() -> Chain {
    let mut chain = Chain::new(hash(0), NOW, IDLE, ABSOLUTE);
    for generation in 0..2 {
        let advance = presented(generation, generation as u8, generation as u8 + 1);
        assert_eq!(chain.rotate(&advance), Ok(Outcome::Advanced));
    }
    chain
}

fn hash(byte: u8) -> TokenHash {
    TokenHash::from_bytes([byte; 32])
}

fn presented(generation: u64, token: u8, child: u8) -> Rotation {
    let mut rotation = Rotation::new(SESSION, generation, hash(token), hash(child), NOW);
    rotation.idle = IDLE;
    rotation
}

fn keyed(generation: u64, token: u8, child: u8) -> Rotation {
    let mut rotation = presented(generation, token, child);
    rotation.keyed = true;
    rotation
}

fn later(mut rotation: Rotation, by: u64) -> Rotation {
    rotation.now = rotation.now.plus(Duration::from_secs(by));
    rotation
}

#[test]
fn the_newest_token_advances_and_the_idle_deadline_moves_up_to_the_absolute_one() {
    let mut chain = chain();
    assert_eq!(
        chain.rotate(&later(presented(2, 2, 3), 30)),
        Ok(Outcome::Advanced)
    );
    assert_eq!(
        (chain.generation, chain.current, chain.previous),
        (3, hash(3), Some(hash(2)))
    );
    assert_eq!(chain.idle_expires_at, NOW.plus(Duration::from_secs(90)));
    assert_eq!(
        chain.rotate(&later(presented(3, 3, 4), 80)),
        Ok(Outcome::Advanced)
    );
    assert_eq!(chain.idle_expires_at, NOW.plus(ABSOLUTE));
}

#[test]
fn a_repeat_with_its_key_gets_the_same_child_at_any_time_and_changes_nothing() {
    let mut chain = chain();
    let before = chain;
    assert_eq!(
        chain.rotate(&later(keyed(1, 1, 2), 59)),
        Ok(Outcome::Replayed)
    );
    assert_eq!(chain, before);
}

#[test]
fn a_plain_repeat_gets_the_same_child_within_the_leeway_only() {
    let mut repeat = presented(1, 1, 2);
    repeat.repeat_leeway = Duration::from_secs(5);
    assert_eq!(
        chain().rotate(&later(repeat.clone(), 5)),
        Ok(Outcome::Replayed)
    );
    assert_eq!(chain().rotate(&later(repeat, 6)), Ok(Outcome::Forked));
    assert_eq!(
        chain().rotate(&later(presented(1, 1, 2), 1)),
        Ok(Outcome::Forked)
    );
}

#[test]
fn a_keyed_repeat_that_was_overtaken_is_late_and_revokes_nothing() {
    let mut chain = chain();
    assert_eq!(chain.rotate(&keyed(0, 0, 1)), Ok(Outcome::Late));
    assert_eq!(chain.revoked_at, None);
}

#[test]
fn a_second_child_is_a_fork_and_revokes() {
    let mut chain = chain();
    assert_eq!(chain.rotate(&keyed(1, 1, 9)), Ok(Outcome::Forked));
    assert_eq!(chain.revoked_at, Some(NOW));
    assert_eq!(chain.rotate(&keyed(1, 1, 9)), Err(Dead::Revoked));
}

#[test]
fn an_old_token_is_stale_and_revokes_with_a_key_or_without() {
    for rotation in [presented(0, 0, 1), keyed(0, 0, 9), presented(1, 9, 2)] {
        let mut chain = chain();
        assert_eq!(chain.rotate(&rotation), Ok(Outcome::Stale), "{rotation:?}");
        assert_eq!(chain.revoked_at, Some(NOW));
    }
}

#[test]
fn a_token_that_the_store_has_never_seen_revokes_nothing() {
    for rotation in [presented(3, 3, 4), presented(2, 9, 3)] {
        let mut chain = chain();
        assert_eq!(chain.rotate(&rotation), Ok(Outcome::Future), "{rotation:?}");
        assert_eq!(chain.revoked_at, None);
    }
}

#[test]
fn past_a_deadline_nothing_is_decided_any_more() {
    assert_eq!(
        chain().rotate(&later(presented(2, 2, 3), 60)),
        Err(Dead::Expired)
    );
    assert_eq!(
        chain().rotate(&later(presented(0, 0, 1), 60)),
        Err(Dead::Expired)
    );
    let mut chain = chain();
    assert_eq!(
        chain.rotate(&later(presented(2, 2, 3), 59)),
        Ok(Outcome::Advanced)
    );
    assert_eq!(
        chain.rotate(&later(presented(3, 3, 4), 100)),
        Err(Dead::Expired)
    );
}

#[test]
fn a_kept_token_stays_the_newest_and_moves_the_idle_deadline_alone() {
    let mut chain = chain();
    let before = chain;
    assert_eq!(
        chain.keep(&later(presented(2, 2, 3), 30)),
        Ok(Outcome::Kept)
    );
    assert_eq!(chain.idle_expires_at, NOW.plus(Duration::from_secs(90)));
    chain.idle_expires_at = before.idle_expires_at;
    assert_eq!(chain, before);
    assert_eq!(
        chain.keep(&later(presented(2, 2, 3), 59)),
        Ok(Outcome::Kept)
    );
    assert_eq!(chain.idle_expires_at, NOW.plus(ABSOLUTE));
}

/// A theft from the time when tokens were replaced.
#[test]
fn where_the_newest_token_is_kept_older_ones_are_judged_as_ever() {
    for (rotation, outcome) in [
        (keyed(1, 1, 2), Outcome::Replayed),
        (keyed(1, 1, 9), Outcome::Forked),
        (keyed(0, 0, 1), Outcome::Late),
        (presented(0, 0, 1), Outcome::Stale),
        (presented(3, 3, 4), Outcome::Future),
    ] {
        assert_eq!(chain().keep(&rotation), Ok(outcome));
    }
}

#[test]
fn a_session_that_is_bound_to_a_key_is_dead_without_it() {
    let [owner, thief] = [1, 2].map(|it| Thumbprint::from_bytes([it; 32]));
    let mut session = Session::new(SESSION, "alice", hash(0), NOW, (IDLE, ABSOLUTE));
    session.jkt = Some(owner);
    let mut rotate = |jkt| {
        let mut rotation = presented(0, 0, 1);
        rotation.jkt = jkt;
        session.rotate(&rotation)
    };
    assert_eq!(rotate(None), Rotated::Dead(Dead::Unproved));
    assert_eq!(rotate(Some(thief)), Rotated::Dead(Dead::OtherKey));
    assert!(matches!(
        rotate(Some(owner)),
        Rotated::Decided(Outcome::Advanced, _)
    ));
}

#[test]
fn only_a_bound_session_keeps_its_token() {
    let mut session = Session::new(SESSION, "alice", hash(0), NOW, (IDLE, ABSOLUTE));
    let mut rotation = presented(0, 0, 1);
    rotation.keep_bound = true;
    rotation.jkt = Some(Thumbprint::from_bytes([1; 32]));
    assert!(matches!(
        session.rotate(&rotation),
        Rotated::Decided(Outcome::Advanced, _)
    ));
}
