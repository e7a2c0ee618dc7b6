use std::time::Duration;

use super::*;
use crate::proof::Nonces;

fn nonces() -> Nonces {
    Nonces::new(&[7; 32]).unwrap()
}

fn accepts(nonces: &Nonces, nonce: &str, now: Timestamp) -> Option<bool> {
    nonces.check(nonce, now).map(|it| it.is_stale)
}

#[test]
fn a_nonce_is_good_in_its_window_and_in_the_next_and_no_longer() {
    let nonce = nonces().current(NOW);
    let nonce = nonce.to_str().unwrap();
    let after = |secs| NOW.plus(Duration::from_secs(secs));
    assert_eq!(accepts(&nonces(), nonce, NOW), Some(false));
    assert_eq!(accepts(&nonces(), nonce, after(59)), Some(false));
    assert_eq!(accepts(&nonces(), nonce, after(60)), Some(true));
    assert_eq!(accepts(&nonces(), nonce, after(119)), Some(true));
    assert_eq!(accepts(&nonces(), nonce, after(120)), None);
    assert_eq!(
        accepts(&nonces(), nonce, NOW.minus(Duration::from_secs(1))),
        None
    );
    assert_eq!(
        nonces().check(nonce, NOW).map(|it| it.until),
        Some(after(120))
    );
}

#[test]
fn only_who_has_the_secret_makes_nonces() {
    let other = Nonces::new(&[8; 32]).unwrap();
    let nonce = other.current(NOW);
    for forged in [nonce.to_str().unwrap(), "", "x"] {
        assert_eq!(accepts(&nonces(), forged, NOW), None);
    }
    assert!(Nonces::new(&[7; 31]).is_err());
    assert!(!format!("{:?}", nonces()).contains('7'), "{:?}", nonces());
}
