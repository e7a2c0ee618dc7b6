/// The stores that a part is about: all, or the one behind `=`.
#[derive(Clone, Copy)]
pub(crate) struct Stores<'a>(Option<&'a str>);

impl<'a> Stores<'a> {
    /// The name of the part, and its stores; none if there is no such store.
    pub(crate) fn of(part: &'a str) -> Option<(&'a str, Self)> {
        match part.split_once('=') {
            None => Some((part, Self(None))),
            Some((name, store)) if ALL.contains(&store) => Some((name, Self(Some(store)))),
            Some(_) => None,
        }
    }

    pub(crate) fn has(self, store: &str) -> bool {
        self.0.is_none_or(|only| only == store)
    }
}

const ALL: [&str; 4] = ["memory", "postgres", "sqlite", "redis"];
