use std::fmt;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request, as text: a line for each, `name:value`, or `name=value` if it is
/// sensitive. No name has either sign in it, and no value a line feed.
///
/// Every request pays for what is kept, and few are sent twice. The clone of a map costs an
/// allocation for each value; this costs one, and the map made of it shares that.
pub(super) struct Headers(Vec<u8>);

impl Headers {
    pub(super) fn of(map: &HeaderMap) -> Self {
        let mut text = Vec::with_capacity(LINE * map.len());
        for (name, value) in map {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(if value.is_sensitive() { b'=' } else { b':' });
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        Self(text)
    }

    pub(super) fn into_map(self) -> HeaderMap {
        let mut text = Bytes::from(self.0);
        let lines = text.iter().filter(|it| **it == b'\n').count();
        // The token is one more. Of so many lines that this is too much some have the same name.
        let mut map = HeaderMap::try_with_capacity(lines + 1).unwrap_or_default();
        while let Some(end) = text.iter().position(|it| *it == b'\n') {
            let line = text.split_to(end);
            text.advance(1);
            let (name, value) = header(line).expect("it was a header when it was written down");
            map.append(name, value);
        }
        map
    }
}

/// About as long as a line is: to count before would cost more than it saves.
const LINE: usize = 48;

fn header(line: Bytes) -> Option<(HeaderName, HeaderValue)> {
    let sign = line.iter().position(|it| matches!(it, b':' | b'='))?;
    let name = HeaderName::from_bytes(&line[..sign]).ok()?;
    let mut value = HeaderValue::from_maybe_shared(line.slice(sign + 1..)).ok()?;
    value.set_sensitive(line[sign] == b'=');
    Some((name, value))
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, COOKIE};

    use super::*;

    #[test]
    fn what_is_kept_of_headers_are_the_headers() {
        let mut map = HeaderMap::new();
        let mut secret = HeaderValue::from_static("a=b: c");
        secret.set_sensitive(true);
        map.append(ACCEPT, HeaderValue::from_static("text/html"));
        map.append(COOKIE, secret);
        map.append("x-empty", HeaderValue::from_static(""));
        map.append(ACCEPT, HeaderValue::from_static("\t:= */*"));
        map.append("x-bytes", HeaderValue::from_bytes(b"\xff\x80").unwrap());

        let again = Headers::of(&map).into_map();

        assert_eq!(again, map);
        let sensitive = |map: &HeaderMap| -> Vec<_> {
            map.iter()
                .map(|(name, value)| (name.clone(), value.is_sensitive()))
                .collect()
        };
        assert_eq!(sensitive(&again), sensitive(&map));
    }

    #[test]
    fn no_number_of_values_is_too_much() {
        let mut map = HeaderMap::new();
        for _ in 0..40_000 {
            map.append(ACCEPT, HeaderValue::from_static("a"));
        }
        assert_eq!(Headers::of(&map).into_map(), map);
    }

    #[test]
    fn headers_do_not_print_themselves() {
        let mut map = HeaderMap::new();
        map.insert(COOKIE, HeaderValue::from_static("secret"));
        assert_eq!(format!("{:?}", Headers::of(&map)), "Headers { .. }");
    }
}
