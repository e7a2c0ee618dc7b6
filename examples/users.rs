use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use argon2::{Argon2, Block};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::oneshot;

/// Names and password hashes. Argon2 is slow on purpose and needs 19 MiB, so one thread for each core checks
/// passwords, always in the same memory, and a crowd that signs in waits for its turn.
#[derive(Clone)]
pub struct Users(mpsc::Sender<Check>);

struct Check {
    name: String,
    password: String,
    answer: oneshot::Sender<bool>,
}

struct User {
    name: &'static str,
    salt: [u8; 16],
    hash: Hash,
}

type Hash = [u8; 32];

impl Users {
    /// alice/wonderland and bob/builder.
    pub fn demo() -> Self {
        let mut hasher = Hasher::new();
        let mut user = |name, password: &str| {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).expect("the system gives random bytes");
            let hash = hasher.hash(password, &salt);
            User { name, salt, hash }
        };
        let users = Arc::new([user("alice", "wonderland"), user("bob", "builder")]);
        let (checks, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        for _ in 0..cores {
            let (users, queue) = (users.clone(), queue.clone());
            thread::spawn(move || work(&*users, &queue));
        }
        Self(checks)
    }

    /// Whether that is the password.
    pub async fn know(&self, name: String, password: String) -> bool {
        let (answer, answered) = oneshot::channel();
        let check = Check {
            name,
            password,
            answer,
        };
        // Without a thread to check it, no password is right.
        self.0.send(check).is_ok() && answered.await.unwrap_or(false)
    }
}

/// Checks passwords until the last [`Users`] is dropped.
fn work(users: &[User], queue: &Mutex<mpsc::Receiver<Check>>) {
    let mut hasher = Hasher::new();
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(check) = next() {
        // A caller that has gone needs no answer.
        if !check.answer.is_closed() {
            let is_right = hasher.knows(users, &check.name, &check.password);
            let _ = check.answer.send(is_right);
        }
    }
}

struct Hasher {
    argon2: Argon2<'static>,
    memory: Vec<Block>,
}

impl Hasher {
    fn new() -> Self {
        let argon2 = Argon2::default();
        let memory = vec![Block::default(); argon2.params().block_count()];
        Self { argon2, memory }
    }

    fn knows(&mut self, users: &[User], name: &str, password: &str) -> bool {
        let user = users.iter().find(|user| user.name == name);
        // An unknown name costs as much time as a known one.
        let User { salt, hash, .. } = user.unwrap_or(&users[0]);
        let found = self.hash(password, salt);
        user.is_some() && verify_slices_are_equal(&found, hash).is_ok()
    }

    fn hash(&mut self, password: &str, salt: &[u8]) -> Hash {
        let mut hash = Hash::default();
        let (password, memory) = (password.as_bytes(), &mut self.memory);
        let hashed = self
            .argon2
            .hash_password_into_with_memory(password, salt, &mut hash, memory);
        hashed.expect("the password is shorter than 4 GiB");
        hash
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users").finish_non_exhaustive()
    }
}
