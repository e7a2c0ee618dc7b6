use super::signers::{issuer, mac};
use super::*;

#[test]
fn a_signature_of_any_other_bits_or_length_is_refused() {
    for algorithm in Algorithm::ALL {
        let signer = issuer(algorithm);
        let verifier = builder_without_key().key(signer.verifying(algorithm));
        let verifier = verifier.build().unwrap();
        let token = signer.token(algorithm, &json!({ "alg": algorithm.name() }));
        assert!(verify(&verifier, &token).is_ok(), "{algorithm}");
        let message = token.rsplit_once('.').unwrap().0;
        let signature = signer.sign(algorithm, message);
        for (what, bytes) in altered(&signature) {
            let forged = format!("{message}.{}", encode(bytes));
            let answer = verify(&verifier, &forged).map(drop);
            assert_eq!(
                answer,
                Err(VerifyErrorKind::BadSignature),
                "{algorithm}: {what}"
            );
        }
    }
}

fn altered(signature: &[u8]) -> Vec<(String, Vec<u8>)> {
    let length = signature.len();
    let mut altered = vec![
        ("none".to_owned(), Vec::new()),
        ("only zeros".to_owned(), vec![0; length]),
        ("only ones".to_owned(), vec![0xff; length]),
        ("one byte".to_owned(), vec![0]),
        ("half".to_owned(), signature[..length / 2].to_vec()),
        (
            "without its last byte".to_owned(),
            signature[..length - 1].to_vec(),
        ),
        ("without its first byte".to_owned(), signature[1..].to_vec()),
        ("one byte more".to_owned(), [signature, &[0]].concat()),
        ("one byte before".to_owned(), [&[0], signature].concat()),
        ("twice".to_owned(), signature.repeat(2)),
        (
            "halves exchanged".to_owned(),
            [&signature[length / 2..], &signature[..length / 2]].concat(),
        ),
    ];
    for at in 0..length {
        let mut flipped = signature.to_vec();
        flipped[at] ^= 1 << (at % 8);
        altered.push((format!("byte {at} altered"), flipped));
    }
    altered
}

/// The message is signed as it stands in the token, not as what it decodes to.
#[test]
fn a_signature_is_over_both_parts_and_the_point_between() {
    let secret = [7; 32];
    let (header, payload) = (HEADER, good_claims());
    let (header_part, payload_part) = (encode(header), encode(&payload));
    let message = format!("{header_part}.{payload_part}");
    let signed_over = |signed: &str| {
        let tag = mac(Algorithm::HS256, &secret, signed.as_bytes());
        verdict(&format!("{message}.{}", encode(tag)))
    };
    assert_eq!(signed_over(&message), Ok(()));
    for other in [
        "",
        &header_part,
        &payload_part,
        &payload,
        &format!("{header}.{payload}"),
        &format!("{header_part}.{payload}"),
        &format!("{header_part}{payload_part}"),
        &format!("{payload_part}.{header_part}"),
        &format!("{message}."),
        &format!("{message}\0"),
    ] {
        assert_eq!(
            signed_over(other),
            Err(VerifyErrorKind::BadSignature),
            "{other:?}"
        );
    }
}
