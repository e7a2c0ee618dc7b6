use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;

/// `GET /metrics`, in the text format of Prometheus: all that is counted from now on.
///
/// # Errors
/// When something else counts already.
pub fn metrics() -> Result<Router, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let upkeep = recorder.clone();
    drop(tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_secs(5));
        loop {
            pace.tick().await;
            upkeep.run_upkeep();
        }
    }));
    let render = async move || recorder.render();
    Ok(Router::new().route("/metrics", get(render)))
}
