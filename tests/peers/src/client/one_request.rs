use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use allocation_counter::measure;
use http::{Request, Response, StatusCode};
use refresh_client_layer::{RefreshError, RefreshLayer, RefreshRequest, TokenManager, TokenSet};
use tower::{Layer as _, Service};
use tower_http::auth::AddAuthorization;

use super::by_hand::ByHand;
use super::{Api, Body, ORIGIN, TOKEN, request};
use crate::BoxError;
use crate::report::{Bar, Report};
use crate::rounds::{self, Effort, Series};

/// One request with a live token, from the call to the answer, in nanoseconds.
pub(super) fn run(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    let mut bare = Contender::new("bare service", Api);
    let mut add = Contender::new("AddAuthorization", AddAuthorization::bearer(Api, TOKEN));
    let mut by_hand = Contender::new("by hand", ByHand::new(Api, TOKEN, || unreachable!()));
    let mut ours = Contender::new(
        "refresh-client-layer",
        RefreshLayer::new(session()?).layer(Api),
    );
    for _ in 0..effort.rounds {
        let mut spent = [Duration::ZERO; 4];
        for _ in 0..BATCHES {
            spent[0] += bare.batch();
            spent[1] += add.batch();
            spent[2] += by_hand.batch();
            spent[3] += ours.batch();
        }
        let per_call = spent.map(|it| it.as_nanos() as f64 / (BATCHES * BATCH) as f64);
        bare.nanoseconds.push(per_call[0]);
        add.nanoseconds.push(per_call[1]);
        by_hand.nanoseconds.push(per_call[2]);
        ours.nanoseconds.push(per_call[3]);
    }
    report.title("client: one request with a live token, median (min..max)");
    report.row(&[&"", &"ns", &"ns over the bare service", &"allocations"]);
    let base = bare.nanoseconds.clone();
    let counts = [
        bare.report(&base, report),
        add.report(&base, report),
        by_hand.report(&base, report),
        ours.report(&base, report),
    ];
    let whole = ours.nanoseconds.over(&by_hand.nanoseconds);
    let extra = ours
        .nanoseconds
        .minus(&base)
        .over(&by_hand.nanoseconds.minus(&base));
    report.hold("client, whole call / by hand", &whole, Bar::AtMost(0.9));
    report.hold(
        "client, over the bare service / by hand",
        &extra,
        Bar::AtMost(0.9),
    );
    let mut allocations = Series::default();
    allocations.push(counts[3] / counts[2]);
    report.hold(
        "client, allocations / by hand",
        &allocations,
        Bar::AtMost(1.0),
    );
    Ok(())
}

const BATCH: usize = 200;
const BATCHES: usize = 250;

fn session() -> Result<TokenManager, BoxError> {
    let never = |_: RefreshRequest| std::future::pending::<Result<TokenSet, RefreshError>>();
    let tokens = TokenSet::new(TOKEN, "refresh").expires_in(Duration::from_secs(3_600));
    Ok(TokenManager::builder(never)
        .tokens(tokens)
        .origin(ORIGIN)
        .build()?)
}

struct Contender<S> {
    name: &'static str,
    service: S,
    nanoseconds: Series,
}

impl<S> Contender<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    fn new(name: &'static str, service: S) -> Self {
        let nanoseconds = Series::default();
        Self {
            name,
            service,
            nanoseconds,
        }
    }

    /// The time of a batch of calls; their requests are made before.
    fn batch(&mut self) -> Duration {
        let requests: Vec<_> = (0..BATCH).map(|_| request()).collect();
        let begin = rounds::now();
        for request in requests {
            self.call(request);
        }
        begin.elapsed()
    }

    fn call(&mut self, request: Request<Body>) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.service.poll_ready(&mut context).is_ready());
        let polled = pin!(self.service.call(request)).poll(&mut context);
        let response = polled.map(|it| it.map(|it| it.status()).ok());
        assert!(response == std::task::Poll::Ready(Some(StatusCode::OK)));
    }

    /// Returns the number of allocations.
    fn report(&mut self, bare: &Series, report: &Report) -> f64 {
        let request = request();
        let count = measure(|| self.call(request)).count_total;
        let over = self.nanoseconds.minus(bare);
        report.row(&[&self.name, &self.nanoseconds, &over, &count]);
        count as f64
    }
}
