use super::*;

struct Case {
    start: Instant,
    schedule: Schedule,
}

impl Case {
    fn new() -> Self {
        let start = Instant::now();
        let schedule = Schedule::new(DAY, Duration::from_secs(5), start);
        Self { start, schedule }
    }

    /// With keys fetched at once and fresh for an hour, so that the next fetch is at 2,700 s.
    fn fetched() -> Self {
        let mut case = Self::new();
        assert_eq!(case.schedule.start(case.start), Some(Cause::Time));
        case.schedule.succeed(HOUR, 0.0, case.start);
        case
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn wakes_after(&self) -> f64 {
        self.schedule
            .wake_at()
            .duration_since(self.start)
            .as_secs_f64()
    }
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn keys_are_fetched_before_they_are_over_and_not_by_all_at_once() {
    for (chance, seconds) in [(0.0, 2_700.0), (1.0, 3_240.0)] {
        let mut case = Case::fetched();
        case.schedule.succeed(HOUR, chance, case.start);
        assert!((case.wakes_after() - seconds).abs() < 0.001);
    }
    let mut case = Case::fetched();
    assert_eq!(case.schedule.start(case.at(2_699)), None);
    assert_eq!(case.schedule.start(case.at(2_700)), Some(Cause::Time));
}

#[test]
fn a_lifetime_as_long_as_keys_are_kept_leaves_time_for_a_server_that_is_down() {
    let mut case = Case::fetched();
    case.schedule.succeed(DAY, 1.0, case.start);
    assert!(case.wakes_after() <= 43_200.0);
}

#[test]
fn failures_are_repeated_later_and_later_but_not_too_late() {
    let mut case = Case::fetched();
    let mut pauses = Vec::new();
    for _ in 0..70 {
        case.schedule.fail(1.0, case.start);
        pauses.push(case.wakes_after());
    }
    assert_eq!(pauses[..7], [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
    assert!((pauses[69] - 30.0).abs() < 0.001);
    case.schedule.fail(0.0, case.start);
    assert!((case.wakes_after() - 15.0).abs() < 0.001, "with jitter");
    case.schedule.succeed(HOUR, 0.0, case.start);
    case.schedule.fail(1.0, case.start);
    assert!(
        (case.wakes_after() - 1.0).abs() < 0.001,
        "from the beginning"
    );
}

/// V3.
#[test]
fn the_keys_of_a_server_that_is_down_are_kept_for_a_day() {
    let mut case = Case::fetched();
    case.schedule.fail(1.0, case.at(86_390));
    assert!(!case.schedule.expire(case.at(86_399)));
    assert!(case.schedule.expire(case.at(86_400)));
    assert!(!case.schedule.expire(case.at(86_400)), "only once");
    assert_eq!(case.schedule.age(case.at(86_400)), None);
}

/// V3.
#[test]
fn a_miss_a_moment_after_a_scheduled_fetch_is_fetched_at_once() {
    let mut case = Case::fetched();
    case.schedule.start(case.at(2_700));
    case.schedule.succeed(HOUR, 0.0, case.at(2_700));
    assert_eq!(case.schedule.miss(1, case.at(2_701)), Some(3));
    assert_eq!(case.schedule.start(case.at(2_701)), Some(Cause::Miss));
}

#[test]
fn misses_share_the_fetch_that_is_coming_and_the_one_under_way() {
    let mut case = Case::fetched();
    let now = case.at(60);
    assert_eq!(case.schedule.miss(1, now), Some(2));
    assert_eq!(case.schedule.miss(2, now), Some(2), "coming");
    assert_eq!(case.schedule.start(now), Some(Cause::Miss));
    assert_eq!(case.schedule.miss(3, now), Some(2), "under way");
    assert_eq!(case.schedule.finished(), 1);
    case.schedule.succeed(HOUR, 0.0, now);
    assert_eq!(case.schedule.finished(), 2);
    assert_eq!(case.schedule.start(now), None, "one fetch for all three");
    for kid in [1, 2] {
        assert_eq!(case.schedule.miss(kid, case.at(65)), None, "looked for");
    }
    assert_eq!(case.schedule.miss(3, case.at(65)), Some(3), "came too late");
}

#[test]
fn nobody_waits_for_a_server_that_is_down() {
    let mut case = Case::fetched();
    case.schedule.start(case.at(2_700));
    case.schedule.fail(1.0, case.at(2_700));
    assert_eq!(case.schedule.miss(1, case.at(2_700)), None);
    assert!(!case.schedule.is_current());
    case.schedule.start(case.at(2_701));
    assert_eq!(
        case.schedule.miss(1, case.at(2_701)),
        None,
        "nor while it is tried"
    );
}

#[test]
fn before_the_first_fetch_everybody_waits_for_it() {
    let mut case = Case::new();
    assert_eq!(case.schedule.miss(1, case.start), Some(1));
    assert_eq!(case.schedule.next(), 1);
    case.schedule.start(case.start);
    assert_eq!(case.schedule.miss(2, case.start), Some(1));
    assert_eq!(case.schedule.next(), 1);
}

#[test]
fn a_fetch_that_came_to_nothing_is_still_wanted() {
    let mut case = Case::fetched();
    let now = case.at(60);
    assert_eq!(case.schedule.miss(1, now), Some(2));
    case.schedule.start(now);
    case.schedule.abandon();
    assert_eq!(case.schedule.finished(), 1, "who waits for it goes on");
    assert_eq!(case.schedule.miss(1, now), Some(2), "it was not looked for");
    assert_eq!(case.schedule.start(now), Some(Cause::Miss));
    let mut idle = Case::fetched();
    idle.schedule.abandon();
    assert_eq!(
        idle.schedule.start(idle.at(1)),
        None,
        "nothing was under way"
    );
}
