use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

/// Names and password hashes.
#[derive(Clone)]
pub struct Users(Arc<[(&'static str, String)]>);

impl Users {
    /// alice/wonderland and bob/builder.
    pub fn demo() -> Self {
        let hash = |(name, password): (&'static str, &str)| {
            let hash = Argon2::default().hash_password(password.as_bytes());
            (name, hash.map(|it| it.to_string()).unwrap_or_default())
        };
        Self(
            [("alice", "wonderland"), ("bob", "builder")]
                .map(hash)
                .into(),
        )
    }

    /// Whether that is the password. It takes its time: Argon2 is slow on purpose.
    pub fn know(&self, name: &str, password: &str) -> bool {
        let known = self.0.iter().find(|(known, _)| *known == name);
        // A stranger costs as much time as a friend.
        let (_, hash) = known.unwrap_or(&self.0[0]);
        let is_right = PasswordHash::new(hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        known.is_some() && is_right
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}
