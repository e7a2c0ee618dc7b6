//! Where an issuer's keys are, and whose tokens they are for.

use auth_layer::keys::RemoteKeys;
use auth_layer::keys::remote::RemoteKeysErrorKind as Kind;
use auth_layer::verify::VerifyErrorKind::{UnknownKey, WrongIssuer};
use auth_layer::verify::{VerifierConfigError, Verify};
use auth_layer::{Issuers, Verifier};
use http::StatusCode;
use serde_json::{Value, json};

use crate::support::jwks::{ISSUER, Key, KeyServer, Mood, ask, at_once, builder, pass, verifier};

const OIDC: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

fn metadata(issuer: &str, keys: &str) -> Value {
    json!({ "issuer": issuer, "jwks_uri": format!("https://keys.example{keys}") })
}

fn discover(server: &KeyServer, issuer: &str) -> RemoteKeys {
    RemoteKeys::discover_builder(issuer)
        .fetcher(server.fetcher())
        .build()
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_openid_connect_discovery() {
    let key = Key::new(1);
    let server = KeyServer::with(&[]);
    server.page(OIDC, &metadata(ISSUER, "/jwks"));
    server.page("/jwks", &json!({ "keys": [key.jwk("k")] }));
    let keys = discover(&server, ISSUER);
    keys.ready().await.unwrap();
    assert_eq!(server.paths(), [OIDC, "/jwks"]);
    assert_eq!(ask(&verifier(&keys), &key.token("k")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_rfc_8414_where_there_is_no_openid_connect() {
    let server = KeyServer::with(&[]);
    let issuer = "https://auth.example/tenant/1";
    let path = format!("{OAUTH}/tenant/1");
    server.page(&path, &metadata(issuer, "/jwks"));
    server.page("/jwks", &json!({ "keys": [Key::new(1).jwk("k")] }));
    discover(&server, issuer).ready().await.unwrap();
    let oidc = format!("/tenant/1{OIDC}");
    assert_eq!(server.paths(), [oidc.as_str(), &path, "/jwks"]);

    server.page(&oidc, &json!("a page for everything"));
    discover(&server, issuer).ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn metadata_of_another_issuer_or_an_unsafe_place_give_no_keys() {
    let keys = json!({ "keys": [Key::new(1).jwk("k")] });
    for (page, kind) in [
        (
            metadata("https://auth.example/", "/jwks"),
            Kind::WrongIssuer,
        ),
        (metadata("https://evil.example", "/jwks"), Kind::WrongIssuer),
        (
            json!({ "issuer": ISSUER, "jwks_uri": "http://auth.example/jwks" }),
            Kind::InvalidUrl,
        ),
        (
            json!({ "issuer": ISSUER, "jwks_uri": "http://127.0.0.1/jwks" }),
            Kind::InvalidUrl,
        ),
        (
            json!({ "issuer": ISSUER, "jwks_uri": "file:///jwks" }),
            Kind::InvalidUrl,
        ),
        (
            json!({ "issuer": ISSUER }),
            Kind::Status(StatusCode::NOT_FOUND),
        ),
    ] {
        let server = KeyServer::with(&[]);
        server.page(OIDC, &page);
        server.page("/jwks", &keys);
        let found = discover(&server, ISSUER).ready().await;
        assert_eq!(found.unwrap_err().kind(), kind, "{page}");
        assert!(!server.paths().contains(&"/jwks".to_owned()), "{page}");
    }
    let unsafe_issuer = Verifier::builder()
        .discover("http://auth.example")
        .audience("https://api.example")
        .build();
    assert_eq!(
        unsafe_issuer.unwrap_err(),
        VerifierConfigError::UnsafeKeyUrl
    );
}

#[tokio::test(start_paused = true)]
async fn keys_that_move_are_found_again_and_a_miss_goes_straight_to_them() {
    let [old, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[]);
    server.page(OIDC, &metadata(ISSUER, "/old"));
    server.page("/old", &json!({ "keys": [old.jwk("old")] }));
    let keys = discover(&server, ISSUER);
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    assert_eq!(ask(&verifier, &old.token("new")).await, Err(UnknownKey));
    assert_eq!(server.paths(), [OIDC, "/old", "/old"]);

    server.page(OIDC, &metadata(ISSUER, "/new"));
    server.page("/new", &json!({ "keys": [new.jwk("new")] }));
    pass(3_600).await;
    assert_eq!(at_once(&verifier, &new.token("new")), Some(Ok(())));
    assert_eq!(server.paths()[3..], [OIDC, "/new"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_metadata_are_asked_anew() {
    let key = Key::new(1);
    let server = KeyServer::with(&[]);
    server.page(OIDC, &metadata(ISSUER, "/old"));
    server.page("/old", &json!({ "keys": [key.jwk("k")] }));
    let keys = discover(&server, ISSUER);
    keys.ready().await.unwrap();
    server.is(Mood::Down);
    let verifier = verifier(&keys);
    assert!(ask(&verifier, &key.token("new")).await.is_err());
    server.is(Mood::Up);
    pass(2).await;
    assert_eq!(server.paths(), [OIDC, "/old", "/old", OIDC, "/old"]);
}

#[tokio::test(start_paused = true)]
async fn a_discovered_issuer_is_the_one_whose_tokens_are_accepted() {
    let built = Verifier::builder()
        .discover(ISSUER)
        .audience("https://api.example")
        .build()
        .unwrap();
    assert!(format!("{built:?}").contains(ISSUER), "{built:?}");
}

fn issuers(servers: [(&KeyServer, &str); 2]) -> Issuers {
    let verifiers = servers.map(|(server, issuer)| {
        Verifier::builder()
            .keys(server.keys())
            .issuer(issuer)
            .audience("https://api.example")
            .clock(auth_layer::clock::ManualClock::at(
                auth_layer::Timestamp::from_secs(crate::support::jwks::NOW),
            ))
            .build()
            .unwrap()
    });
    Issuers::new(verifiers).unwrap()
}

fn of(key: &Key, issuer: &Value) -> String {
    key.sign(
        json!({ "alg": "EdDSA", "kid": "k" }),
        json!({ "iss": issuer }),
    )
}

/// V3.
#[tokio::test(start_paused = true)]
async fn the_same_kid_of_two_issuers_is_two_keys() {
    let [ours, theirs] = [1, 2].map(Key::new);
    let (here, there) = (
        KeyServer::with(&[ours.jwk("k")]),
        KeyServer::with(&[theirs.jwk("k")]),
    );
    let issuers = issuers([(&here, ISSUER), (&there, "https://partner.example")]);
    let (us, them) = (json!(ISSUER), json!("https://partner.example"));
    for _ in 0..2 {
        assert_eq!(ask(&issuers, &of(&ours, &us)).await, Ok(()));
        assert_eq!(ask(&issuers, &of(&theirs, &them)).await, Ok(()));
        assert!(ask(&issuers, &of(&theirs, &us)).await.is_err());
        assert!(ask(&issuers, &of(&ours, &them)).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_an_unknown_issuer_is_refused_and_nothing_fetched() {
    let key = Key::new(1);
    let (here, there) = (
        KeyServer::with(&[key.jwk("k")]),
        KeyServer::with(&[key.jwk("k")]),
    );
    let issuers = issuers([(&here, ISSUER), (&there, "https://partner.example")]);
    pass(1).await;
    let stranger = json!("https://evil.example");
    let header = json!({ "alg": "EdDSA", "kid": "elsewhere" });
    let token = key.sign(header, json!({ "iss": stranger }));
    assert_eq!(refusal(&issuers, &token), Some(Err(WrongIssuer)));
    for odd in [json!(null), json!(7), json!([ISSUER]), json!("")] {
        assert!(matches!(refusal(&issuers, &of(&key, &odd)), Some(Err(_))));
    }
    assert!(refusal(&issuers, &"x".repeat(20_000)).is_some());
    assert_eq!((here.fetches(), there.fetches()), (1, 1));
}

fn refusal(
    verify: &impl Verify,
    token: &str,
) -> Option<Result<(), auth_layer::verify::VerifyErrorKind>> {
    at_once(verify, token)
}

#[test]
fn a_list_of_issuers_is_an_allow_list() {
    use auth_layer::verify::IssuersConfigError;
    let key =
        || auth_layer::VerifyingKey::from_secret(auth_layer::Algorithm::HS256, &[7; 32]).unwrap();
    let named = || builder().key(key()).build().unwrap();
    let any = Verifier::builder()
        .key(key())
        .dangerously_accept_any_issuer()
        .audience("a")
        .build()
        .unwrap();
    let error = |verifiers: Vec<Verifier>| Issuers::new(verifiers).unwrap_err();
    assert_eq!(error(vec![]), IssuersConfigError::NoIssuer);
    assert_eq!(error(vec![named(), any]), IssuersConfigError::AnyIssuer);
    assert_eq!(
        error(vec![named(), named()]),
        IssuersConfigError::SameIssuer
    );
}
