//! Many users, each with a session of their own.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use refresh_client_layer::{
    EndReason, Event, LoadError, LoadErrorKind, NotRetried, Outcome, RefreshLayer, RefreshService,
    RefreshUnavailable, SessionEnded, SessionKey, TokenError, TokenManagers, TokenSet,
    UnavailableKind,
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt as _};

use crate::support::records::Records as _;
use crate::support::users::{User, Users, request_of};
use crate::support::{Body, BoxError, URL, get, settle};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

type Api = RefreshService<Users>;

fn layered(users: &Users, managers: &TokenManagers<User>) -> Api {
    RefreshLayer::keyed(managers.clone()).layer(users.clone())
}

async fn token_of(api: &Api, user: User) -> Result<String, BoxError> {
    let response = api.clone().oneshot(request_of(user)).await?;
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}

fn kind_of(error: &TokenError) -> UnavailableKind {
    match error {
        TokenError::RefreshUnavailable(error) => error.kind(),
        error => panic!("{error}"),
    }
}

/// Law C19: none waits for another, and none gets another's token.
#[tokio::test(start_paused = true)]
async fn ten_thousand_users_refresh_at_once() {
    const CROWD: User = 10_000;
    let users = Users::new(0..CROWD, Duration::ZERO).await;
    (0..CROWD).for_each(|user| users.delay(user, SECOND));
    let managers = TokenManagers::builder(users.clone()).build();
    let api = layered(&users, &managers);
    let start = Instant::now();
    let requests = (0..CROWD).map(|user| {
        let api = api.clone();
        tokio::spawn(async move { token_of(&api, user).await.unwrap() })
    });
    for (user, request) in requests.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(request.await.unwrap(), format!("Bearer access-{user}-2"));
    }
    assert_eq!(start.elapsed().as_secs(), 1);
    assert_eq!(users.most_at_once(), CROWD);
    assert_eq!((users.refreshes(), users.reuses()), (CROWD, 0));
    assert_eq!(users.loads().len(), CROWD as usize);
    assert_eq!(managers.len(), CROWD as usize);
}

/// Law C19.
#[tokio::test(start_paused = true)]
async fn a_slow_user_holds_nobody_up() {
    let users = Users::new(0..1000, Duration::ZERO).await;
    users.delay(0, HOUR);
    let managers = TokenManagers::builder(users.clone()).build();
    let api = layered(&users, &managers);
    let slow = tokio::spawn({
        let api = api.clone();
        async move { token_of(&api, 0).await }
    });
    settle().await;
    let start = Instant::now();
    for user in 1..1000 {
        assert_eq!(
            token_of(&api, user).await.unwrap(),
            format!("Bearer access-{user}-2")
        );
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let error = slow.await.unwrap().unwrap_err();
    let error = error.downcast_ref::<RefreshUnavailable>().unwrap();
    assert_eq!(error.kind(), UnavailableKind::TimedOut);
}

/// Law C13.
#[tokio::test]
async fn clones_share_their_sessions_and_other_managers_do_not() {
    let (users, others) = (Users::new([1], HOUR).await, Users::new([1], HOUR).await);
    let managers = TokenManagers::builder(users.clone()).build();
    let clone = managers.clone();
    let other = TokenManagers::builder(others.clone()).build();
    let session = managers.get(&1).await.unwrap().unwrap();
    session.force_refresh().await.unwrap();
    assert_eq!(
        token_of(&layered(&users, &clone), 1).await.unwrap(),
        "Bearer access-1-2"
    );
    assert_eq!(users.loads(), [1]);
    assert_eq!(
        token_of(&layered(&others, &other), 1).await.unwrap(),
        "Bearer access-1-1"
    );
    clone.sign_out(&1).await.unwrap();
    assert!(session.access_token().await.is_err());
    assert!(other.get(&1).await.unwrap().is_some());
}

/// Law C19.
#[tokio::test(start_paused = true)]
async fn no_more_are_kept_than_asked_for_and_who_comes_back_goes_on() {
    let users = Users::new(0..2000, Duration::ZERO).await;
    let managers = TokenManagers::builder(users.clone()).capacity(100).build();
    let api = layered(&users, &managers);
    for generation in [2, 2, 3] {
        for user in 0..2000 {
            if generation == 3 {
                let session = managers.get(&user).await.unwrap().unwrap();
                session.force_refresh().await.unwrap();
            }
            let token = token_of(&api, user).await.unwrap();
            assert_eq!(token, format!("Bearer access-{user}-{generation}"));
            assert!(managers.len() <= 100, "{}", managers.len());
        }
    }
    assert_eq!((users.refreshes(), users.reuses()), (4000, 0));
}

/// Law C19: the one that was used last stays.
#[tokio::test(start_paused = true)]
async fn who_is_often_here_is_not_put_away_for_passers_by() {
    let users = Users::new(0..1000, HOUR).await;
    let managers = TokenManagers::builder(users.clone()).capacity(4).build();
    for user in 1..1000 {
        tokio::time::advance(SECOND).await;
        managers.get(&0).await.unwrap();
        managers.get(&user).await.unwrap();
    }
    assert_eq!(users.loads().iter().filter(|user| **user == 0).count(), 1);
}

/// Law C19: a refresh in flight keeps its session.
#[tokio::test(start_paused = true)]
async fn a_session_that_refreshes_is_not_put_away() {
    let users = Users::new(0..10, Duration::ZERO).await;
    users.delay(0, SECOND);
    let managers = TokenManagers::builder(users.clone()).capacity(1).build();
    let session = managers.get(&0).await.unwrap().unwrap();
    let starter = tokio::spawn(async move { session.force_refresh().await });
    settle().await;
    starter.abort();
    settle().await;
    for user in 1..10 {
        managers.get(&user).await.unwrap();
    }
    assert_eq!(managers.len(), 2);
    tokio::time::sleep(2 * SECOND).await;
    let token = token_of(&layered(&users, &managers), 0).await.unwrap();
    assert_eq!(token, "Bearer access-0-2");
    assert_eq!(users.loads().iter().filter(|user| **user == 0).count(), 1);
    assert_eq!((users.refreshes(), users.reuses()), (1, 0));
}

/// Law C19: no eviction loses a token that the store has not taken, and the map is bounded all the same.
#[tokio::test(start_paused = true)]
async fn a_session_whose_store_is_down_stays_until_the_store_has_its_tokens() {
    let users = Users::new(0..10, HOUR).await;
    let managers = TokenManagers::builder(users.clone()).capacity(2).build();
    for user in 0..4 {
        let session = managers.get(&user).await.unwrap().unwrap();
        session.access_token().await.unwrap();
        users.store(user).set_broken(true);
        session.force_refresh().await.unwrap();
        settle().await;
    }
    assert!(!managers.flush(Duration::from_secs(60)).await);
    let error = managers.get(&4).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::TooManySessions);
    for user in 0..4 {
        let token = token_of(&layered(&users, &managers), user).await.unwrap();
        assert_eq!(token, format!("Bearer access-{user}-2"));
        users.store(user).set_broken(false);
    }
    assert!(managers.flush(Duration::from_secs(60)).await);
    for user in 4..10 {
        managers.get(&user).await.unwrap();
    }
    assert!(managers.len() <= 2);
    for user in 0..4 {
        let token = token_of(&layered(&users, &managers), user).await.unwrap();
        assert_eq!(token, format!("Bearer access-{user}-2"));
    }
    assert_eq!((users.refreshes(), users.reuses()), (4, 0));
}

/// Law C19, whatever happens in whatever order: the server would notice a token that was lost.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_ten_thousand_random_steps() {
    const CROWD: u32 = 30;
    let mut seed = 0x2545_f491_u64;
    let mut draw = move |below: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u32 % below
    };
    let users = Users::new(0..CROWD, HOUR).await;
    (0..CROWD).for_each(|user| users.delay(user, Duration::from_millis(u64::from(user))));
    let managers = TokenManagers::builder(users.clone())
        .capacity(8)
        .idle_after(3 * SECOND)
        .build();
    for _ in 0..10_000 {
        let user = draw(CROWD);
        match draw(8) {
            0 => users.store(user).set_broken(draw(3) == 0),
            1 => tokio::time::sleep(Duration::from_millis(u64::from(draw(2000)))).await,
            2..=4 => {
                let managers = managers.clone();
                tokio::spawn(async move {
                    if let Ok(Some(session)) = managers.get(&user).await {
                        drop(session.force_refresh().await);
                    }
                });
            }
            _ => drop(managers.get(&user).await),
        }
        assert!(managers.len() <= 16, "{}", managers.len());
    }
    (0..CROWD).for_each(|user| users.store(user).set_broken(false));
    tokio::time::sleep(HOUR).await;
    assert!(managers.flush(Duration::from_secs(60)).await);
    assert!(users.refreshes() > 1000, "{}", users.refreshes());
    assert_eq!(users.reuses(), 0);
    for user in 0..CROWD {
        let session = managers.get(&user).await.unwrap().unwrap();
        session.force_refresh().await.unwrap();
    }
    assert_eq!(users.reuses(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_put_away_when_others_are_looked_for() {
    let users = Users::new(0..2, HOUR).await;
    let managers = TokenManagers::builder(users.clone())
        .idle_after(60 * SECOND)
        .build();
    let held = managers.get(&0).await.unwrap();
    tokio::time::advance(61 * SECOND).await;
    managers.get(&0).await.unwrap();
    drop(held);
    assert_eq!(users.loads(), [0]);
    tokio::time::advance(61 * SECOND).await;
    managers.get(&0).await.unwrap();
    assert_eq!(managers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_loaded_once_however_many_ask() {
    let users = Users::new([1, 2], HOUR).await;
    users.delay_loads(SECOND);
    let managers = TokenManagers::builder(users.clone()).build();
    let api = layered(&users, &managers);
    for token in join_all((0..100).map(|_| token_of(&api, 1))).await {
        assert_eq!(token.unwrap(), "Bearer access-1-1");
    }
    assert_eq!(users.loads(), [1]);
}

/// Those who wait go on if the first goes away, and if all do, the next one begins anew.
#[tokio::test(start_paused = true)]
async fn a_load_goes_on_as_long_as_somebody_waits_for_it() {
    let users = Users::new([1], HOUR).await;
    users.delay_loads(SECOND);
    let managers = TokenManagers::builder(users.clone()).build();
    let mut first = Box::pin(managers.get(&1));
    assert!(first.as_mut().now_or_never().is_none());
    let second = tokio::spawn({
        let managers = managers.clone();
        async move { managers.get(&1).await }
    });
    settle().await;
    drop(first);
    assert!(second.await.unwrap().unwrap().is_some());
    assert_eq!(users.loads(), [1]);

    let users = Users::new([1], HOUR).await;
    users.delay_loads(SECOND);
    let managers = TokenManagers::builder(users.clone()).build();
    assert!(managers.get(&1).now_or_never().is_none());
    assert!(managers.get(&1).await.unwrap().is_some());
    assert_eq!(users.loads(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_is_left_alone_for_a_while() {
    let users = Users::new([1, 2], HOUR).await;
    users.fail_loads(Some(LoadErrorKind::Transient));
    let managers = TokenManagers::builder(users.clone()).build();
    let failed = join_all((0..100).map(|_| managers.get(&1))).await;
    for error in failed {
        let error = error.unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "as the test wants");
    }
    assert_eq!(users.loads(), [1]);
    users.fail_loads(None);
    let error = managers.get(&1).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::BackingOff);
    let TokenError::RefreshUnavailable(error) = error else {
        panic!("{error}");
    };
    assert!(error.retry_after().unwrap() <= SECOND);
    assert!(managers.get(&2).await.unwrap().is_some());
    tokio::time::advance(SECOND).await;
    assert!(managers.get(&1).await.unwrap().is_some());
    assert_eq!(users.loads(), [1, 2, 1]);
}

#[tokio::test]
async fn the_loader_can_say_that_a_session_is_lost() {
    let users = Users::new([1], HOUR).await;
    users.fail_loads(Some(LoadErrorKind::Final));
    let managers = TokenManagers::builder(users.clone()).build();
    let error = token_of(&layered(&users, &managers), 1).await.unwrap_err();
    let error = error.downcast_ref::<SessionEnded>().unwrap();
    assert_eq!(error.reason(), EndReason::Lost);
    assert!(users.seen().is_empty());
}

/// The loader has said that somebody has to.
#[tokio::test(start_paused = true)]
async fn whoever_signs_in_need_not_wait_for_a_loader_that_had_failed() {
    let users = Users::new([1], HOUR).await;
    users.fail_loads(Some(LoadErrorKind::Final));
    let managers = TokenManagers::builder(users.clone()).build();
    managers.get(&1).await.unwrap_err();
    users.fail_loads(None);
    managers.get(&1).await.unwrap_err();
    let tokens = TokenSet::new("access-1-9", "refresh-1-9");
    managers.sign_in(&1, tokens).await.unwrap();
    let session = managers.get(&1).await.unwrap().unwrap();
    assert_eq!(session.access_token().await.unwrap().secret(), "access-1-9");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_or_never_answers_is_an_error() {
    let panics = |_: User| async {
        if true {
            panic!("as the test wants");
        }
        Ok(None)
    };
    let managers = TokenManagers::builder(panics).build();
    let error = managers.get(&1).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::Panicked);

    let silent = |_: User| std::future::pending::<Result<_, LoadError>>();
    let managers = TokenManagers::builder(silent).build();
    let start = Instant::now();
    let error = managers.get(&1).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_session_without_a_store_is_refused_with_a_word_on_what_to_do() {
    let users = Users::new([1], HOUR).await;
    let managers = TokenManagers::builder(move |_: User| {
        let session = refresh_client_layer::TokenManager::builder(users.clone())
            .tokens(TokenSet::new("access-1-1", "refresh-1-1"))
            .origin(crate::support::ORIGIN);
        async { Ok(Some(session)) }
    })
    .build();
    let error = managers.get(&1).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::Configuration);
    let why = error.source().unwrap().to_string();
    assert!(why.contains("store"), "{why}");
}

#[tokio::test]
async fn a_request_that_is_nobodys_gets_nobodys_token() {
    let users = Users::new([1], HOUR).await;
    let managers = TokenManagers::builder(users.clone()).build();
    managers.get(&1).await.unwrap();
    let layer = RefreshLayer::keyed(managers.clone());
    let other_type = Request::get(URL).extension(SessionKey("1"));
    for request in [
        get(URL),
        request_of(2),
        other_type.body(Body::default()).unwrap(),
    ] {
        let api = layer.layer(users.clone());
        let response = api.oneshot(request.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.not_retried(), Some(NotRetried::NoToken));
        assert_eq!(users.seen(), [None]);

        let strict = layer.clone().require_session().layer(users.clone());
        let error = strict.oneshot(request).await.unwrap_err();
        let error = error.downcast_ref::<SessionEnded>().unwrap();
        assert_eq!(error.reason(), EndReason::NeverSignedIn);
        assert!(users.seen().is_empty(), "nothing was sent");
    }
}

/// That there is no session is not remembered: somebody may sign in any moment.
#[tokio::test]
async fn a_sign_in_counts_at_once_here_and_elsewhere() {
    let users = Users::new([1], HOUR).await;
    let managers = TokenManagers::builder(users.clone()).build();
    assert!(managers.get(&2).await.unwrap().is_none());
    let tokens = || TokenSet::new("access-2-1", "refresh-2-1");
    let error = managers.sign_in(&2, tokens()).await.unwrap_err();
    assert!(matches!(error, TokenError::SessionEnded(_)));

    let store = users.store(2);
    managers.sign_in(&2, tokens()).await.unwrap();
    let none = TokenSet::new("access", "refresh\n");
    let error = managers.sign_in(&2, none).await.unwrap_err();
    assert!(matches!(
        error,
        TokenError::RefreshUnavailable(error) if error.kind() == UnavailableKind::InvalidTokens
    ));
    assert_eq!(store.access_token().await.unwrap(), "access-2-1");
    let api = layered(&users, &managers);
    assert_eq!(token_of(&api, 2).await.unwrap(), "Bearer access-2-1");

    managers.sign_out(&2).await.unwrap();
    assert_eq!(store.access_token().await, None);
    assert_eq!(token_of(&api, 2).await.unwrap(), "", "nobody is signed in");
    // Another process that shares the store.
    let elsewhere = TokenManagers::builder(users.clone()).build();
    elsewhere.sign_in(&2, tokens()).await.unwrap();
    assert_eq!(token_of(&api, 2).await.unwrap(), "Bearer access-2-1");
}

#[tokio::test]
async fn events_say_whose_they_are() {
    let users = Users::new([1, 2], HOUR).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let inside = told.clone();
    let managers = TokenManagers::builder(users.clone())
        .on_event(move |user: &User, event| inside.lock().unwrap().push((*user, event)))
        .build();
    let mut events = managers.events();
    for user in [2, 1] {
        let session = managers.get(&user).await.unwrap().unwrap();
        session.force_refresh().await.unwrap();
    }
    managers.sign_out(&2).await.unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| events.try_recv()).collect();
    assert!(
        matches!(
            heard[..],
            [
                (2, Event::Refreshed { generation: 2, .. }),
                (1, Event::Refreshed { generation: 2, .. }),
                (2, Event::SessionEnded { .. })
            ]
        ),
        "{heard:?}"
    );
    assert_eq!(*told.lock().unwrap(), heard);
}

/// Law C20. Two keys, two stores, one refresh token: the second refresh sends the newest one.
#[tokio::test(start_paused = true)]
async fn keys_that_share_a_refresh_token_do_not_use_it_twice() {
    let users = Users::new([1], HOUR).await;
    users.delay(1, SECOND);
    let twin = users.store(2);
    let tokens = TokenSet::new("access-1-1", "refresh-1-1");
    twin.save(&tokens).await.unwrap();
    let managers = TokenManagers::builder(users.clone()).build();
    let sessions = [
        managers.get(&1).await.unwrap().unwrap(),
        managers.get(&2).await.unwrap().unwrap(),
    ];
    let renewed = join_all(sessions.iter().map(|session| session.force_refresh())).await;
    let renewed: Vec<_> = renewed.into_iter().map(Result::unwrap).collect();
    assert_eq!(renewed[0].secret(), "access-1-2");
    assert_eq!(renewed[1].secret(), "access-1-3");
    assert_eq!((users.refreshes(), users.reuses()), (2, 0));
    assert_eq!(users.most_at_once(), 1);
    assert_eq!(twin.access_token().await.unwrap(), "access-1-3");

    // One is a few refreshes behind the other.
    for _ in 0..3 {
        tokio::time::advance(HOUR).await;
        sessions[0].force_refresh().await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let token = sessions[1].force_refresh().await.unwrap();
    assert_eq!(token.secret(), "access-1-7");
    assert_eq!((users.refreshes(), users.reuses()), (6, 0));
}
