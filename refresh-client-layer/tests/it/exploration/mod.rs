//! Orders that nobody would think of: every suspension point of foreign code (store, token server,
//! API, callers) lasts a random while, and each run is checked against the laws about races.
//!
//! Single-threaded and with paused time, so that a seed is a run: `EXPLORE_SEED=17 cargo test -p
//! refresh-client-layer --test it exploration` repeats one. What several threads can do on top is
//! for `threads`.

mod chance;
mod plan;
mod server;
mod shelf;
mod stage;

use std::ops::Range;
use std::thread;

use plan::Plan;
use stage::{Report, Stage};
use tokio::runtime::{Builder, Runtime};

/// Laws C1 to C4, C8, C9 and C16.
#[test]
fn the_laws_hold_in_whatever_order_things_happen() {
    if let Ok(seed) = std::env::var("EXPLORE_SEED") {
        let report = explore(&runtime(), seed.parse().unwrap());
        println!("{report:#?}");
        return assert_eq!(report.faults, [""; 0]);
    }
    let threads = thread::available_parallelism().unwrap().get() as u64;
    let runs = match std::env::var_os("TEST_FULL") {
        Some(_) => 100_000,
        None => 8_000,
    };
    let share = runs / threads;
    let explorers =
        (0..threads).map(|it| thread::spawn(move || all_of(it * share..(it + 1) * share)));
    let seen = explorers.collect::<Vec<_>>().into_iter();
    let seen = seen.map(|explorer| explorer.join().unwrap());
    // Runs in which nothing happens prove nothing.
    let [refreshes, shared, endings] = seen.fold([0; 3], |sum, seen| {
        [sum[0] + seen[0], sum[1] + seen[1], sum[2] + seen[2]]
    });
    println!(
        "{refreshes} refreshes, {shared} runs in which several waited, {endings} sessions ended"
    );
    assert!(refreshes > runs && shared > runs / 10 && endings > runs / 10);
}

/// A store that says "saved" too soon, which is "published before it was stored".
#[test]
fn a_planted_fault_is_found() {
    let runtime = runtime();
    let lies = |seed| Plan {
        store_lies: true,
        ..Plan::of(seed)
    };
    let mut reports = (0..200).map(|seed| play(&runtime, lies(seed)));
    assert!(reports.any(|report| !report.faults.is_empty()));
}

#[test]
fn a_seed_repeats_its_run() {
    let runtime = runtime();
    for seed in 0..200 {
        let draws = [(); 2].map(|()| explore(&runtime, seed).draws);
        assert_eq!(draws[0], draws[1], "seed {seed}");
    }
}

fn all_of(seeds: Range<u64>) -> [u64; 3] {
    let runtime = runtime();
    let mut seen = [0; 3];
    for seed in seeds {
        let report = explore(&runtime, seed);
        let faults = report.faults;
        assert!(faults.is_empty(), "EXPLORE_SEED={seed}: {faults:#?}");
        seen[0] += report.refreshes;
        seen[1] += u64::from(report.is_shared);
        seen[2] += report.endings;
    }
    seen
}

fn explore(runtime: &Runtime, seed: u64) -> Report {
    play(runtime, Plan::of(seed))
}

fn play(runtime: &Runtime, plan: Plan) -> Report {
    runtime.block_on(async { Stage::new(plan).await.play().await })
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}
