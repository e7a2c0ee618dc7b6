use bytes::Bytes;
use http::{Request, Response};

use super::*;
use crate::keys::{Algorithm, KeySet, SigningKey, SigningKeys};

/// V4.
#[tokio::test(start_paused = true)]
async fn the_same_keys_fetched_again_leave_the_generation_alone() {
    let signing = SigningKeys::new(SigningKey::generate(Algorithm::ES256).unwrap());
    signing.announce(SigningKey::generate(Algorithm::EdDSA).unwrap());
    let shuffled = {
        let document: serde_json::Value = serde_json::from_str(&signing.jwks()).unwrap();
        serde_json::json!({ "keys": [document["keys"][1], document["keys"][0]] }).to_string()
    };
    let (documents, served) = std::sync::mpsc::channel();
    for document in [
        signing.jwks(),
        shuffled,
        signing.jwks(),
        r#"{"keys":[]}"#.to_owned(),
    ] {
        documents.send(document).unwrap();
    }
    let served = std::sync::Mutex::new(served);
    let fetch = move |_: Request<()>| {
        let document = served.lock().unwrap().try_recv();
        std::future::ready(match document {
            Ok(document) => Ok(Response::new(Bytes::from(document))),
            Err(error) => Err(error.into()),
        })
    };
    let keys = RemoteKeys::builder("https://auth.example/jwks")
        .fetcher(fetch)
        .build();
    keys.ready().await.unwrap();
    let set = KeySet::from(keys.clone());
    let generation = set.generation();
    let hours = |hours: u64| tokio::time::sleep(std::time::Duration::from_secs(hours * 3_600));
    hours(2).await;
    assert_eq!(set.generation(), generation, "twice the same keys");
    hours(1).await;
    assert_eq!((set.generation(), set.is_empty()), (generation + 1, true));
}

#[test]
fn what_is_shown_of_keys_is_where_they_are_from() {
    let keys = RemoteKeys::new("https://auth.example/jwks?secret");
    let shown = format!("{keys:?} {:?}", KeySet::from(keys.clone()));
    assert!(shown.contains("https://auth.example/jwks"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}
