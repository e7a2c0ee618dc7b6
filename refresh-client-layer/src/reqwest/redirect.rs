use ::reqwest::Url;
use ::reqwest::redirect::{Attempt, Policy};

/// Follows redirects within the origin of the request, up to 10, and hands out any other as the
/// response.
///
/// `reqwest` takes the `Authorization` header off when a redirect leaves the origin, but sends it
/// again to a second hop *within* the foreign one. With this policy there is no such hop.
pub fn same_origin_redirects() -> Policy {
    Policy::custom(|attempt| {
        if attempt.previous().len() > MOST_HOPS {
            attempt.error("too many redirects")
        } else if stays(&attempt) {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn stays(attempt: &Attempt<'_>) -> bool {
    let next = attempt.url().origin();
    next.is_tuple()
        && attempt
            .previous()
            .iter()
            .map(Url::origin)
            .all(|origin| origin == next)
}

const MOST_HOPS: usize = 10;
