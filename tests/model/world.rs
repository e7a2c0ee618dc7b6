//! All that can happen: what the parties know, and what each may do next.

use crate::client::{Clients, Tab, Told, Verdict, Whose, Wish};
use crate::message::{Answer, Kept, Key, Numbers, Request, Set, Token};
use crate::rules::Rules;
use crate::server::{Row, Server};

/// Deep enough for every outcome: the oldest of three tokens is late or stale.
const DEEPEST: u8 = 2;
/// How often a program tries in vain before it can only be started again.
const TRIES: usize = 2;

/// Everything at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    row: Row,
    reuses: u8,
    logged_out: bool,
    /// The durable storage that the programs share.
    storage: Option<Kept>,
    /// In order, as it does not matter which is which.
    programs: [Program; 2],
    /// How many keys the owner's programs have drawn.
    drawn: u8,
    /// The key that the thief makes up, if any: not the owner's.
    thief_key: Option<Key>,
    thief: Set,
    /// Whatever was ever sent may arrive at any time, any number of times, or never.
    requests: Set,
    answers: Set,
}

/// A tab or a process of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Program {
    tab: Tab,
    /// The key that it drew and that only it knows: none, unless a fault is planted.
    own: Option<u8>,
}

/// What happens between one state and the next.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "read by whoever reads a counterexample")]
pub(crate) enum Step {
    Starts,
    IsWanted(usize),
    Stores(usize, Wish),
    Hears(usize, Answer),
    HearsNothing(usize),
    Crashes(usize),
    ThiefSteals(Token),
    ThiefSends(Token),
    ThiefHears(Token),
    OwnerLogsOut,
    ServerHandles(Request),
}

/// The parties, and what they have named.
pub(crate) struct World {
    rules: Rules,
    pub(crate) server: Server,
    pub(crate) clients: Clients,
    tokens: Numbers<Token>,
    requests: Numbers<Request>,
    answers: Numbers<(Request, Answer)>,
}

type Next = Vec<(Step, State)>;

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            server: Server::new(rules.decide),
            clients: Clients::new(),
            tokens: Numbers::new(),
            requests: Numbers::new(),
            answers: Numbers::new(),
        }
    }

    /// With a thief who sends keys, and with one who does not.
    pub(crate) fn beginnings(&self) -> [State; 2] {
        [Some(Key::THIEF), None].map(|thief_key| State {
            row: Server::FIRST_ROW,
            reuses: 0,
            logged_out: false,
            storage: Some(Kept {
                token: Server::FIRST_TOKEN,
                key: None,
            }),
            programs: [Program::CLOSED; 2],
            drawn: 0,
            thief_key,
            thief: Set::default(),
            requests: Set::default(),
            answers: Set::default(),
        })
    }

    pub(crate) fn successors(&mut self, state: &State) -> Result<Next, String> {
        let mut next = Vec::new();
        // Once the session is revoked, all that matters is that the server keeps it so.
        if !self.server.is_revoked(state.row) {
            for program in 0..state.programs.len() {
                self.program_goes_on(state, program, &mut next);
            }
            self.thief_goes_on(state, &mut next);
            next.push(self.owner_logs_out(state));
        }
        for request in self.requests(state.requests) {
            let step = Step::ServerHandles(request);
            next.push((step, self.server_handles(state, request)?));
        }
        next.iter_mut().for_each(|(_, it)| it.programs.sort());
        Ok(next)
    }

    fn program_goes_on(&mut self, state: &State, at: usize, next: &mut Next) {
        let tab = state.programs[at].tab;
        let does = self.clients.does(tab);
        match does.wish {
            None if self.may_want(state, tab) => {
                let wanted = self.tell(*state, at, Told::Wanted);
                next.push((Step::IsWanted(at), wanted));
            }
            None => {}
            Some(Wish::Send(token, whose)) => {
                let request = (token, state.programs[at].key(whose, self.rules));
                for (answered, answer) in self.answers(state.answers) {
                    if answered == request {
                        let heard = self.tell(*state, at, Told::Answered(answer));
                        next.push((Step::Hears(at, answer), heard));
                    }
                }
                let tired = self.tell(*state, at, Told::Silence);
                next.push((Step::HearsNothing(at), tired));
            }
            Some(wish) => {
                let mut stored = *state;
                let told = stored.store(wish, self.rules);
                next.push((Step::Stores(at, wish), self.tell(stored, at, told)));
            }
        }
        if tab != Tab::CLOSED {
            let mut crashed = *state;
            crashed.programs[at] = Program::CLOSED;
            next.push((Step::Crashes(at), crashed));
        }
    }

    fn may_want(&self, state: &State, tab: Tab) -> bool {
        let token = match self.clients.does(tab).verdict {
            Some(Verdict::Ended) => None,
            Some(Verdict::Good(token)) => Some(token),
            Some(Verdict::Unavailable) | None => state.storage.map(|it| it.token),
        };
        token.is_some_and(|it| it.generation < DEEPEST) && self.clients.tries(tab) < TRIES
    }

    /// What it sends then is on its way at once: it may be lost, as in a crash just before.
    fn tell(&mut self, mut state: State, at: usize, told: Told) -> State {
        let program = &mut state.programs[at];
        program.tab = self.clients.tell(program.tab, told);
        let does = self.clients.does(program.tab);
        if let Some(Wish::Send(token, whose)) = does.wish {
            let draws = whose == Whose::Own && program.own.is_none();
            if draws || !self.rules.repeats_keys {
                state.drawn += 1;
                program.own = Some(state.drawn);
            }
            let request = (token, program.key(whose, self.rules));
            if token.generation < DEEPEST {
                state.requests = self.requests.set(state.requests, request);
            }
        } else if does.wish.is_none() && matches!(does.verdict, Some(Verdict::Good(_))) {
            program.own = None;
        }
        state
    }

    fn thief_goes_on(&mut self, state: &State, next: &mut Next) {
        let mut learns = |token: Token, step: Step| {
            let thief = self.tokens.set(state.thief, token);
            if token.generation < DEEPEST && thief != state.thief {
                next.push((step, State { thief, ..*state }));
            }
        };
        if let Some(kept) = state.storage {
            learns(kept.token, Step::ThiefSteals(kept.token));
        }
        for ((_, key), answer) in self.answers.members(state.answers) {
            if let (true, Answer::Child(child)) = (key == state.thief_key, answer) {
                learns(child, Step::ThiefHears(child));
            }
        }
        for token in self.tokens.members(state.thief) {
            let request = (token, state.thief_key);
            let requests = self.requests.set(state.requests, request);
            if requests != state.requests {
                next.push((Step::ThiefSends(token), State { requests, ..*state }));
            }
        }
    }

    fn owner_logs_out(&mut self, state: &State) -> (Step, State) {
        let mut next = *state;
        next.row = self.server.log_out(state.row);
        next.logged_out = true;
        (Step::OwnerLogsOut, next)
    }

    fn server_handles(&mut self, state: &State, request: Request) -> Result<State, String> {
        let (token, key) = request;
        let earlier = self.answers.members(state.answers);
        let earlier: Vec<_> = earlier.filter(|((it, _), _)| *it == token).collect();
        let derived = (self.rules.keying)(key, earlier.len());
        let handled = self.server.handle(state.row, (token, derived));
        let another = earlier.iter().any(|(_, answer)| {
            matches!((answer, handled.answer), (Answer::Child(one), Answer::Child(other)) if *one != other)
        });
        if another {
            return Err("R2: a second child for one parent".to_owned());
        }
        let (before, after) = (self.server.chain(state.row), self.server.chain(handled.row));
        if before.revoked_at.is_some() && after.revoked_at.is_none() {
            return Err("R3: what was revoked came back".to_owned());
        }
        if after.generation < before.generation {
            return Err("R3: a generation fell".to_owned());
        }
        let mut next = *state;
        next.row = handled.row;
        next.reuses += u8::from(handled.tells_reuse);
        next.answers = self.answers.set(state.answers, (request, handled.answer));
        Ok(next)
    }

    pub(crate) fn check(&mut self, state: &State) -> Result<(), String> {
        if self.live_tokens(state) > 1 {
            return Err("R1: two live tokens".to_owned());
        }
        if state.reuses > 1 {
            return Err("R4: reuse was told twice".to_owned());
        }
        if self.forgery_matters(state) {
            return Err("R5: a forged token changed something".to_owned());
        }
        if state.thief.is_empty() && !state.logged_out && !self.goes_on(state) {
            return Err("R7: an honest client was signed out".to_owned());
        }
        if self.both_used_one_token(state) && !self.server.is_revoked(state.row) {
            return Err("R8: a thief and the owner both go on".to_owned());
        }
        Ok(())
    }

    fn live_tokens(&mut self, state: &State) -> usize {
        let sent = self.requests(state.requests).into_iter().map(|it| it.0);
        let mut known: Vec<Token> = sent.chain(self.tokens.members(state.thief)).collect();
        known.extend(state.storage.map(|it| it.token));
        known.sort_by_key(|it| it.name);
        known.dedup();
        let mut advances = |token: &Token| {
            let probe = (*token, Some(PROBE));
            self.server.handle(state.row, probe).advances
        };
        known.iter().filter(|it| advances(it)).count()
    }

    fn forgery_matters(&mut self, state: &State) -> bool {
        let Some(kept) = state.storage else {
            return false;
        };
        let handled = self.server.handle_forged(state.row, kept.token);
        handled.row != state.row || handled.tells_reuse || handled.answer != Answer::InvalidGrant
    }

    /// Nobody is signed out, and a program that starts now, on a network that works, gets a token.
    fn goes_on(&mut self, state: &State) -> bool {
        let mut verdicts = state.programs.iter().map(|it| self.clients.does(it.tab));
        if verdicts.any(|it| it.verdict == Some(Verdict::Ended)) {
            return false;
        }
        let mut later = *state;
        later.programs[0] = Program::CLOSED;
        later = self.tell(later, 0, Told::Wanted);
        while let Some(wish) = self.clients.does(later.programs[0].tab).wish {
            let told = match wish {
                Wish::Send(token, whose) => {
                    let key = later.programs[0].key(whose, self.rules);
                    let handled = self.server.handle(later.row, (token, key));
                    later.row = handled.row;
                    Told::Answered(handled.answer)
                }
                wish => later.store(wish, self.rules),
            };
            later = self.tell(later, 0, told);
        }
        let does = self.clients.does(later.programs[0].tab);
        matches!(does.verdict, Some(Verdict::Good(_)))
    }

    fn both_used_one_token(&self, state: &State) -> bool {
        let answered = || self.answers.members(state.answers).map(|it| it.0);
        let thiefs = |it: &Request| it.1 == state.thief_key;
        let mut stolen = answered().filter(thiefs);
        stolen.any(|theirs| answered().any(|it| !thiefs(&it) && it.0 == theirs.0))
    }

    fn requests(&self, set: Set) -> Vec<Request> {
        self.requests.members(set).collect()
    }

    fn answers(&self, set: Set) -> Vec<(Request, Answer)> {
        self.answers.members(set).collect()
    }
}

/// A key that nobody sends.
const PROBE: Key = Key(250);

impl Program {
    const CLOSED: Self = Self {
        tab: Tab::CLOSED,
        own: None,
    };

    fn key(&self, whose: Whose, rules: Rules) -> Option<Key> {
        match whose {
            Whose::Nobodys => None,
            Whose::Stored(key) if rules.repeats_keys => Some(key),
            Whose::Stored(_) | Whose::Own => self.own.map(Key),
        }
    }
}

impl State {
    /// Does what a program asks of the storage.
    fn store(&mut self, wish: Wish, rules: Rules) -> Told {
        match wish {
            Wish::Load => Told::Kept(self.storage),
            Wish::Replace { seen, new } => {
                if self.storage != seen && rules.keeps_newest {
                    return Told::Kept(self.storage);
                }
                let kept = new.map(|new| Kept {
                    token: new.token,
                    key: new.is_keyed.then(|| self.draw()),
                });
                if rules.keeps_keys || kept.is_none_or(|kept| kept.key.is_none()) {
                    self.storage = kept;
                }
                Told::Kept(kept)
            }
            Wish::Send(..) => unreachable!("that is not for the storage"),
        }
    }

    fn draw(&mut self) -> Key {
        self.drawn += 1;
        Key(self.drawn)
    }
}
