use zeroize::Zeroizing;

use super::secrets::Minted;
use super::*;

const SESSION: SessionId = SessionId::from_bytes([9; 16]);

fn secrets() -> RefreshSecrets {
    RefreshSecrets::new(&[1; 32]).unwrap()
}

fn first(secrets: &RefreshSecrets) -> Minted {
    secrets.first(SESSION, Zeroizing::new([5; 32]))
}

fn key(byte: u8) -> IdempotencyKey {
    IdempotencyKey::new([byte; 16]).unwrap()
}

fn kind(result: Result<Presented<'_>, TokenError>) -> Option<TokenErrorKind> {
    result.err().map(|it| it.kind())
}

#[test]
fn a_token_reads_back_and_names_its_session_and_generation() {
    let secrets = secrets();
    let minted = first(&secrets);
    let opened = secrets.open(minted.token.expose()).unwrap();
    assert_eq!((opened.session(), opened.generation()), (SESSION, 0));
    assert_eq!(opened.hash(), minted.hash);
}

/// R5: only a token with a valid tag is read at all, and so can revoke.
#[test]
fn every_flipped_bit_is_noticed() {
    let secrets = secrets();
    let text = first(&secrets).token.expose().to_owned();
    for i in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(changed == text || secrets.open(&changed).is_err(), "{i}");
    }
}

#[test]
fn garbage_is_malformed_a_forgery_has_a_bad_tag_and_another_secret_is_unknown() {
    let secrets = secrets();
    for text in ["", "x", "ä", &"A".repeat(91), &"A".repeat(10_000)] {
        assert_eq!(kind(secrets.open(text)), Some(TokenErrorKind::Malformed));
    }
    let stranger = RefreshSecrets::new(&[2; 32]).unwrap();
    let token = first(&stranger).token;
    assert_eq!(
        kind(secrets.open(token.expose())),
        Some(TokenErrorKind::UnknownSecret)
    );
    let both = secrets.previous(&[2; 32]).unwrap();
    let forged = token.expose()[..token.expose().len() - 2].to_owned() + "AA";
    assert_eq!(kind(both.open(&forged)), Some(TokenErrorKind::BadTag));
}

#[test]
fn the_same_key_gives_the_same_child_and_another_key_another() {
    let secrets = secrets();
    let parent = first(&secrets).token;
    let parent = secrets.open(parent.expose()).unwrap();
    let child = |key: Option<&IdempotencyKey>| parent.child(key).hash;
    assert_eq!(child(Some(&key(1))), child(Some(&key(1))));
    assert_ne!(child(Some(&key(1))), child(Some(&key(2))));
    assert_ne!(child(Some(&key(1))), child(None));
    assert_eq!(child(None), child(None));
}

#[test]
fn a_repeat_after_the_secret_was_replaced_gets_the_same_child() {
    let old = secrets();
    let parent = first(&old).token;
    let before = old.open(parent.expose()).unwrap().child(None);
    let new = RefreshSecrets::new(&[2; 32]).unwrap();
    let new = new.previous(&[1; 32]).unwrap();
    let after = new.open(parent.expose()).unwrap().child(None);
    assert_eq!(before.hash, after.hash);
    assert_eq!(new.open(after.token.expose()).unwrap().generation(), 1);
    assert!(old.open(after.token.expose()).is_err());
}

#[test]
fn generations_grow_through_every_length_of_the_number() {
    let secrets = secrets();
    let mut token = first(&secrets).token;
    for generation in 0..20_000 {
        let opened = secrets.open(token.expose()).unwrap();
        assert_eq!(opened.generation(), generation);
        token = opened.child(None).token;
    }
}

#[test]
fn a_short_secret_is_refused_with_a_sentence() {
    let error = RefreshSecrets::new(&[1; 31]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a refresh secret needs at least 32 random bytes"
    );
}

#[test]
fn no_secret_prints_itself() {
    let secrets = secrets();
    let token = first(&secrets).token;
    assert_eq!(
        format!("{token:?} {:?}", key(1)),
        "RefreshToken(..) IdempotencyKey(..)"
    );
    assert_eq!(format!("{secrets:?}"), "RefreshSecrets { others: 0, .. }");
}

/// A repeat may cross an update of the server.
#[test]
fn a_key_in_base64url_is_hashed_as_its_bytes_and_another_text_as_itself() {
    let hash = |text: &str| IdempotencyKey::hash(Some(&text.parse().unwrap()));
    let of_bytes = |bytes: &[u8]| IdempotencyKey::hash(Some(&IdempotencyKey::new(bytes).unwrap()));
    assert_eq!(hash("AQEBAQEBAQEBAQEBAQEBAQ"), of_bytes(&[1; 16]));
    assert_eq!(hash(&"A".repeat(86)), of_bytes(&[0; 64]));
    let texts = [
        "urn:uuid:9f1c2a66-0f1d-4a53-9d53-0c7cf0a4b0f2",
        "sixteen-letters.",
        "AQEBAQEBAQEBAQEBAQEBAR",
        &"A".repeat(87),
    ];
    for text in texts {
        assert_eq!(hash(text), hash::sha256(text.as_bytes()), "{text}");
    }
    for bad in [
        "",
        "fifteen-letters",
        "a text with blanks",
        &"A".repeat(256),
    ] {
        assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad}");
    }
}
