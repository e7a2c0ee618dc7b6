use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

use super::format::{Fields, TAG, Tagged};
use super::hash::TokenHash;
use super::{
    IdempotencyKey, RefreshSecretError, RefreshToken, SessionId, TokenError, TokenErrorKind,
};

/// The secrets that make refresh tokens: one that signs, and others that are still accepted.
///
/// They belong to the issuer alone: in no store, and none of them a signing key. The secret of several
/// processes is replaced in three steps, each of which has to be done everywhere before the next:
///
/// ```
/// use auth_layer::RefreshSecrets;
///
/// # let (old, new) = (&[6; 32], &[7; 32]);
/// // 1. All accept tokens of the new one, which nobody makes yet.
/// let secrets = RefreshSecrets::new(old)?.next(new)?;
/// // 2. All make them, and still accept those of the old one.
/// let secrets = RefreshSecrets::new(new)?.previous(old)?;
/// // 3. Once the absolute lifetime of a session has passed, the old one can go.
/// let secrets = RefreshSecrets::new(new)?;
/// # Ok::<(), auth_layer::refresh_token::RefreshSecretError>(())
/// ```
pub struct RefreshSecrets {
    newest: Secret,
    others: Vec<Secret>,
}

impl RefreshSecrets {
    /// Signs with `newest`: at least 32 random bytes.
    ///
    /// # Errors
    /// When it is shorter.
    pub fn new(newest: &[u8]) -> Result<Self, RefreshSecretError> {
        Ok(Self {
            newest: Secret::new(newest)?,
            others: Vec::new(),
        })
    }

    /// Accepts tokens made with `secret` too, which signed before; beside those given already.
    ///
    /// # Errors
    /// When it has fewer than 32 bytes.
    pub fn previous(mut self, secret: &[u8]) -> Result<Self, RefreshSecretError> {
        self.others.push(Secret::new(secret)?);
        Ok(self)
    }

    /// Accepts tokens made with `secret` too, which will sign next: other processes may do so already.
    ///
    /// # Errors
    /// When it has fewer than 32 bytes.
    pub fn next(self, secret: &[u8]) -> Result<Self, RefreshSecretError> {
        self.previous(secret)
    }

    /// The first token of a session.
    pub(crate) fn first(&self, session: SessionId, s: Zeroizing<[u8; 32]>) -> Minted {
        self.newest.mint(session, 0, s)
    }

    /// Reads a token, once its tag has shown that one of these secrets made it.
    pub(crate) fn open(&self, text: &str) -> Result<Presented<'_>, TokenError> {
        let tagged = Tagged::decode(text)?;
        let mut named = self
            .all()
            .filter(|secret| secret.key_id == tagged.key_id())
            .peekable();
        if named.peek().is_none() {
            return Err(TokenErrorKind::UnknownSecret.into());
        }
        let maker = named
            .find(|secret| secret.made(&tagged))
            .ok_or(TokenErrorKind::BadTag)?;
        Ok(Presented {
            fields: tagged.fields()?,
            maker,
            newest: &self.newest,
        })
    }

    /// The same token with the tag of the secret of that id, so that each node returns one text for one token. None if that
    /// secret is not in use here.
    pub(crate) fn retag(&self, token: &RefreshToken, tag_key_id: u32) -> Option<RefreshToken> {
        let secret = self.all().find(|it| it.tag_key_id == tag_key_id)?;
        let fields = Tagged::decode(token.expose()).ok()?.fields().ok()?;
        let minted = secret.mint(fields.session, fields.generation, fields.s);
        Some(minted.token)
    }

    /// Whether `is` holds for the bytes of any of them.
    pub(crate) fn any(&self, is: impl Fn(&[u8]) -> bool) -> bool {
        self.all().any(|it| is(&it.raw))
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.newest).chain(&self.others)
    }
}

impl fmt::Debug for RefreshSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshSecrets")
            .field("others", &self.others.len())
            .finish_non_exhaustive()
    }
}

/// A token that one of our secrets made.
pub(crate) struct Presented<'a> {
    fields: Fields,
    maker: &'a Secret,
    newest: &'a Secret,
}

impl Presented<'_> {
    pub(crate) fn session(&self) -> SessionId {
        self.fields.session
    }

    pub(crate) fn generation(&self) -> u64 {
        self.fields.generation
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.fields.s)
    }

    /// The token that follows. The secret that made this one decides its value, so that a repeat
    /// gets the same after the newest secret changed; the newest vouches for it.
    pub(crate) fn child(&self, key: Option<&IdempotencyKey>) -> Minted {
        let s = self.maker.derive(&self.fields, key);
        self.newest.mint(self.session(), self.generation() + 1, s)
    }
}

/// A token to hand out, the hash to keep, and the id of the secret that tagged it.
pub(crate) struct Minted {
    pub(crate) token: RefreshToken,
    pub(crate) hash: TokenHash,
    pub(crate) tag_key_id: u32,
}

struct Secret {
    raw: Zeroizing<Vec<u8>>,
    key_id: u8,
    /// For the store. Longer than the token's, as two secrets in use must not share it.
    tag_key_id: u32,
    mac: hmac::Key,
    next: hmac::Key,
}

impl Secret {
    fn new(raw: &[u8]) -> Result<Self, RefreshSecretError> {
        if raw.len() < 32 {
            return Err(RefreshSecretError(()));
        }
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"auth-layer refresh").extract(raw);
        let key_id = *expand(&prk, b"key id")?;
        let key = |info| {
            Ok(hmac::Key::new(
                hmac::HMAC_SHA256,
                &*expand::<32>(&prk, info)?,
            ))
        };
        Ok(Self {
            raw: Zeroizing::new(raw.to_vec()),
            key_id: u8::from_be_bytes(key_id),
            tag_key_id: u32::from_be_bytes(*expand(&prk, b"tag key id")?),
            mac: key(b"mac")?,
            next: key(b"next")?,
        })
    }

    fn mint(&self, session: SessionId, generation: u64, s: Zeroizing<[u8; 32]>) -> Minted {
        let hash = TokenHash::of(&s);
        let key_id = self.key_id;
        let fields = Fields {
            key_id,
            session,
            generation,
            s,
        };
        let body = fields.encode();
        let tag = self.tag(&body);
        let token = Tagged::encode(body, &tag.as_ref()[..TAG]);
        Minted {
            token,
            hash,
            tag_key_id: self.tag_key_id,
        }
    }

    fn made(&self, token: &Tagged) -> bool {
        let expected = self.tag(token.body());
        verify_slices_are_equal(&expected.as_ref()[..TAG], token.tag()).is_ok()
    }

    fn tag(&self, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(b"rt-tag");
        context.update(body);
        context.sign()
    }

    fn derive(&self, parent: &Fields, key: Option<&IdempotencyKey>) -> Zeroizing<[u8; 32]> {
        let mut context = hmac::Context::with_key(&self.next);
        context.update(b"rt-next");
        context.update(parent.session.as_bytes());
        context.update(&(parent.generation + 1).to_be_bytes());
        context.update(&*parent.s);
        context.update(&IdempotencyKey::hash(key));
        let mut s = Zeroizing::new([0; 32]);
        s.copy_from_slice(context.sign().as_ref());
        s
    }
}

/// Keys for different purposes from one secret (RFC 5869 s2.3).
fn expand<const N: usize>(
    prk: &hkdf::Prk,
    info: &[u8],
) -> Result<Zeroizing<[u8; N]>, RefreshSecretError> {
    struct Length(usize);

    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }

    let mut out = Zeroizing::new([0; N]);
    prk.expand(&[info], Length(N))
        .and_then(|okm| okm.fill(&mut *out))
        .map_err(|_| RefreshSecretError(()))?;
    Ok(out)
}
