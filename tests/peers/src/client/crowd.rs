use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use refresh_client_layer::{RefreshError, RefreshLayer, RefreshRequest, TokenManager, TokenSet};
use tokio::task::JoinSet;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::{Body, ORIGIN, Strict, request};
use crate::BoxError;
use crate::report::{Bar, Report};
use crate::rounds::{self, Effort, Series};
use crate::sessions::runtime;

/// 10,000 tasks whose token is dead: how long until all have an answer, beside the refresh and as many plain calls.
pub(super) fn run(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    runtime()?.block_on(async {
        report.title("client: 10,000 tasks on an expired token, milliseconds, median (min..max)");
        let plain_name = format!("{} ms + plain calls", LATENCY.as_millis());
        report.row(&[&"", &"all done", &plain_name, &"ratio"]);
        crowd("known to be expired", true, effort, report).await?;
        crowd("refused by the server", false, effort, report).await
    })
}

const TASKS: usize = 10_000;
const LATENCY: Duration = Duration::from_millis(100);

async fn crowd(
    name: &str,
    is_known: bool,
    effort: Effort,
    report: &mut Report,
) -> Result<(), BoxError> {
    let (mut ours, mut plain) = (Series::default(), Series::default());
    for _ in 0..effort.rounds {
        let api = Strict::default();
        let bare = service_fn(move |request| api.clone().answer(request));
        let calls = all_done(bare, StatusCode::UNAUTHORIZED).await?;
        plain.push((LATENCY + calls).as_secs_f64() * 1e3);
        ours.push(with_dead_token(is_known).await?.as_secs_f64() * 1e3);
    }
    let ratio = ours.over(&plain);
    report.row(&[&name, &ours, &plain, &ratio]);
    report.hold(
        &format!("client, 10,000 tasks, {name}"),
        &ratio,
        Bar::AtMost(1.3),
    );
    Ok(())
}

async fn with_dead_token(is_known: bool) -> Result<Duration, BoxError> {
    let api = Strict::default();
    let refreshes = Arc::new(AtomicU32::new(0));
    let refresher = {
        let (api, refreshes) = (api.clone(), refreshes.clone());
        move |_: RefreshRequest| {
            let (api, refreshes) = (api.clone(), refreshes.clone());
            async move {
                refreshes.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(LATENCY).await;
                Ok::<_, RefreshError>(TokenSet::new(api.next(), "refresh"))
            }
        }
    };
    let mut tokens = TokenSet::new("expired", "refresh");
    if is_known {
        tokens = tokens.expires_in(Duration::ZERO);
    }
    let session = TokenManager::builder(refresher)
        .tokens(tokens)
        .origin(ORIGIN)
        .build()?;
    let inner = service_fn(move |request| api.clone().answer(request));
    let spent = all_done(RefreshLayer::new(session).layer(inner), StatusCode::OK).await?;
    match refreshes.load(Ordering::SeqCst) {
        1 => Ok(spent),
        other => Err(format!("{other} refreshes instead of one").into()),
    }
}

async fn all_done<S>(service: S, wanted: StatusCode) -> Result<Duration, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send,
    S::Future: Send,
{
    let begin = rounds::now();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let service = service.clone();
        tasks.spawn(async move { service.oneshot(request()).await.map(|it| it.status()) });
    }
    for status in tasks.join_all().await {
        let status = status.map_err(Into::into)?;
        if status != wanted {
            return Err(format!("answered with {status}").into());
        }
    }
    Ok(begin.elapsed())
}
