//! Streamed bodies over real sockets: sent twice byte for byte, or once and the outcome says why.

mod client;
mod server;
mod taken_back;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use refresh_client_layer::NotRetried;
use refresh_client_layer::replay::{NoReplay, ReplayCap};

use client::{Way, chunk, stream, sum, whole};
use server::{Reads, Server};

use crate::support::World;

const CAP: usize = 1 << 16;

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(10), work).await;
    soon.expect("it does not hang")
}

/// Laws H2 and H3.
#[tokio::test]
async fn a_stream_and_its_trailers_are_sent_twice_byte_for_byte() {
    for way in Way::all() {
        let server = Server::start(way.is_h2, Reads::Everything).await;
        let (body, bytes) = whole();
        let sent = way.send(&World::new(), &server, server.post(body), CAP);
        let (status, outcome) = soon(sent).await;
        assert_eq!((status, outcome.attempts()), (StatusCode::OK, 2), "{way:?}");
        let hits = server.hits();
        assert_eq!(hits.len(), 2);
        for hit in hits {
            assert_eq!(hit.body, bytes);
            assert_eq!(hit.trailers, Some(sum()));
        }
    }
}

/// Law H2: before the first byte, and mid-stream.
#[tokio::test]
async fn an_early_401_takes_the_rest_of_the_stream_to_the_second_attempt() {
    for way in Way::all() {
        for reads in [Reads::Nothing, Reads::OneFrame, Reads::Never] {
            let server = Server::start(way.is_h2, reads).await;
            let world = World::new();
            world.hold();
            let (sender, body) = stream();
            let send = |number| sender.send(Frame::data(chunk(number))).unwrap();
            let first = u8::from(reads == Reads::OneFrame);
            (0..first).for_each(send);
            let sent = tokio::spawn(way.send(&world, &server, server.post(body), CAP));
            soon(world.called(1)).await;
            // The rest comes into being while the token is refreshed, and after it.
            send(first);
            world.release();
            for number in first + 1..10 {
                send(number);
                tokio::task::yield_now().await;
            }
            sender.send(Frame::trailers(sum())).unwrap();
            drop(sender);
            let (status, _) = soon(sent).await.unwrap();
            assert_eq!((status, server.refused()), (StatusCode::OK, 1), "{way:?}");
            let hits = server.hits();
            assert_eq!(hits.len(), 1, "the first body was never completed");
            assert_eq!(hits[0].body, whole().1);
            assert_eq!(hits[0].trailers, Some(sum()));
            if !way.is_h2 {
                soon(server.closed()).await;
            }
        }
    }
}

/// Law H2: the peer answers and never reads. Its connection is closed, or at least the stream.
#[tokio::test]
async fn a_peer_that_never_reads_does_not_hold_up_the_second_attempt() {
    for way in Way::all() {
        let server = Server::start(way.is_h2, Reads::Never).await;
        // More than the buffers of a system hold, or the window of a stream.
        let mebibytes = if way.is_h2 { 4 } else { 32 };
        let chunks = (0..mebibytes).map(|number| Bytes::from(vec![number; 1 << 20]));
        let bytes = chunks.clone().collect::<Vec<_>>().concat();
        let chunks = chunks.map(|chunk| Ok(Frame::data(chunk)));
        let body = StreamBody::new(futures_util::stream::iter(chunks)).boxed();
        let sent = way.send(&World::new(), &server, server.post(body), 64 << 20);
        let (status, outcome) = soon(sent).await;
        assert_eq!((status, outcome.attempts()), (StatusCode::OK, 2), "{way:?}");
        let hits = server.hits();
        assert_eq!(hits.len(), 1);
        assert!(hits[0].body == bytes, "other bytes came: {way:?}");
        for unread in server.unread() {
            soon(unread.collect()).await.unwrap_err();
        }
        if !way.is_h2 {
            soon(server.closed()).await;
        }
    }
}

/// Law H1.
#[tokio::test]
async fn the_content_length_of_a_stream_is_that_of_the_second_attempt() {
    for way in Way::all() {
        let server = Server::start(way.is_h2, Reads::Everything).await;
        let body = Full::new(chunk(7)).map_err(|never| match never {}).boxed();
        let request = Request::post(format!("http://{}/", server.addr)).body(body);
        let sent = way.send(&World::new(), &server, request.unwrap(), CAP);
        assert_eq!(soon(sent).await.0, StatusCode::OK);
        for hit in server.hits() {
            assert_eq!(hit.headers["content-length"], "1000", "{way:?}");
            assert_eq!(hit.body, chunk(7));
        }
        assert_eq!(server.hits().len(), 2);
    }
}

/// Law H2.
#[tokio::test]
async fn past_the_cap_the_401_is_returned_and_the_outcome_says_why() {
    for way in Way::all() {
        for (cap, expected) in [(9_999, Some(NotRetried::BodyPastCap)), (10_000, None)] {
            let server = Server::start(way.is_h2, Reads::Everything).await;
            let world = World::new();
            let (body, bytes) = whole();
            let mut request = server.post(body);
            request.extensions_mut().insert(ReplayCap(cap));
            let sent = way.send(&world, &server, request, CAP);
            let (status, outcome) = soon(sent).await;
            assert_eq!(outcome.not_retried(), expected, "{way:?}");
            assert_eq!(status == StatusCode::UNAUTHORIZED, expected.is_some());
            let hits = server.hits();
            assert_eq!(hits.len(), outcome.attempts() as usize);
            for hit in hits {
                assert_eq!(hit.body, bytes);
            }
            // In any case the next request has a new token.
            soon(world.called(1)).await;
        }
    }
}

/// Law H2: frames cost memory of their own. Servers of HTTP/2 take so many tiny ones for an attack.
#[tokio::test]
async fn more_than_4096_frames_are_past_any_cap() {
    for way in Way::all().filter(|way| !way.is_h2) {
        for (count, expected) in [(4096, None), (4097, Some(NotRetried::BodyPastCap))] {
            let server = Server::start(way.is_h2, Reads::Everything).await;
            let (sender, body) = stream();
            let bytes = (0..count).map(|number| number as u8).collect::<Vec<_>>();
            for byte in &bytes {
                let byte = Bytes::copy_from_slice(&[*byte]);
                sender.send(Frame::data(byte)).unwrap();
            }
            drop(sender);
            let sent = way.send(&World::new(), &server, server.post(body), CAP);
            let (_, outcome) = soon(sent).await;
            assert_eq!(outcome.not_retried(), expected, "{way:?}");
            for hit in server.hits() {
                assert!(hit.body == bytes, "other bytes came: {way:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_replay_sends_once_whatever_the_body() {
    for way in Way::all() {
        let server = Server::start(way.is_h2, Reads::Everything).await;
        let (body, bytes) = whole();
        let mut request = server.post(body);
        request.extensions_mut().insert(NoReplay);
        let (status, outcome) = soon(way.send(&World::new(), &server, request, CAP)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(outcome.attempts(), 1);
        assert_eq!(outcome.not_retried(), Some(NotRetried::OptedOut), "{way:?}");
        let hits = server.hits();
        assert_eq!(hits.len(), 1);
        assert_eq!(
            (&hits[0].body[..], &hits[0].trailers),
            (&bytes[..], &Some(sum()))
        );
    }
}
