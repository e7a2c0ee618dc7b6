use super::*;

/// A server in between that forwards everything, and keeps what clients send for as long as it is held.
async fn holding() -> (String, tokio::sync::watch::Sender<bool>) {
    let server = server().strip_prefix("redis://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("redis://{}", listener.local_addr().unwrap());
    let (hold, held) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            let mut held = held.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let mut bytes = [0; 16 * 1024];
                while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                    let _ = held.wait_for(|it| !it).await;
                    if to_server.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (through, hold)
}

/// R12 and R13: Redis reaches it late, and says so.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_rotation_that_redis_reaches_after_its_caller_was_refused_is_not_carried_out() {
    let (through, hold) = holding().await;
    let store = RedisStore::connect(&through).await.unwrap();
    let (late, slow) = (session("comes late"), session("is slow"));
    for it in [&late, &slow] {
        store.insert(it.clone(), None).await.unwrap();
    }
    let impatient = |id| Rotation {
        timeout: Duration::from_millis(500),
        ..plain(id, 0)
    };
    hold.send(true).unwrap();
    let release = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        hold.send(false).unwrap();
    };
    let (refused, waited, ()) = tokio::join!(
        store.rotate(impatient(late.id)),
        store.rotate(plain(slow.id, 0)),
        release,
    );
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_outcome(store.rotate(plain(late.id, 0)).await, Outcome::Advanced);
    // It was not answered in the usual time, and its caller still waited.
    assert_outcome(waited, Outcome::Advanced);
}
