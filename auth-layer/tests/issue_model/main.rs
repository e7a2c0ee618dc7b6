//! A model check of the rotation protocol: the real decision, two tabs that share their storage, a
//! thief, and a network that loses, delays, repeats and reorders whatever is sent. All states up to
//! a depth are visited. The same search must find each of the faults planted below.
#![cfg(feature = "issue")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod world;

use std::collections::{HashSet, VecDeque};

use auth_layer::store::{Chain, Dead, Outcome, Rotation};
use world::{NO_KEY, NOW, State, THIEF};

type Decide = fn(&mut Chain, &Rotation) -> Result<Outcome, Dead>;

/// R1 to R4, R7 and R8 of the real decision.
#[test]
fn no_sequence_of_messages_breaks_an_invariant() {
    let visited = search(|chain, rotation| chain.rotate(rotation)).unwrap();
    assert!(visited > 9_000, "only {visited} states");
}

#[test]
fn a_fork_that_does_not_revoke_is_found() {
    assert_finds("R8", |chain, rotation| {
        let before = *chain;
        let outcome = chain.rotate(rotation);
        if outcome == Ok(Outcome::Forked) {
            *chain = before;
        }
        outcome
    });
}

#[test]
fn a_late_repeat_that_revokes_is_found() {
    assert_finds("R7", |chain, rotation| {
        let outcome = chain.rotate(rotation);
        if outcome == Ok(Outcome::Late) {
            chain.revoked_at = Some(NOW);
            return Ok(Outcome::Stale);
        }
        outcome
    });
}

#[test]
fn a_repeat_that_is_not_known_as_one_is_found() {
    assert_finds("R7", |chain, rotation| {
        let mut plain = rotation.clone();
        plain.keyed = false;
        chain.rotate(&plain)
    });
}

#[test]
fn a_repeat_that_brings_another_child_is_found() {
    assert_finds("R2", |chain, rotation| {
        if chain.previous == Some(rotation.presented) && chain.revoked_at.is_none() {
            return Ok(Outcome::Replayed);
        }
        chain.rotate(rotation)
    });
}

#[test]
fn a_second_live_token_is_found() {
    assert_finds("R1", |chain, rotation| {
        if chain.previous == Some(rotation.presented) && chain.revoked_at.is_none() {
            chain.current = rotation.child;
            return Ok(Outcome::Advanced);
        }
        chain.rotate(rotation)
    });
}

#[test]
fn a_revocation_that_does_not_last_is_found() {
    assert_finds("R3", |chain, rotation| {
        chain.revoked_at = None;
        chain.rotate(rotation)
    });
}

#[test]
fn a_reuse_that_is_told_twice_is_found() {
    assert_finds("R4", |chain, rotation| {
        let outcome = chain.rotate(rotation);
        let again = outcome == Err(Dead::Revoked) && chain.previous == Some(rotation.presented);
        if again { Ok(Outcome::Stale) } else { outcome }
    });
}

#[test]
fn a_generation_that_falls_is_found() {
    assert_finds("R3", |chain, rotation| {
        let outcome = chain.rotate(rotation);
        if outcome == Ok(Outcome::Late) {
            chain.generation -= 1;
        }
        outcome
    });
}

fn assert_finds(invariant: &str, fault: Decide) {
    let found = search(fault).unwrap_err();
    assert!(
        found.contains(invariant),
        "found {found:?} instead of {invariant}"
    );
}

/// How many states there are with a thief who sends keys, and with one who does not.
fn search(decide: Decide) -> Result<usize, String> {
    let mut visited = HashSet::new();
    let mut waiting = VecDeque::from([State::new(THIEF), State::new(NO_KEY)]);
    while let Some(state) = waiting.pop_front() {
        for next in state.successors(decide)? {
            if !visited.contains(&next) {
                next.check(decide)?;
                visited.insert(next.clone());
                waiting.push_back(next);
            }
        }
    }
    Ok(visited.len())
}
