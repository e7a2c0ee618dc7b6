use super::*;

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn an_open_error_does_not_print_the_password_and_says_what_to_do() {
    let cases = [
        ("auth:hunter2@host", RedisOpenErrorKind::InvalidUrl),
        (
            "redis://auth:hunter2@127.0.0.1:1",
            RedisOpenErrorKind::Unreachable,
        ),
    ];
    for (url, kind) in cases {
        let error = RedisStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let source = std::error::Error::source(&error).unwrap();
        let text = format!("{error} {error:?} {source}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let with_password = url().replace("redis://", "redis://nobody:hunter2@");
    let error = RedisStore::connect(&with_password).await.unwrap_err();
    assert_eq!(error.kind(), RedisOpenErrorKind::Denied, "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

/// Without a password of its own, and gone when the test ends well.
async fn with_rights(name: &str, rights: &str) -> String {
    let name = format!("{name}_{}", std::process::id());
    let mut user = cmd("ACL");
    user.arg("SETUSER")
        .arg(&name)
        .arg(&["reset", "on", ">word"]);
    user.arg(rights.split_whitespace().collect::<Vec<_>>());
    user.query_async::<()>(&mut raw(0).await).await.unwrap();
    url().replace("redis://", &format!("redis://{name}:word@"))
}

/// What the docs of the store say that a user needs.
fn documented(user: &str) -> &'static str {
    let begin = format!("/// ACL SETUSER {user} on >password ");
    let line = include_str!("../mod.rs").lines();
    let mut rights = line.filter_map(|it| it.strip_prefix(&begin));
    rights.next().unwrap()
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn the_documented_rights_are_enough() {
    let issuing = with_rights("issuing", documented("issuer")).await;
    let reading = with_rights("reading", documented("reader")).await;
    let store = RedisStore::connect(&issuing).await.unwrap();
    let reader = RedisStore::connect_to_read(&reading).await.unwrap();
    let (reused, ended) = (session("has rights"), session("has rights"));
    for it in [&reused, &ended] {
        store.insert(it.clone(), None).await.unwrap();
        assert_outcome(store.rotate(keyed(it.id, 0)).await, Outcome::Advanced);
    }
    assert_outcome(store.rotate(competing(reused.id, 9)).await, Outcome::Forked);
    let one = Selection::One(ended.id);
    let revoked = store.revoke(one.clone(), RevokedBy::Token, NOW).await;
    assert_eq!(revoked.unwrap().len(), 1);
    assert_eq!(
        reader.list(one, NOW).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    for store in [store, reader] {
        let feed = RevocationFeed::follow_by(store, Revocations::new(DAY), ManualClock::at(NOW));
        feed.current().await;
    }
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_user_who_may_not_do_what_is_needed_is_told_at_open() {
    for (name, lacks) in [
        ("no_scripts", "-evalsha"),
        ("no_hash", "-hset"),
        ("no_channel", "resetchannels"),
        ("no_news", "-subscribe"),
        ("no_word", "-publish"),
        ("no_time", "-time"),
        (
            "no_recent",
            "resetkeys ~auth_session:* ~auth_subject:* ~auth_schema",
        ),
    ] {
        let rights = format!("{} {lacks}", documented("issuer"));
        let url = with_rights(name, &rights).await;
        let error = RedisStore::connect(&url).await.unwrap_err();
        assert_eq!(
            error.kind(),
            RedisOpenErrorKind::Denied,
            "{name}: {error:?}"
        );
    }
    let url = with_rights("no_read", &format!("{} -zrange", documented("reader"))).await;
    let error = RedisStore::connect_to_read(&url).await.unwrap_err();
    assert_eq!(error.kind(), RedisOpenErrorKind::Denied);
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn opening_leaves_its_version_behind_and_nothing_else() {
    let mut raw = raw(5).await;
    cmd("FLUSHDB").query_async::<()>(&mut raw).await.unwrap();
    RedisStore::connect(&in_database(5)).await.unwrap();
    RedisStore::connect(&in_database(5)).await.unwrap();
    let keys: Vec<String> = cmd("KEYS").arg("*").query_async(&mut raw).await.unwrap();
    assert_eq!(keys, ["auth_schema"]);
    let set = cmd("SET").arg(&["auth_schema", "2"]).to_owned();
    set.query_async::<()>(&mut raw).await.unwrap();
    for opened in [
        RedisStore::connect(&in_database(5)).await,
        RedisStore::connect_to_read(&in_database(5)).await,
    ] {
        assert_eq!(opened.unwrap_err().kind(), RedisOpenErrorKind::Newer);
    }
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_server_that_is_too_old_is_told_from_a_new_one() {
    let answer: Vec<::redis::Value> = cmd("HELLO").query_async(&mut raw(0).await).await.unwrap();
    let version: String = ::redis::from_redis_value(answer[3].clone()).unwrap();
    let old = format!("6{}", &version[1..]);
    let through = saying(version, old).await;
    let error = RedisStore::connect(&through).await.unwrap_err();
    assert_eq!(error.kind(), RedisOpenErrorKind::Outdated);
    assert!(error.to_string().contains("needs Redis 7.0"), "{error}");
}

/// A server in between that says the one where the other is meant.
async fn saying(real: String, instead: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let address = server().strip_prefix("redis://").unwrap().to_owned();
        let mut server = TcpStream::connect(address).await.unwrap();
        let (mut asked, mut said) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                length = client.read(&mut asked) => match length.unwrap() {
                    0 => return,
                    length => server.write_all(&asked[..length]).await.unwrap(),
                },
                length = server.read(&mut said) => {
                    let text = String::from_utf8_lossy(&said[..length.unwrap()]);
                    let text = text.replace(&real, &instead);
                    client.write_all(text.as_bytes()).await.unwrap();
                }
            }
        }
    });
    through
}
