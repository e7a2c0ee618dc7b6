//! Law C15: whatever the clocks do.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::manager::want::{Opening, Step, Want};

const MINUTE: Duration = Duration::from_secs(60);

/// What a request has to do at this moment.
#[derive(Debug, PartialEq)]
enum Deed {
    Send,
    SendAndRefresh,
    Refresh,
}

fn signed_in(tokens: TokenSet, now: Now) -> State {
    let mut state = State::new(Session::Empty);
    state.sign_in(tokens, now);
    state
}

fn deed(state: &State, now: Now) -> Deed {
    match state.open(state.epoch, now) {
        Ok(Opening::Use(Some(_))) => Deed::Send,
        Ok(Opening::UseAndRefresh(..)) => Deed::SendAndRefresh,
        Ok(Opening::Wait(_)) => Deed::Refresh,
        Ok(Opening::Use(None)) | Err(_) => panic!("somebody is signed in"),
    }
}

fn fifteen_minutes() -> TokenSet {
    TokenSet::new("access", "refresh").expires_in(15 * MINUTE)
}

/// A JWT that dies 15 minutes after `issued` by its issuer's clock.
fn jwt(issued: SystemTime) -> TokenSet {
    let since_epoch = issued.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let exp = (since_epoch + 15 * MINUTE).as_secs();
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{exp}}}"#));
    TokenSet::new(format!("e30.{claims}.c2ln"), "refresh")
}

fn with_wall(now: Now, wall: SystemTime) -> Now {
    Now { wall, ..now }
}

#[test]
fn a_laptop_that_slept_through_the_expiry_refreshes_on_wake() {
    let start = Now::read();
    let state = signed_in(fifteen_minutes(), start);
    let briefly = with_wall(start, start.wall + 5 * MINUTE);
    assert_eq!(deed(&state, briefly), Deed::Send);
    let woken = with_wall(start, start.wall + 60 * MINUTE);
    assert_eq!(deed(&state, woken), Deed::Refresh);
}

#[test]
fn a_wall_clock_that_is_set_back_neither_prolongs_a_token_nor_kills_it() {
    let start = Now::read();
    let state = signed_in(fifteen_minutes(), start);
    let set_back = |minutes| {
        let now = start.after(minutes * MINUTE);
        with_wall(now, now.wall - 24 * 60 * MINUTE)
    };
    assert_eq!(deed(&state, set_back(1)), Deed::Send);
    assert_eq!(deed(&state, set_back(13)), Deed::Send);
    assert_eq!(deed(&state, set_back(15)), Deed::Refresh);
}

#[test]
fn a_wall_clock_that_is_set_ahead_costs_one_refresh() {
    let start = Now::read();
    let mut state = signed_in(fifteen_minutes(), start);
    let ahead = with_wall(start, start.wall + 24 * 60 * MINUTE);
    assert_eq!(deed(&state, ahead), Deed::Refresh);
    let step = state.step(&mut Want::usable(state.epoch, state.generation), ahead);
    assert!(matches!(step, Step::Start(_)));
    let child = fifteen_minutes().with_generation(state.generation + 1);
    state.renew(child, ahead, true);
    assert_eq!(deed(&state, ahead), Deed::Send);
    assert_eq!(deed(&state, ahead.after(10 * MINUTE)), Deed::Send);
}

#[test]
fn a_server_whose_clock_is_wrong_is_read_by_its_own_date() {
    let start = Now::read();
    let skew = 20 * MINUTE;
    for server in [start.wall + skew, start.wall - skew] {
        let state = signed_in(jwt(server).dated(server), start);
        let phase = |minutes| deed(&state, start.after(minutes * MINUTE));
        assert_eq!(phase(13), Deed::Send);
        assert_eq!(phase(15), Deed::Refresh);
    }
}

/// Whoever waited for it sends it all the same, and the server decides.
#[test]
fn a_token_that_seems_dead_at_birth_is_used_by_those_who_waited_for_it() {
    let start = Now::read();
    let mut state = signed_in(fifteen_minutes(), start);
    let mut want = Want::newer_than(state.epoch, state.generation);
    assert!(matches!(state.step(&mut want, start), Step::Start(_)));
    // This machine is an hour ahead, and the answer had no date.
    let stillborn = jwt(start.wall - 60 * MINUTE).with_generation(state.generation + 1);
    state.renew(stillborn, start, true);
    assert!(matches!(
        state.step(&mut want, start),
        Step::Done(Ok(Some(_)))
    ));
}

#[test]
fn a_request_at_the_edge_of_a_window_is_in_it() {
    let start = Now::read();
    let state = signed_in(fifteen_minutes(), start);
    let phase = |seconds| deed(&state, start.after(Duration::from_secs(seconds)));
    // Jitter shortens the window of 60 seconds by up to a quarter.
    assert_eq!(phase(839), Deed::Send);
    assert_eq!(phase(855), Deed::SendAndRefresh);
    assert_eq!(phase(889), Deed::SendAndRefresh);
    assert_eq!(phase(890), Deed::Refresh);
}

/// Law C12: a request never waits for a refresh that may not start.
#[test]
fn absurd_lifetimes_are_used_within_the_budget() {
    let start = Now::read();
    for lifetime in [Duration::ZERO, Duration::MAX] {
        let tokens = || TokenSet::new("access", "refresh").expires_in(lifetime);
        let mut state = signed_in(tokens(), start);
        let mut refreshes = 0;
        for _ in 0..100 {
            let mut want = Want::usable(state.epoch, state.generation);
            if let Deed::Send = deed(&state, start) {
                continue;
            }
            match state.step(&mut want, start) {
                Step::Start(_) => {
                    refreshes += 1;
                    let child = tokens().with_generation(state.generation + 1);
                    state.renew(child, start, true);
                }
                step => assert!(matches!(step, Step::Done(Ok(Some(_))))),
            }
        }
        assert!(refreshes <= 5, "{refreshes} for {lifetime:?}");
    }
}
