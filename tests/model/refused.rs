//! A plain client, which sends no idempotency key, and a server whose store is slow: some requests are refused with 503 before
//! the store has come to them, and the client sends the same token again.

use std::collections::HashSet;

use auth_layer::store::Chain;

use crate::message::{Answer, Token};
use crate::server::{Row, Server};

const DEEPEST: u8 = 2;
/// As many requests as may wait for the store.
const MOST_QUEUED: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    row: Row,
    token: Token,
    is_waiting: bool,
    /// What waits for the store, and whether its caller still waits for the answer.
    queued: Vec<(Token, bool)>,
}

/// Visits all states and counts them.
///
/// # Errors
/// The law that does not hold.
fn search(withdraws: bool) -> Result<usize, String> {
    let mut server = Server::new(Chain::rotate);
    let mut known = HashSet::new();
    let mut open = vec![State {
        row: Server::FIRST_ROW,
        token: Server::FIRST_TOKEN,
        is_waiting: false,
        queued: Vec::new(),
    }];
    while let Some(state) = open.pop() {
        if !known.insert(state.clone()) {
            continue;
        }
        open.extend(sends(&state));
        open.extend(refuses(&state, withdraws));
        open.extend(carries_out(&mut server, &state)?);
    }
    Ok(known.len())
}

fn sends(state: &State) -> Option<State> {
    let may_send =
        !state.is_waiting && state.token.generation < DEEPEST && state.queued.len() < MOST_QUEUED;
    may_send.then(|| {
        let mut next = state.clone();
        next.is_waiting = true;
        next.queued.push((state.token, true));
        next
    })
}

fn refuses(state: &State, withdraws: bool) -> Option<State> {
    let at = state
        .queued
        .iter()
        .position(|(_, is_waited_for)| *is_waited_for)?;
    let mut next = state.clone();
    next.is_waiting = false;
    if withdraws {
        next.queued.remove(at);
    } else {
        next.queued[at].1 = false;
    }
    Some(next)
}

fn carries_out(server: &mut Server, state: &State) -> Result<Option<State>, String> {
    let mut next = state.clone();
    if next.queued.is_empty() {
        return Ok(None);
    }
    let (token, is_waited_for) = next.queued.remove(0);
    let handled = server.handle(state.row, (token, None));
    next.row = handled.row;
    if handled.tells_reuse {
        return Err(format!(
            "R13: an honest repeat counts as reuse, after {state:?}"
        ));
    }
    if is_waited_for {
        next.is_waiting = false;
        match handled.answer {
            Answer::Child(child) => next.token = child,
            answer => return Err(format!("R13: {answer:?} for an honest client")),
        }
    }
    Ok(Some(next))
}

/// R13.
#[test]
fn no_honest_repeat_of_a_refused_request_counts_as_reuse() {
    let states = search(true).unwrap_or_else(|found| panic!("{found}"));
    assert!(states >= 5, "{states}");
}

#[test]
fn rotation_that_is_carried_out_after_its_caller_was_refused_is_found() {
    let found = search(false).unwrap_err();
    assert!(found.starts_with("R13"), "{found}");
}
