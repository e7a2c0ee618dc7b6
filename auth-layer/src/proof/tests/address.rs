use http::Request;

use super::*;
use crate::proof::origin::Origin;
use crate::proof::uri::{Scheme, TargetUri};
use crate::proof::{Dpop, ProxyHeaders};

/// RFC 3986 s6.2.2 and s6.2.3.
#[test]
fn two_addresses_are_the_same_if_they_differ_only_as_they_may() {
    for (one, other) in [
        ("https://a.example/p", "HTTPS://A.Example/p"),
        ("https://a.example/p", "https://a.example:443/p"),
        ("https://a.example/p", "https://a.example:/p"),
        ("https://a.example:443/p", "https://a.example:0443/p"),
        ("http://a.example/p", "http://a.example:80/p"),
        ("https://a.example", "https://a.example/"),
        ("https://a.example", "https://a.example?q=1"),
        ("https://a.example/p", "https://a.example/p?q=/x#f"),
        ("https://a.example/p", "https://a.example/p#f?q"),
        ("https://a.example/%7euser", "https://a.example/~user"),
        ("https://a.example/a%2fb", "https://a.example/a%2Fb"),
        ("https://a.example/a/./b", "https://a.example/a/b"),
        ("https://a.example/a/../b", "https://a.example/b"),
        ("https://a.example/a/%2E%2e/b", "https://a.example/b"),
        ("https://a.example/../b", "https://a.example/b"),
        ("https://a.example/a/..", "https://a.example/"),
        ("https://a.example/a/b/.", "https://a.example/a/b/"),
        ("https://a.example/a/b/..", "https://a.example/a/"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]/"),
        ("https://%61.example/", "https://a.example/"),
    ] {
        let (one_is, other_is) = (TargetUri::parse(one), TargetUri::parse(other));
        assert!(one_is.is_some(), "{one}");
        assert_eq!(one_is, other_is, "{one} {other}");
    }
}

#[test]
fn two_addresses_that_differ_otherwise_are_not_the_same() {
    for (one, other) in [
        ("https://a.example/p", "http://a.example/p"),
        ("https://a.example/p", "https://a.example:8443/p"),
        ("http://a.example:443/p", "https://a.example/p"),
        ("https://a.example/p", "https://a.example./p"),
        ("https://a.example/p", "https://b.example/p"),
        ("https://a.example/p", "https://a.example/P"),
        ("https://a.example/p", "https://a.example/p/"),
        ("https://a.example/p", "https://a.example//p"),
        ("https://a.example/a%2Fb", "https://a.example/a/b"),
        ("https://a.example/a%252Fb", "https://a.example/a%2Fb"),
        ("https://a.example/..a", "https://a.example/a"),
        ("https://a.example/a;v=1", "https://a.example/a"),
    ] {
        assert_ne!(
            TargetUri::parse(one),
            TargetUri::parse(other),
            "{one} {other}"
        );
    }
}

#[test]
fn what_is_no_address_matches_nothing() {
    for broken in [
        "",
        "/p",
        "a.example/p",
        "//a.example/p",
        "ftp://a.example/p",
        "https:/a.example/p",
        "https:///p",
        "https://",
        "https://user@a.example/p",
        "https://a.example@b.example/p",
        "https://a.example:p/",
        "https://a.example:+443/",
        "https://a.example:65536/",
        "https://a.example:1:2/",
        "https://a.example\\@b.example/",
        "https://a example/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[v1.a]/",
        "https://a.example/%zz",
        "https://a.example/%2",
        "https://a.example/ p",
        "https://a.example/é",
        "https://é.example/",
        "https://a.example/\n",
    ] {
        assert_eq!(TargetUri::parse(broken), None, "{broken:?}");
    }
}

fn target(origin: &Origin, request: http::request::Builder) -> Option<TargetUri> {
    origin.target(&head(request))
}

fn uri(text: &str) -> Option<TargetUri> {
    Some(TargetUri::parse(text).unwrap())
}

#[test]
fn without_a_public_address_the_host_is_the_one_that_the_request_names() {
    let origin = Origin::Request(Scheme::Https);
    let over_http1 = get("/p?q").header("host", "A.example:8443");
    assert_eq!(target(&origin, over_http1), uri("https://a.example:8443/p"));
    let over_http2 = get("http://a.example/p").header("host", "b.example");
    assert_eq!(target(&origin, over_http2), uri("https://a.example/p"));
    assert_eq!(target(&origin, get("/p")), None);
    let two = get("/p")
        .header("host", "a.example")
        .header("host", "b.example");
    assert_eq!(target(&origin, two), None);
    let asterisk = Request::options("*").header("host", "a.example");
    assert_eq!(target(&origin, asterisk), uri("https://a.example/"));
}

#[test]
fn a_public_address_wins_over_whatever_the_request_names() {
    for (public, path, expected) in [
        ("https://api.example", "/p", "https://api.example/p"),
        ("https://api.example/", "/", "https://api.example/"),
        ("https://api.example/v1/", "/p", "https://api.example/v1/p"),
        (
            "https://api.example/v1",
            "/../p",
            "https://api.example/v1/p",
        ),
    ] {
        let dpop = Dpop::new().public_url(public).unwrap();
        let request = get(path)
            .header("host", "evil.example")
            .header("forwarded", "host=evil.example;proto=http");
        assert_eq!(
            target(&dpop.origin, request),
            uri(expected),
            "{public} {path}"
        );
    }
    for invalid in [
        "api.example",
        "https://api.example/?q",
        "https://a@api.example",
    ] {
        assert!(Dpop::new().public_url(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn the_headers_of_proxies_count_only_if_they_are_trusted_and_only_theirs() {
    let request =
        |name: &'static str, value: &str| get("/p").header("host", "inner").header(name, value);
    let untrusted = Dpop::new().origin;
    for forged in [
        request("forwarded", "host=evil.example;proto=http"),
        request("x-forwarded-host", "evil.example"),
    ] {
        assert_eq!(target(&untrusted, forged), uri("https://inner/p"));
    }
    for (proxies, value, expected) in [
        (
            1,
            "for=1.2.3.4;host=a.example;proto=https",
            Some("https://a.example/p"),
        ),
        (
            1,
            "host=evil.example;proto=https, Host=a.example;Proto=HTTPS",
            Some("https://a.example/p"),
        ),
        (
            1,
            r#"proto="https";host="a.example:8443""#,
            Some("https://a.example:8443/p"),
        ),
        (
            1,
            r#"for="a, b;host=evil.example";proto=https;host="a.ex\ample""#,
            Some("https://a.example/p"),
        ),
        (1, "proto=https", Some("https://inner/p")),
        (
            2,
            "host=evil.example;proto=http, host=a.example;proto=https, host=b;proto=http",
            Some("https://a.example/p"),
        ),
        (2, "host=a.example;proto=https", None),
        (1, "host=a.example", None),
        (1, "host=a.example;host=b.example;proto=https", None),
        (1, "host=a.example;proto=ftp", None),
        (1, r#"host="a.example;proto=https"#, None),
        (1, "", None),
    ] {
        let origin = Dpop::new()
            .trust_proxies(ProxyHeaders::Forwarded, proxies)
            .origin;
        let expected = expected.and_then(uri);
        assert_eq!(
            target(&origin, request("forwarded", value)),
            expected,
            "{proxies} {value}"
        );
    }
    let origin = Dpop::new()
        .trust_proxies(ProxyHeaders::XForwarded, 1)
        .origin;
    let both = |host, proto| request("x-forwarded-host", host).header("x-forwarded-proto", proto);
    let expected = uri("https://a.example/p");
    assert_eq!(target(&origin, both("a.example", "https")), expected);
    assert_eq!(
        target(&origin, both("evil.example, a.example", "http,https")),
        expected
    );
    let spread = both("evil.example", "https").header("x-forwarded-host", "a.example");
    assert_eq!(target(&origin, spread), expected);
    let only_proto = request("x-forwarded-proto", "https");
    assert_eq!(target(&origin, only_proto), uri("https://inner/p"));
    assert_eq!(
        target(&origin, request("x-forwarded-host", "a.example")),
        None
    );
    let none = Dpop::new()
        .trust_proxies(ProxyHeaders::XForwarded, 0)
        .origin;
    assert_eq!(
        target(&none, both("evil.example", "http")),
        uri("https://inner/p")
    );
}
