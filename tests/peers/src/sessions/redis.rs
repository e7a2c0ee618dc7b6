use auth_layer::store::RedisStore;

use super::compare;
use super::redis_benchmark::RedisBenchmark;
use crate::BoxError;
use crate::report::Report;
use crate::rounds::{Effort, Series};

pub(super) async fn run(effort: Effort, report: &Report) -> Result<Series, BoxError> {
    let url = std::env::var("TEST_REDIS_URL")?;
    let store = RedisStore::connect(&url).await?;
    let mut benchmark = RedisBenchmark::new(&url).await?;
    compare("redis", &store, &mut benchmark, effort, report).await
}
