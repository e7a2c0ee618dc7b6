//! A model check of the pair: the real issuer, with the real decision and real tokens, and two real
//! `TokenManager`s that share their storage; a thief; and a network that loses, delays, repeats and
//! reorders whatever is sent. Programs crash before and after each write. All states within the
//! bounds are visited, and the same search must find each of the faults planted below.
//!
//! Bounds: three generations of tokens, two programs, one thief (with keys or without), two tries
//! of a program in a row; any number of crashes, losses, delays and repeats. R6 is not here: how a
//! row is stored is a matter of each store.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod client;
mod message;
mod refused;
mod rules;
mod search;
mod server;
mod sign_in;
mod world;

use auth_layer::store::{Chain, Dead, Outcome, Rotation};
use message::Key;
use rules::Rules;
use search::search;

/// R1 to R5, R7 and R8 of the real parties.
#[test]
fn no_sequence_of_messages_and_crashes_breaks_an_invariant() {
    let visited = search(Rules::REAL).unwrap_or_else(|found| panic!("{found}"));
    println!("{visited:?}");
    assert!(visited.states > 500_000, "{visited:?}");
}

/// A token two generations old is taken for a late repeat, whatever child it asks for.
#[test]
fn a_late_repeat_whose_child_is_not_compared_with_the_previous_hash_is_found() {
    assert_finds("R8", |rules| {
        rules.decide = |chain, rotation| {
            let before = *chain;
            let is_late = chain.generation == rotation.generation + 2 && rotation.keyed;
            match chain.rotate(rotation) {
                Ok(Outcome::Stale) if is_late => {
                    *chain = before;
                    Ok(Outcome::Late)
                }
                outcome => outcome,
            }
        };
    });
}

/// Whoever brings the token before the newest may go on from it.
#[test]
fn a_live_previous_token_is_found() {
    assert_finds("R1", |rules| {
        rules.decide = |chain, rotation| {
            if chain.previous == Some(rotation.presented) && chain.revoked_at.is_none() {
                chain.current = rotation.child;
                return Ok(Outcome::Advanced);
            }
            chain.rotate(rotation)
        };
    });
}

#[test]
fn a_repeat_of_any_token_that_counts_as_honest_is_found() {
    assert_finds("R2", |rules| rules.decide = repeats_are_honest);
}

#[test]
fn a_fork_that_passes_unnoticed_is_found() {
    assert_finds("R8", |rules| {
        rules.decide = |chain, rotation| {
            let before = *chain;
            let outcome = chain.rotate(rotation);
            if outcome == Ok(Outcome::Forked) {
                *chain = before;
                return Ok(Outcome::Future);
            }
            outcome
        };
    });
}

#[test]
fn a_late_repeat_that_revokes_is_found() {
    assert_finds("R7", |rules| {
        rules.decide = |chain, rotation| {
            let outcome = chain.rotate(rotation);
            if outcome == Ok(Outcome::Late) {
                chain.revoked_at = Some(rotation.now);
                return Ok(Outcome::Stale);
            }
            outcome
        };
    });
}

#[test]
fn a_revocation_that_does_not_last_is_found() {
    assert_finds("R3", |rules| {
        rules.decide = |chain, rotation| {
            chain.revoked_at = None;
            chain.rotate(rotation)
        };
    });
}

#[test]
fn a_generation_that_falls_is_found() {
    assert_finds("R3", |rules| {
        rules.decide = |chain, rotation| {
            let outcome = chain.rotate(rotation);
            if outcome == Ok(Outcome::Late) {
                chain.generation -= 1;
            }
            outcome
        };
    });
}

#[test]
fn a_reuse_that_is_told_twice_is_found() {
    assert_finds("R4", |rules| {
        rules.decide = |chain, rotation| {
            let outcome = chain.rotate(rotation);
            let again = outcome == Err(Dead::Revoked) && chain.previous == Some(rotation.presented);
            if again { Ok(Outcome::Stale) } else { outcome }
        };
    });
}

/// The child of a repeat is a fresh one, as with tokens of pure chance: the honest are revoked.
#[test]
fn a_fresh_child_for_each_repeat_is_found() {
    assert_finds("R7", |rules| rules.keying = fresh);
}

/// Nor does it help to let repeats pass.
#[test]
fn a_fresh_child_for_each_repeat_that_is_let_pass_is_found() {
    assert_finds("R2", |rules| {
        rules.keying = fresh;
        rules.decide = repeats_are_honest;
    });
}

/// A server that does not read the header.
#[test]
fn a_key_that_is_ignored_is_found() {
    assert_finds("R7", |rules| rules.keying = |_, _| None);
}

/// A server that reads the header, but derives the same child from every key.
#[test]
fn a_key_that_does_not_reach_the_child_is_found() {
    assert_finds("R8", |rules| rules.keying = |_, _| Some(Key(1)));
}

#[test]
fn a_client_with_a_new_key_for_each_try_is_found() {
    assert_finds("R7", |rules| rules.repeats_keys = false);
}

#[test]
fn a_client_that_sends_before_the_key_is_stored_is_found() {
    assert_finds("R7", |rules| rules.keeps_keys = false);
}

#[test]
fn a_storage_that_replaces_what_the_client_has_not_seen_is_found() {
    assert_finds("R7", |rules| rules.keeps_newest = false);
}

fn repeats_are_honest(chain: &mut Chain, rotation: &Rotation) -> Result<Outcome, Dead> {
    if chain.previous == Some(rotation.presented) && chain.revoked_at.is_none() {
        return Ok(Outcome::Replayed);
    }
    chain.rotate(rotation)
}

fn fresh(key: Option<Key>, answers: usize) -> Option<Key> {
    let made_up = u8::try_from(answers).unwrap() + 100;
    if answers == 0 {
        key
    } else {
        Some(Key(made_up))
    }
}

fn assert_finds(invariant: &str, plant: impl FnOnce(&mut Rules)) {
    let mut rules = Rules::REAL;
    plant(&mut rules);
    let found = search(rules).unwrap_err();
    assert!(
        found.starts_with(invariant),
        "instead of {invariant}: {found}"
    );
}
