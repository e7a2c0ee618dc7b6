mod generate;
mod key;
mod ring;
mod schedule;

pub use key::SigningKey;
pub use ring::SigningKeys;
pub use schedule::{DatedKey, RotationSchedule};
