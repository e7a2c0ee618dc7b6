use VerifyErrorKind::*;

use super::signers::issuer;
use super::*;

/// What some decoders of base64url pass over or read as the same bytes.
fn lenient_spellings(part: &str) -> Vec<String> {
    const STRAYS: [&str; 12] = [
        " ", "\t", "\n", "\r\n", "\u{b}", "\0", "=", "%3D", "\\n", "\u{a0}", "\u{200b}", "é",
    ];
    let mut spellings = Vec::new();
    for at in 0..=part.len() {
        let (before, after) = part.split_at(at);
        spellings.extend(STRAYS.map(|stray| format!("{before}{stray}{after}")));
    }
    // No text of base64 has a length of one more than a multiple of four.
    let impossible = "A".repeat((5 - part.len() % 4) % 4);
    spellings.extend(["==", "===", &impossible].map(|end| format!("{part}{end}")));
    spellings.push(part.replace('-', "+"));
    spellings.push(part.replace('_', "/"));
    spellings.extend(other_trailing_bits(part));
    spellings.retain(|spelling| spelling != part);
    spellings
}

/// The same bytes with other values of the bits that the last character has to spare.
fn other_trailing_bits(part: &str) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spare = match part.len() % 4 {
        2 => 4,
        3 => 2,
        _ => 0,
    };
    let (rest, last) = part.split_at(part.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|letter| *letter == last.as_bytes()[0]);
    let value = value.unwrap();
    assert_eq!(value % (1 << spare), 0, "{part} is not canonical");
    let others = 1..1_usize << spare;
    others
        .map(|bits| format!("{rest}{}", char::from(ALPHABET[value + bits])))
        .collect()
}

/// White space and members that give a part each length modulo three, and all of the alphabet.
fn of_each_length(object: &str) -> [String; 3] {
    let object = with_member(object, r#""x":"???>>>~~~ ???>>>~~~  ???>>>~~~""#);
    ["", " ", "  "].map(|blanks| format!("{object}{blanks}"))
}

/// The signature is over the odd spelling, so that only the decoder refuses it.
#[test]
fn header_and_claims_have_one_spelling_in_base64url() {
    let verifier = builder().build().unwrap();
    let answer = |header: &str, payload: &str| {
        let token = sealed(header, payload);
        (verify(&verifier, &token).map(drop), format!("{token:?}"))
    };
    let pairs = of_each_length(HEADER)
        .into_iter()
        .zip(of_each_length(&good_claims()));
    for (header, payload) in pairs {
        let (header, payload) = (encode(header), encode(payload));
        assert!(header.contains(['-', '_']) && payload.contains(['-', '_']));
        let (good, token) = answer(&header, &payload);
        assert_eq!(good, Ok(()), "{token}");
        for spelling in lenient_spellings(&header) {
            let (bad, token) = answer(&spelling, &payload);
            assert_eq!(bad, Err(Malformed), "{token}");
        }
        for spelling in lenient_spellings(&payload) {
            let (bad, token) = answer(&header, &spelling);
            assert_eq!(bad, Err(Malformed), "{token}");
        }
    }
}

#[test]
fn a_signature_has_one_spelling_in_base64url() {
    let mut spare_values = Vec::new();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let signer = issuer(algorithm);
        let verifier = builder_without_key().key(signer.verifying(algorithm));
        let verifier = verifier.build().unwrap();
        let token = |n| signer.token(algorithm, &json!({ "alg": algorithm.name(), "n": n }));
        let has_both = |token: &String| {
            let (_, signature) = token.rsplit_once('.').unwrap();
            signature.contains('-') && signature.contains('_')
        };
        let token = (0..).map(token).find(has_both).unwrap();
        assert!(verify(&verifier, &token).is_ok(), "{token}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        spare_values.push(other_trailing_bits(signature).len());
        for spelling in lenient_spellings(signature) {
            let answer = verify(&verifier, &format!("{message}.{spelling}")).map(drop);
            assert_eq!(answer, Err(Malformed), "{algorithm} {spelling:?}");
        }
    }
    assert_eq!(spare_values, [3, 0, 15], "a length of each kind");
}

#[test]
fn a_token_has_three_parts() {
    let (h, p) = (encode(HEADER), encode(good_claims()));
    let good = sealed(&h, &p);
    assert_eq!(verdict(&good), Ok(()));
    let (message, s) = good.rsplit_once('.').unwrap();
    let flattened = json!({ "protected": h, "payload": p, "signature": s }).to_string();
    for token in [
        h.clone(),
        message.to_owned(),
        format!("{p}.{s}"),
        format!(".{p}.{s}"),
        format!(".{good}"),
        format!("{good}."),
        format!("{good}.{s}"),
        format!("{h}..{p}.{s}"),
        format!("{h}.{p}..{s}"),
        format!("{h}.{p}.{s}.{p}.{s}"),
        format!("{good}.{good}"),
        format!("{good},{good}"),
        format!("Bearer {good}"),
        format!("\"{good}\""),
        format!("{good}\n"),
        good.replace('.', "%2E"),
        good.replace('.', "。"),
        sealed("", &p),
        sealed("", ""),
        sealed(&h, &format!("{p}.{p}")),
        sealed(&h, &format!("{p}.")),
        sealed(&format!("{h}."), &p),
        flattened,
    ] {
        assert_eq!(verdict(&token), Err(Malformed), "{token:?}");
    }
    assert_eq!(verdict(&sealed(&h, "")), Err(MalformedClaims));
    assert_eq!(verdict(&format!("{h}..{s}")), Err(BadSignature));
    assert_eq!(verdict(&format!("{message}.")), Err(BadSignature));
}

#[test]
fn a_token_is_as_long_as_its_bound_and_not_longer() {
    let default = builder().build().unwrap();
    let own = builder().max_token_bytes(1_000).build().unwrap();
    for (verifier, bound) in [(default, 16 * 1024), (own, 1_000)] {
        let answer = |token: String| verify(&verifier, &token).map(drop);
        assert_eq!(answer(of_length(bound)), Ok(()), "{bound}");
        assert_eq!(answer(of_length(bound + 1)), Err(TooLong), "{bound}");
        assert_eq!(answer("é".repeat(bound)), Err(TooLong), "{bound}");
    }
}

/// A good token of this length.
fn of_length(length: usize) -> String {
    let claims = good_claims();
    // A text of base64url cannot have every length, but with two there is always a way.
    let of = |header: usize, payload: usize| {
        let (header, payload) = (format!("{HEADER:header$}"), format!("{claims:payload$}"));
        sealed(&encode(header), &encode(payload))
    };
    let near = (length - of(0, 0).len()) / 4 * 3 + claims.len();
    let tokens =
        (near - 4..near + 4).flat_map(|payload| [20, 21, 22].map(|header| of(header, payload)));
    tokens
        .into_iter()
        .find(|token| token.len() == length)
        .unwrap()
}

#[test]
fn a_header_has_4_kib_at_most() {
    let of_length = |length| with_header(format!("{HEADER:length$}"));
    assert_eq!(verdict(&of_length(4_096)), Ok(()));
    assert_eq!(verdict(&of_length(4_097)), Err(TooLong));
}
