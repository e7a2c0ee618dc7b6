use std::net::Ipv6Addr;

/// An `http` or `https` address without query and fragment, normalised (RFC 3986 s6.2.2, s6.2.3), so
/// that two of them are equal if they mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetUri {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl TargetUri {
    /// Reads an absolute URI; its query and fragment do not count (RFC 9449 s4.3).
    pub(super) fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Self::new(Scheme::parse(scheme)?, authority, path)
    }

    pub(super) fn new(scheme: Scheme, authority: &str, path: &str) -> Option<Self> {
        let (host, port) = split_authority(authority)?;
        let port = match port {
            "" => scheme.default_port(),
            port => port
                .bytes()
                .all(|it| it.is_ascii_digit())
                .then(|| port.parse().ok())??,
        };
        Some(Self {
            scheme,
            host: normalise_host(host)?,
            port,
            path: normalise_path(path)?,
        })
    }

    /// The address `path` below this one.
    pub(super) fn join(&self, path: &str) -> Option<Self> {
        let base = self.path.trim_end_matches('/');
        Some(Self {
            path: format!("{base}{}", normalise_path(path)?),
            ..self.clone()
        })
    }
}

impl Scheme {
    pub(super) fn parse(scheme: &str) -> Option<Self> {
        match () {
            () if scheme.eq_ignore_ascii_case("https") => Some(Self::Https),
            () if scheme.eq_ignore_ascii_case("http") => Some(Self::Http),
            () => None,
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Host and port; a user is not part of an address (RFC 9110 s4.2.4).
fn split_authority(authority: &str) -> Option<(&str, &str)> {
    let after_host = match authority.starts_with('[') {
        true => authority.find(']')? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    match authority.split_at(after_host) {
        (host, "") => Some((host, "")),
        (host, port) => Some((host, port.strip_prefix(':')?)),
    }
}

fn normalise_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let is_host_character =
        |it: u8| is_unreserved(it) || it == b'%' || b"!$&'()*+,;=".contains(&it);
    let is_host = !host.is_empty() && host.bytes().all(is_host_character);
    is_host
        .then(|| normalise_escapes(host))?
        .map(|it| it.to_ascii_lowercase())
}

fn normalise_path(path: &str) -> Option<String> {
    let path = match path {
        "" => "/".to_owned(),
        path if path.starts_with('/') => normalise_escapes(path)?,
        _ => return None,
    };
    if path.contains("/.") {
        Some(without_dot_segments(&path))
    } else {
        Some(path)
    }
}

/// RFC 3986 s5.2.4, of a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut segments = Vec::new();
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        let is_last = rest.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Writes what needs no escape without, and all other escapes in capitals (RFC 3986 s6.2.2). None:
/// a broken escape, or a character that no URI has.
fn normalise_escapes(text: &str) -> Option<String> {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |it: u8| char::from(it).to_digit(16);
                let [high, low] = [digit(rest.next()?)?, digit(rest.next()?)?];
                let byte = u8::try_from(high * 16 + low).ok()?;
                if is_unreserved(byte) {
                    normal.push(char::from(byte));
                } else {
                    normal.push_str(&format!("%{byte:02X}"));
                }
            }
            b'!'..=b'~' => normal.push(char::from(byte)),
            _ => return None,
        }
    }
    Some(normal)
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
