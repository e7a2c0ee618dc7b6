use std::time::Duration;

use super::*;
use crate::proof::{Freshness, MemoryReplays, ReplayStore as _};

fn remember(store: &MemoryReplays, proof: ProofUse) -> Freshness {
    store
        .remember(proof)
        .now()
        .unwrap_or_else(|_| panic!("it waits"))
}

#[test]
fn a_proof_is_known_until_it_is_too_old_and_forgotten_then() {
    let store = MemoryReplays::new();
    assert_eq!(remember(&store, proof_use(1, "a", NOW)), Freshness::Fresh);
    let at_the_end = NOW.plus(Duration::from_secs(65));
    let again = ProofUse::new(Thumbprint::of(&[1]), "a", at_the_end, at_the_end);
    assert_eq!(remember(&store, again), Freshness::Replayed);
    let after = at_the_end.plus(Duration::from_millis(1));
    assert_eq!(remember(&store, proof_use(1, "a", after)), Freshness::Fresh);
    assert!(format!("{store:?}").contains("len: 1"), "{store:?}");
}

#[test]
fn the_same_jti_of_another_key_is_another_proof() {
    let store = MemoryReplays::new();
    assert_eq!(remember(&store, proof_use(1, "a", NOW)), Freshness::Fresh);
    assert_eq!(remember(&store, proof_use(2, "a", NOW)), Freshness::Fresh);
    assert_eq!(
        remember(&store.clone(), proof_use(1, "a", NOW)),
        Freshness::Replayed
    );
}

#[test]
fn one_key_cannot_fill_the_store_and_gets_its_room_back() {
    let store = MemoryReplays::bounded(100, 3);
    for jti in ["a", "b", "c"] {
        assert_eq!(remember(&store, proof_use(1, jti, NOW)), Freshness::Fresh);
    }
    assert_eq!(
        remember(&store, proof_use(1, "d", NOW)),
        Freshness::OverQuota
    );
    assert_eq!(
        remember(&store, proof_use(1, "a", NOW)),
        Freshness::Replayed
    );
    assert_eq!(remember(&store, proof_use(2, "d", NOW)), Freshness::Fresh);
    let later = NOW.plus(Duration::from_secs(66));
    assert_eq!(remember(&store, proof_use(1, "d", later)), Freshness::Fresh);
}

#[test]
fn a_full_store_refuses_rather_than_forgets() {
    let store = MemoryReplays::bounded(4, 4);
    for key in 0..4 {
        assert_eq!(remember(&store, proof_use(key, "a", NOW)), Freshness::Fresh);
    }
    for key in 4..40 {
        assert_eq!(
            remember(&store, proof_use(key, "a", NOW)),
            Freshness::Unknown
        );
    }
    assert_eq!(
        remember(&store, proof_use(0, "a", NOW)),
        Freshness::Replayed
    );
    let later = NOW.plus(Duration::from_secs(66));
    for key in 4..8 {
        assert_eq!(
            remember(&store, proof_use(key, "a", later)),
            Freshness::Fresh
        );
    }
}

#[test]
fn of_many_at_once_with_one_proof_exactly_one_is_fresh_and_the_bound_holds() {
    let store = MemoryReplays::bounded(50, 50);
    let fresh = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| {
            scope.spawn(|| {
                let jtis = (0..100).map(|it| it.to_string());
                jtis.filter(|jti| remember(&store, proof_use(1, jti, NOW)) == Freshness::Fresh)
                    .count()
            })
        });
        threads
            .into_iter()
            .map(|it| it.join().unwrap())
            .sum::<usize>()
    });
    assert!((40..=50).contains(&fresh), "{fresh} of 100 in room for 50");
    assert!(
        format!("{store:?}").contains(&format!("len: {fresh}")),
        "{store:?}"
    );
}
