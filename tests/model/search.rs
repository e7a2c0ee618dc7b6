use std::collections::HashSet;

use crate::rules::Rules;
use crate::world::{State, Step, World};

/// How much there was to see.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
pub(crate) struct Visited {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    pub(crate) stories_of_a_manager: usize,
    pub(crate) requests_to_the_issuer: usize,
}

/// Visits all states, the nearest first.
///
/// # Errors
/// The invariant that does not hold, and the shortest way there.
pub(crate) fn search(rules: Rules) -> Result<Visited, String> {
    let mut world = World::new(rules);
    let mut found = Vec::new();
    let mut known = HashSet::new();
    for state in world.beginnings() {
        known.insert(state);
        found.push((state, Step::Starts, found.len()));
    }
    let (mut at, mut transitions) = (0, 0);
    while let Some((state, ..)) = found.get(at).copied() {
        let next = world.successors(&state);
        for (step, state) in next.map_err(|what| way(&found, at, &what))? {
            transitions += 1;
            if known.insert(state) {
                found.push((state, step, at));
                let checked = world.check(&state);
                checked.map_err(|what| way(&found, found.len() - 1, &what))?;
            }
        }
        at += 1;
    }
    Ok(Visited {
        states: found.len(),
        transitions,
        stories_of_a_manager: world.clients.cases(),
        requests_to_the_issuer: world.server.cases(),
    })
}

fn way(found: &[(State, Step, usize)], mut at: usize, what: &str) -> String {
    let mut steps = Vec::new();
    while found[at].2 != at {
        steps.push(format!("{:?}", found[at].1));
        at = found[at].2;
    }
    steps.reverse();
    format!("{what}, after\n  {}", steps.join("\n  "))
}
