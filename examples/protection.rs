use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auth_layer::keys::Jwks;
use auth_layer::keys::remote::RemoteKeysErrorKind;
use auth_layer::protect::proof::Dpop;
use auth_layer::{Algorithm, AuthLayer, KeySet, RemoteKeys, Verifier, VerifyingKey};
use clap::{ArgGroup, Args};

/// Which access tokens are good, as flags.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("key_source").required(true))]
pub struct Protection {
    /// Where the issuer publishes its JSON Web Key Set; fetched now and again.
    #[arg(long, value_name = "URL", group = "key_source")]
    jwks_url: Option<String>,
    /// The issuer, whose metadata say where its keys are; instead of --issuer.
    #[arg(
        long,
        value_name = "ISSUER",
        group = "key_source",
        conflicts_with = "issuer"
    )]
    discover: Option<String>,
    /// A JSON Web Key Set with the issuer's public keys.
    #[arg(long, value_name = "FILE", group = "key_source")]
    jwks_file: Option<PathBuf>,
    /// A secret shared with the issuer, in hexadecimal digits; with an HMAC --alg.
    #[arg(long, value_name = "HEX", group = "key_source")]
    secret: Option<String>,
    /// The algorithm of --secret; a JWKS says its own.
    #[arg(long, default_value = "HS256")]
    alg: Algorithm,
    /// The `iss` of the tokens.
    #[arg(long, required_unless_present = "discover")]
    issuer: Option<String>,
    /// The name that tokens have for this service in `aud`.
    #[arg(long)]
    audience: String,
    /// How far clocks may differ, at most 300s.
    #[arg(long, default_value = "0s")]
    leeway: humantime::Duration,
    /// Lets requests without a token through; a bad one is refused all the same.
    #[arg(long)]
    optional: bool,
    /// Also accepts tokens that are bound to a key, with a DPoP proof for the address as requests
    /// name it, by http.
    #[arg(long)]
    dpop: bool,
}

impl Protection {
    /// The layer that the flags describe.
    ///
    /// # Errors
    /// A sentence about what is missing or wrong.
    pub async fn layer(&self) -> Result<AuthLayer<Verifier>, Box<dyn Error>> {
        let issuer = self.issuer.as_ref().or(self.discover.as_ref());
        let mut verifier = Verifier::builder()
            .keys(self.keys().await?)
            .issuer(issuer.map_or("", String::as_str))
            .audience(&self.audience)
            .leeway(Duration::from(self.leeway));
        if self.dpop {
            verifier = verifier.accept_sender_constrained();
        }
        let mut layer = AuthLayer::new(verifier.build()?);
        if self.dpop {
            layer = layer.dpop(Dpop::new().plain_http());
        }
        Ok(if self.optional {
            layer.optional()
        } else {
            layer
        })
    }

    async fn keys(&self) -> Result<KeySet, Box<dyn Error>> {
        match (
            &self.jwks_url,
            &self.discover,
            &self.secret,
            &self.jwks_file,
        ) {
            (Some(url), ..) => fetched(RemoteKeys::new(url), url).await,
            (_, Some(issuer), ..) => fetched(RemoteKeys::discover(issuer), issuer).await,
            (_, _, Some(secret), _) => {
                let secret = crate::unhex(secret).ok_or("--secret is not hexadecimal")?;
                Ok(VerifyingKey::from_secret(self.alg, &secret)?.into())
            }
            (.., Some(path)) => in_file(path),
            _ => Err("give one of --jwks-url, --discover, --jwks-file and --secret".into()),
        }
    }
}

/// A server that is not there yet may come; one that answers nonsense is a mistake to be mended.
async fn fetched(keys: RemoteKeys, from: &str) -> Result<KeySet, Box<dyn Error>> {
    use RemoteKeysErrorKind::{TimedOut, Unreachable};
    match keys.ready().await {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), Unreachable | TimedOut) => {
            let cause = crate::chain(&error);
            eprintln!(
                "no keys from {from} yet: {cause}; requests are answered 503 until they come"
            );
        }
        Err(error) => return Err(format!("no keys from {from}: {}", crate::chain(&error)).into()),
    }
    Ok(keys.into())
}

fn in_file(path: &Path) -> Result<KeySet, Box<dyn Error>> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let jwks = Jwks::parse(&text).map_err(|_| format!("{name} is no JSON Web Key Set"))?;
    for skipped in jwks.skipped() {
        eprintln!(
            "key {} is not used: {}",
            skipped.kid().unwrap_or("?"),
            skipped.error()
        );
    }
    if jwks.keys().is_empty() {
        return Err(format!("{name} has no key to verify with").into());
    }
    Ok(jwks.into())
}
