mod generate;
mod key;
mod ring;

pub use key::SigningKey;
pub use ring::SigningKeys;
