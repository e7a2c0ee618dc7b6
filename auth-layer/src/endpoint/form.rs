use std::borrow::Cow;
use std::collections::BTreeMap;

use super::refusal::Refusal;

/// The parameters of a form. Those without a value are left out (RFC 6749 s3.2).
pub(super) struct Form<'a>(BTreeMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Form<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if parameters.insert(name, value).is_some() {
                return Err(Refusal::invalid("A parameter occurs twice"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|it| &**it)
    }
}
