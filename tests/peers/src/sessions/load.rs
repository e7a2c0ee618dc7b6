use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use auth_layer::clock::Timestamp;
use auth_layer::refresh_token::{SessionId, TokenHash};
use auth_layer::store::{CustomClaims, Outcome, Rotated, Rotation, Session, SessionStore};
use serde_json::json;
use tokio::task::JoinSet;

use crate::BoxError;
use crate::rounds;

/// A caller, and the sessions whose tokens it holds.
#[derive(Default)]
pub(crate) struct Seat {
    sessions: Vec<(SessionId, u64)>,
    dice: u64,
}

/// Signs in as many callers, each with a session of its own.
pub(crate) async fn sign_in<S: SessionStore>(
    store: &S,
    callers: usize,
) -> Result<Vec<Seat>, BoxError> {
    let mut seats = Vec::new();
    for _ in 0..callers {
        let session = session("caller");
        let id = session.id;
        store.insert(session, None).await?;
        seats.push(Seat::of([id]));
    }
    Ok(seats)
}

/// What an issuer would store: some scopes, a claim, a label.
pub(crate) fn session(subject: &str) -> Session {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&scattered(number).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    let lifetimes = (Duration::from_secs(14 * DAY), Duration::from_secs(90 * DAY));
    let mut session = Session::new(SessionId::from_bytes(id), subject, hash(0), NOW, lifetimes);
    session.scopes = "read write".parse().expect("these are scopes");
    session.claims = CustomClaims::new(&json!({ "role": "member" })).expect("not reserved");
    session.label = Some("Firefox on Linux".to_owned());
    session
}

/// Rotations per second while all seats call one after the other; each of them has to advance.
pub(crate) async fn rate<S: SessionStore + Clone>(
    store: &S,
    seats: &mut Vec<Seat>,
    turn: Duration,
) -> Result<f64, BoxError> {
    let begin = rounds::now();
    let mut tasks = JoinSet::new();
    for mut seat in seats.drain(..) {
        let store = store.clone();
        tasks.spawn(async move {
            let mut count = 0_u64;
            while begin.elapsed() < turn {
                seat.rotate(&store).await?;
                count += 1;
            }
            Ok::<_, BoxError>((seat, count))
        });
    }
    let mut total = 0;
    for done in tasks.join_all().await {
        let (seat, count) = done?;
        seats.push(seat);
        total += count;
    }
    Ok(total as f64 / begin.elapsed().as_secs_f64())
}

impl Seat {
    /// Holds the first tokens of these sessions.
    pub(crate) fn of(ids: impl IntoIterator<Item = SessionId>) -> Self {
        Self::holding(ids.into_iter().map(|id| (id, 0)))
    }

    /// Deals what these seats hold out to so many.
    pub(crate) fn deal(seats: &mut Vec<Self>, callers: usize) {
        let held: Vec<_> = seats.drain(..).flat_map(|seat| seat.sessions).collect();
        let share = |caller| Self::holding(held.iter().copied().skip(caller).step_by(callers));
        seats.extend((0..callers).map(share));
    }

    fn holding(sessions: impl IntoIterator<Item = (SessionId, u64)>) -> Self {
        let sessions: Vec<_> = sessions.into_iter().collect();
        let dice = sessions.len() as u64;
        Self { sessions, dice }
    }

    async fn rotate(&mut self, store: &impl SessionStore) -> Result<(), BoxError> {
        self.dice += 1;
        let chosen = scattered(self.dice) as usize % self.sessions.len();
        let (id, generation) = &mut self.sessions[chosen];
        let (presented, child) = (hash(*generation), hash(*generation + 1));
        let now = NOW.plus(Duration::from_millis(*generation));
        let mut rotation = Rotation::new(*id, *generation, presented, child, now);
        rotation.keyed = true;
        match store.rotate(rotation).await? {
            Rotated::Decided(Outcome::Advanced, _) => *generation += 1,
            other => return Err(format!("did not advance: {other:?}").into()),
        }
        Ok(())
    }
}

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: u64 = 24 * 3600;

/// What a store knows of the token of that generation.
fn hash(generation: u64) -> TokenHash {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&generation.to_be_bytes());
    TokenHash::from_bytes(bytes)
}

/// Neighbours end up far apart (the finalizer of splitmix64).
fn scattered(number: u64) -> u64 {
    let mut it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}
