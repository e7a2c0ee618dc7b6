//! Law S4 for sender-constrained tokens.

use auth_layer::protect::proof::{MemoryReplays, Nonces};
use tower::Layer as _;

use crate::support::Log;
use crate::support::dpop::{Setting, call, proved};

/// S4.
#[tokio::test]
async fn no_text_shows_a_token_a_proof_a_key_or_a_nonce() {
    let log = Log::begin().await;
    let setting = Setting::new();
    let replays = MemoryReplays::new();
    let secret = b"a nonce secret that nobody knows";
    let dpop = setting.dpop().replays(replays.clone());
    let with_nonces = dpop.clone().nonces(Nonces::new(secret).unwrap());
    let mut shown = String::new();
    let mut nonce = String::new();
    let token = setting.bound_token();
    let proofs = [
        setting.client.proof(&token).sign(),
        setting.client.proof(&token).claim("htm", "POST").sign(),
        setting.client.proof(&token).claim("ath", "x").sign(),
        setting.client.proof(&token).header("typ", "x").sign(),
    ];
    for dpop in [dpop, with_nonces] {
        let layer = setting.layer().dpop(dpop.clone());
        for proof in &proofs {
            let refused = call(&layer, proved(&token, proof)).await;
            if let Some(it) = refused.headers().get("dpop-nonce") {
                nonce = it.to_str().unwrap().to_owned();
            }
            let rejection = refused.extensions().get::<auth_layer::protect::Rejection>();
            shown += &format!("{rejection:?} {:?}", refused.body());
        }
        shown += &format!("{dpop:?} {layer:?} {replays:?}");
        shown += &format!("{:?}", layer.layer(()));
    }
    shown += &log.take();
    assert!(shown.contains("request refused"), "the log was seen");
    let jwk = setting.client.jwk();
    let parts = proofs.iter().flat_map(|it| it.split('.'));
    let secrets = parts.chain(token.split('.'));
    let secrets = secrets.chain([jwk["x"].as_str().unwrap(), &nonce, "nobody knows"]);
    for secret in secrets {
        assert!(!secret.is_empty() && !shown.contains(secret), "{secret}");
    }
    assert!(
        !shown.contains(&format!("{:?}", &secret[..4])[1..12]),
        "as numbers"
    );
}
