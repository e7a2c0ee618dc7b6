use VerifyErrorKind::*;

use super::*;

/// Where an object is read: from a header or from claims.
struct Place {
    good: String,
    fault: VerifyErrorKind,
    verdict: fn(&[u8]) -> Result<(), VerifyErrorKind>,
}

fn places() -> [Place; 2] {
    let header = Place {
        good: HEADER.to_owned(),
        fault: Malformed,
        verdict: |header| verdict(&with_header(header)),
    };
    let claims = Place {
        good: good_claims(),
        fault: MalformedClaims,
        verdict: |payload| verdict(&with_payload(payload)),
    };
    [header, claims]
}

impl Place {
    fn with(&self, member: &str) -> Result<(), VerifyErrorKind> {
        (self.verdict)(with_member(&self.good, member).as_bytes())
    }
}

#[test]
fn header_and_claims_are_one_json_object_in_utf_8() {
    for place in places() {
        for blanks in ["", " ", "\r\n\t"] {
            let odd = format!("{blanks}{}{blanks}", place.good);
            assert_eq!((place.verdict)(odd.as_bytes()), Ok(()), "{odd:?}");
        }
        assert_eq!(
            place.with(r#""a" : [ "é\u00e9😀\ud83d\ude00", 1.5e3, null ] "#),
            Ok(())
        );
        for (name, bytes) in not_one_object(&place.good) {
            assert_eq!((place.verdict)(&bytes), Err(place.fault), "{name}");
        }
    }
}

/// Each with its name.
fn not_one_object(good: &str) -> Vec<(String, Vec<u8>)> {
    const INSTEAD: &str = r#"| |null|true|1|[]|"{}"|{|}|{}{}|{,}|{"a"}|[{}]|{{}}"#;
    const MEMBERS: &str = r#""a":"\ud800"|"a":"\udc00\ud800"|"\ud800":1|"a":"\x"|"a":"\u00"|
        "a":1e999|"a":NaN|"a":-|"a":01|"a":+1|"a":.5|"a":1.|"a":[1,]|"a":{"b":1,}|"a":tru|"a"|
        "a":|"a":1,|a:1|1:1|null:1|'a':1|"a" 1|"a":"b|"a":'b'"#;
    let quoted = serde_json::to_string(good).unwrap();
    let single_quoted = good.replace('"', "'");
    let mut texts = vec![quoted, single_quoted, good[1..].to_owned()];
    texts.push(good[..good.len() - 1].to_owned());
    texts.extend(INSTEAD.split('|').map(str::to_owned));
    texts.extend(MEMBERS.split('|').map(|member| with_member(good, member)));
    for (before, after) in [
        ("[", "]"),
        ("{", "}"),
        ("{\"a\":", ""),
        ("", good),
        ("", " x"),
        ("", ","),
        ("", "}"),
        ("", "\0"),
        ("", "\u{feff}"),
        ("", "//"),
        ("\0", ""),
        ("\u{feff}", ""),
        ("\u{a0}", ""),
        ("\u{b}", ""),
        ("\u{1e}", ""),
        ("/**/", ""),
        (")]}',\n", ""),
    ] {
        texts.push(format!("{before}{good}{after}"));
    }
    for control in ["\n", "\t", "\0", "\u{1f}"] {
        texts.push(with_member(good, &format!("\"a\":\"{control}\"")));
        texts.push(with_member(good, &format!("\"{control}\":1")));
    }
    let texts = texts.into_iter();
    let texts = texts.map(|text| (format!("{text:?}"), text.into_bytes()));
    texts.chain(other_encodings(good)).collect()
}

fn other_encodings(good: &str) -> Vec<(String, Vec<u8>)> {
    let units = || good.encode_utf16();
    let big_endian: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
    let little_endian: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    let mut encodings = vec![
        (
            "UTF-16BE and BOM".to_owned(),
            [b"\xfe\xff", &*big_endian].concat(),
        ),
        (
            "UTF-16LE and BOM".to_owned(),
            [b"\xff\xfe", &*little_endian].concat(),
        ),
        ("UTF-16BE".to_owned(), big_endian),
        ("UTF-16LE".to_owned(), little_endian),
    ];
    for (what, bytes) in [
        ("a byte that is never in UTF-8", &b"\xff"[..]),
        ("a character in Latin-1", b"\xe9"),
        ("a stray continuation", b"\x80"),
        ("an unfinished character", b"\xe2\x82"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong quote", b"\xc0\xa2"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a surrogate pair", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("a character beyond the last", b"\xf4\x90\x80\x80"),
    ] {
        for member in [
            r#""a":"@""#,
            r#""@":1"#,
            r#""a":[{"b":"@"}]"#,
            r#"@"a":1"#,
            r#""a":@1"#,
        ] {
            let object = with_member(good, member);
            let (before, after) = object.rsplit_once('@').unwrap();
            let object = [before.as_bytes(), bytes, after.as_bytes()].concat();
            encodings.push((format!("{what} in {member}"), object));
        }
        let end = [good.as_bytes(), bytes].concat();
        encodings.push((format!("{what} at the end"), end));
    }
    encodings
}

#[test]
fn an_inner_object_of_header_or_claims_repeats_no_member() {
    for place in places() {
        for (once, twice) in [
            (r#"{"a":1}"#, r#"{"a":1,"a":1}"#),
            (r#"{"a":1,"A":1}"#, r#"{"a":1,"\u0061":2}"#),
            (r#"{"":1}"#, r#"{"":1,"":1}"#),
            (r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b":{"c":1,"c":1}}}"#),
            (r#"[[{"a":1},{"a":1}]]"#, r#"[[{"a":1,"a":1}]]"#),
            (r#"{"ä":1}"#, r#"{"ä":1,"\u00e4":1}"#),
            (r#"{"😀":1}"#, r#"{"😀":1,"\ud83d\ude00":1}"#),
        ] {
            for name in ["other", "jwk", "x5c", "act", "realm_access"] {
                let once = format!(r#""{name}":{once}"#);
                assert_eq!(place.with(&once), Ok(()), "{once}");
                let twice = format!(r#""{name}":{twice}"#);
                assert_eq!(place.with(&twice), Err(place.fault), "{twice}");
            }
        }
    }
}

#[test]
fn header_and_claims_are_nested_16_levels_deep_and_not_deeper() {
    const KINDS: [(&str, &str); 3] = [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")];
    let nested = |(open, close): (&str, &str), levels| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    for place in places() {
        for (kind, deepest) in KINDS.into_iter().zip([15, 15, 7]) {
            let member = format!(r#""other":{}"#, nested(kind, deepest));
            assert_eq!(place.with(&member), Ok(()), "{member}");
            let member = format!(r#""other":{}"#, nested(kind, deepest + 1));
            assert_eq!(place.with(&member), Err(place.fault), "{member}");
            for name in ["other", "jwk", "x5c", "aud", "cnf", "exp", "scope"] {
                let without_end = kind.0.repeat(500);
                let member = format!(r#""{name}":{without_end}"#);
                assert_eq!(place.with(&member), Err(place.fault), "{member}");
            }
        }
    }
}
