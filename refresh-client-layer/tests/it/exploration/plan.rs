use std::iter::repeat_n;

use super::chance::Chance;
use super::server::Rules;

/// What happens in one run, but for the order.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) chance: Chance,
    pub(crate) rules: Rules,
    pub(crate) managers: usize,
    pub(crate) is_plain: bool,
    pub(crate) store_lies: bool,
    pub(crate) actors: Vec<Actor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    Request,
    /// Goes away after a while.
    Deserter,
    Force,
    /// All tokens expire.
    Expiry,
    /// The server ends the first session.
    Revocation,
    SignOut,
    SignIn,
    /// Two seconds pass.
    Clock,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let is_storm = chance.one_in(8);
        let managers = if !is_storm && chance.one_in(4) { 2 } else { 1 };
        let is_plain = chance.one_in(4);
        let rules = Rules {
            senders: if is_plain { 1 } else { managers },
            loses_messages: !is_storm && chance.one_in(3),
            api_refuses_all: is_storm,
        };
        let has_users = managers == 1 && !is_storm && chance.one_in(2);
        let is_revoked = has_users && chance.one_in(4);
        let mut actors = vec![Actor::Request, Actor::Request];
        for (actor, most, may_be) in [
            (Actor::Request, 3, true),
            (Actor::Deserter, 2, true),
            (Actor::Request, 6, is_storm),
            (Actor::Force, 1, !is_storm),
            (Actor::Expiry, 2, !is_storm),
            (Actor::Clock, 2, rules.loses_messages),
            (Actor::SignOut, 1, has_users),
            (Actor::SignIn, 2, has_users),
            (Actor::Revocation, 1, is_revoked),
        ] {
            if may_be {
                actors.extend(repeat_n(actor, chance.below(most + 1)));
            }
        }
        Self {
            chance,
            rules,
            managers,
            is_plain,
            store_lies: false,
            actors,
        }
    }

    pub(crate) fn count(&self, actor: Actor) -> usize {
        self.actors.iter().filter(|it| **it == actor).count()
    }

    pub(crate) fn has(&self, actor: Actor) -> bool {
        self.actors.contains(&actor)
    }
}
