use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::refusal::Refusal;

/// The parameters of a form. Those without a value are left out (RFC 6749 s3.2).
pub(super) struct Form<'a> {
    parameters: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    resources: BTreeSet<Cow<'a, str>>,
}

impl<'a> Form<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let (mut parameters, mut resources) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in form_urlencoded::parse(body) {
            if name == "resource" {
                resources.insert(value);
            } else if parameters.insert(name, value).is_some() {
                return Err(Refusal::invalid("A parameter occurs twice"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        resources.retain(|value| !value.is_empty());
        Ok(Self {
            parameters,
            resources,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(|value| &**value)
    }

    /// The values of `resource`, the one parameter that may be repeated (RFC 8707 s2).
    pub(super) fn resources(&self) -> &BTreeSet<Cow<'a, str>> {
        &self.resources
    }
}
