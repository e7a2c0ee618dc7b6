use std::error::Error;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys};
use aws_lc_rs::hkdf;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What only the issuer may know.
#[derive(Debug)]
pub struct Keys {
    pub(crate) signing: SigningKeys,
    pub(crate) refresh: RefreshSecrets,
    others: hkdf::Prk,
}

impl Keys {
    /// Keys that die with the process.
    ///
    /// # Errors
    /// When there is no such key, or no randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Box<dyn Error>> {
        KeyFile::generate(algorithm)?.open()
    }

    /// The keys of the file, which is made, readable by its owner only, if it is missing.
    ///
    /// # Errors
    /// A sentence when the file cannot be used.
    pub fn open_or_create(path: &Path, algorithm: Algorithm) -> Result<Self, Box<dyn Error>> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                KeyFile::create(path, algorithm)?;
                fs::read(path)
            }
            text => text,
        };
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let file: KeyFile = serde_json::from_slice(&text).map_err(|_| {
            let path = path.display();
            format!("{path} is damaged: restore it, or all tokens are lost")
        })?;
        if file.algorithm.parse() != Ok(algorithm) {
            let path = path.display();
            return Err(format!("{path} has a key for --alg {}", file.algorithm).into());
        }
        file.open()
    }

    /// A secret for another purpose, which tells nothing of these (RFC 5869).
    ///
    /// # Errors
    /// Never, if HKDF works.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, Box<dyn Error>> {
        let mut secret = Zeroizing::new([0; 32]);
        let info = [purpose.as_bytes()];
        let okm = self.others.expand(&info, hkdf::HKDF_SHA256);
        okm.and_then(|it| it.fill(&mut *secret))?;
        Ok(secret)
    }
}

#[derive(Deserialize, Serialize)]
struct KeyFile {
    algorithm: String,
    /// PEM; for an HMAC hexadecimal digits.
    signing_key: String,
    /// Hexadecimal digits.
    refresh_secret: String,
}

impl KeyFile {
    fn generate(algorithm: Algorithm) -> Result<Self, Box<dyn Error>> {
        let signing_key = match is_hmac(algorithm) {
            true => crate::hex(&crate::random()?),
            false => SigningKey::generate_pem(algorithm)?.to_string(),
        };
        let refresh_secret = crate::hex(&crate::random()?);
        Ok(Self {
            algorithm: algorithm.to_string(),
            signing_key,
            refresh_secret,
        })
    }

    /// Writes a file with new keys, unless another server has just done so.
    fn create(path: &Path, algorithm: Algorithm) -> Result<(), Box<dyn Error>> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        let keys = Self::generate(algorithm)?;
        let cannot = |error| format!("cannot write {}: {error}", path.display());
        // Created with mode 0600 under a random name, and in place only once it is whole.
        let mut file =
            tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(cannot)?;
        file.write_all(&serde_json::to_vec_pretty(&keys)?)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(other) if other.error.kind() != ErrorKind::AlreadyExists => {
                Err(cannot(other.error).into())
            }
            _ => Ok(()),
        }
    }

    fn open(&self) -> Result<Keys, Box<dyn Error>> {
        let algorithm = self.algorithm.parse()?;
        let hex = |text| crate::unhex(text).ok_or("the key file has a digit that is none");
        let signing = match is_hmac(algorithm) {
            true => SigningKey::from_secret(algorithm, &hex(&self.signing_key)?)?,
            false => SigningKey::from_pem(algorithm, &self.signing_key)?,
        };
        let secret = Zeroizing::new(hex(&self.refresh_secret)?);
        Ok(Keys {
            signing: SigningKeys::new(signing),
            refresh: RefreshSecrets::new(&secret)?,
            others: hkdf::Salt::new(hkdf::HKDF_SHA256, b"examples keys").extract(&secret),
        })
    }
}

fn is_hmac(algorithm: Algorithm) -> bool {
    algorithm.name().starts_with("HS")
}
