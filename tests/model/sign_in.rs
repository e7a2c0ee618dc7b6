//! Two sign-ins and a change of the password, in each order of their steps: the real issuer and the store in memory.

use auth_layer::clock::ManualClock;
use auth_layer::issue::NewSession;
use auth_layer::store::{
    MemoryStore, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys, Timestamp, TokenIssuer};

use crate::server::NOW;

/// The log-in handlers of two devices, by number, and the handler that changes the password.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Reads the epoch, then checks the password.
    Begins(usize),
    Starts(usize),
    RevokesAll,
}

/// A store that may leave out the condition on the epoch.
#[derive(Clone)]
struct Store {
    memory: MemoryStore,
    asks_for_the_epoch: bool,
}

fn issuer(asks_for_the_epoch: bool) -> TokenIssuer {
    let key = SigningKey::from_secret(Algorithm::HS256, &[1; 32]).unwrap();
    let store = Store {
        memory: MemoryStore::new(),
        asks_for_the_epoch,
    };
    TokenIssuer::builder(
        SigningKeys::new(key),
        RefreshSecrets::new(&[2; 32]).unwrap(),
        store,
    )
    .issuer("https://auth.example")
    .audience("https://api.example")
    .clock(ManualClock::at(NOW))
    .without_cleanup()
    .build()
    .unwrap()
}

/// # Errors
/// The law that does not hold, and the order in which it does not.
async fn run(order: &[Step], asks_for_the_epoch: bool) -> Result<(), String> {
    let issuer = issuer(asks_for_the_epoch);
    let mut begun: [Option<NewSession>; 2] = [None, None];
    let mut is_outrun = [false; 2];
    for step in order {
        match *step {
            Step::Begins(device) => {
                begun[device] = Some(issuer.begin_sign_in("alice").await.unwrap());
            }
            Step::RevokesAll => {
                is_outrun = [0, 1].map(|device| begun[device].is_some());
                issuer.revoke_all("alice").await.unwrap();
            }
            Step::Starts(device) => {
                let is_started = issuer.start(begun[device].take().unwrap()).await.is_ok();
                if is_started == is_outrun[device] {
                    return Err(format!("R14: started: {is_started}, in {order:?}"));
                }
            }
        }
    }
    let alive = issuer.list("alice").await.unwrap().len();
    let expected = [0, 1]
        .iter()
        .filter(|it| !begins_before_the_change(order, **it))
        .count();
    (alive == expected)
        .then_some(())
        .ok_or_else(|| format!("R14: {alive} sessions, in {order:?}"))
}

/// Whether the sign-in of this device begins before the password is changed.
fn begins_before_the_change(order: &[Step], device: usize) -> bool {
    let position = |step| order.iter().position(|it| *it == step);
    position(Step::Begins(device)) < position(Step::RevokesAll)
}

/// Each order in which the steps can come.
fn orders() -> Vec<Vec<Step>> {
    fn extend(order: &[Step], all: &mut Vec<Vec<Step>>) {
        let mut is_whole = true;
        for step in [
            Step::Begins(0),
            Step::Starts(0),
            Step::Begins(1),
            Step::Starts(1),
            Step::RevokesAll,
        ] {
            let may_come = match step {
                Step::Starts(device) => order.contains(&Step::Begins(device)),
                _ => true,
            };
            if order.contains(&step) {
                continue;
            }
            is_whole = false;
            if may_come {
                extend(&[order, &[step]].concat(), all);
            }
        }
        if is_whole {
            all.push(order.to_vec());
        }
    }
    let mut all = Vec::new();
    extend(&[], &mut all);
    all
}

async fn search(asks_for_the_epoch: bool) -> Result<usize, String> {
    let orders = orders();
    for order in &orders {
        run(order, asks_for_the_epoch).await?;
    }
    Ok(orders.len())
}

/// R14.
#[tokio::test]
async fn no_sign_in_that_began_before_revoke_all_survives_it() {
    assert_eq!(search(true).await, Ok(30));
}

#[tokio::test]
async fn store_that_does_not_ask_for_the_epoch_is_found() {
    let found = search(false).await.unwrap_err();
    assert!(found.starts_with("R14"), "{found}");
}

impl SessionStore for Store {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        let epoch = epoch.filter(|_| self.asks_for_the_epoch);
        self.memory.insert(session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        self.memory.epoch(subject).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.memory.rotate(rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.memory.revoke(selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.memory.list(selection, now).await
    }
}
