use std::fs;

use super::root;

#[test]
fn the_pages_of_defaults_give_the_numbers_of_the_code() {
    for (library, numbers) in [("auth-layer", SERVER), ("refresh-client-layer", CLIENT)] {
        let folder = root().join(library).join("src");
        let page = fs::read_to_string(folder.join("guide/defaults.md")).unwrap();
        for number in numbers.lines() {
            let [file, code, text] = parts(number).expect("three parts");
            let source = fs::read_to_string(folder.join(file)).unwrap();
            assert!(sets(&source, code), "{library}/{file} has no {code}");
            assert!(page.contains(text), "{library}/{file}: {code}: not {text}");
        }
    }
}

/// Not `60` where there is `600`.
fn sets(source: &str, code: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|it: char| it.is_ascii_digit() || it == '_');
    source.split(code).skip(1).any(|rest| !goes_on(rest))
}

/// A file, what it sets, and what the page says of it.
fn parts(number: &str) -> Option<[&str; 3]> {
    let (file, rest) = number.split_once(": ")?;
    let (code, text) = rest.split_once(" => ")?;
    Some([file, code, text])
}

const CLIENT: &str = r#"schedule.rs: ADVISORY: Duration = Duration::from_secs(60) => 60 s before it, or a quarter
schedule.rs: MANDATORY: Duration = Duration::from_secs(10) => 10 s before expiry, or a tenth
schedule.rs: SHORTEST_LIFETIME: Duration = Duration::from_secs(1) => a lifetime under 1 s
manager/builder.rs: attempt_timeout: Duration::from_secs(30) => one refresh | 30 s
manager/builder.rs: wait_timeout: Duration::from_secs(45) => waits for a token | 45 s
manager/builder.rs: KEPT: usize = 64 => miss none of | 64,
manager/backoff.rs: FIRST: Duration = Duration::from_secs(1) => 1 s, doubled
manager/backoff.rs: LONGEST: Duration = Duration::from_secs(60) => doubled up to 60 s
manager/backoff.rs: LONGEST_WISH: Duration = Duration::from_secs(5 * 60) => heeded up to 5 min
manager/budget.rs: ALLOWED: usize = 5 => early refreshes | 5 in
manager/budget.rs: WINDOW: Duration = Duration::from_secs(30) => 5 in 30 s
manager/flight/attempt.rs: SUPERSEDED_PATIENCE: u32 = 3 => three times a fault
manager/sign_out.rs: PATIENCE: Duration = Duration::from_secs(5) => sign-out at the server | 5 s
manager/persist.rs: MOST_WRITES: u32 = 8 => asked 8 times
store/erased.rs: PATIENCE: Duration = Duration::from_secs(10) => call of a store | 10 s
tokens.rs: LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600) => 10 years
tokens/jwt.rs: LATEST: Duration = LONGEST_LIFETIME.saturating_mul(50) => 500 years
tokens/jwt.rs: LONGEST_CLAIMS: usize = 16 * 1024 => read for `exp` | 16 KiB
dpop/nonces.rs: MOST: usize = 32 => newest of 32 origins
dpop/nonces.rs: LONGEST: usize = 1024 => up to 1 KiB each
replay/mod.rs: DEFAULT_CAP: usize = 64 * 1024 => streamed body | 64 KiB
replay/tape.rs: MOST_FRAMES: usize = 4096 => frames of it | 4,096
future/allowance.rs: ALLOWANCE: u64 = 32 * 1024 => while a refresh runs | 32 KiB
future/answer.rs: PATIENCE: Duration = Duration::from_millis(250) => 250 ms
challenge.rs: LONGEST_HEADER: usize = 8 * 1024 => that is read | 8 KiB
refresh/http.rs: LONGEST_ANSWER: usize = 64 * 1024 => answer to a refresh | 64 KiB
reqwest/redirect.rs: MOST_HOPS: usize = 10 => same_origin_redirects) | 10
managers/builder.rs: capacity: 10_000 => sessions that are kept | 10,000
managers/builder.rs: idle_after: Duration::from_secs(15 * 60) => idle for | 15 min
managers/builder.rs: load_timeout: Duration::from_secs(30) => load one | 30 s
managers/builder.rs: KEPT: usize = 1024 => of many sessions 1,024
managers/shelf.rs: SAMPLE: usize = 8 => least lately of 8
managers/shelves.rs: MOST_SHELVES: usize = 64 => up to 64, each
managers/shelves.rs: SHELF: usize = 128 => 128 sessions or more
managers/shelves.rs: AT_ONCE: usize = 2 => up to twice as many
managers/family.rs: REMEMBERED: usize = 8 => same refresh token | 8
store/file.rs: NAP: Duration = Duration::from_millis(20) => | 20 ms |
store/file/lock.rs: NAP: Duration = Duration::from_millis(5) => wait for the lock | 5 s
store/file/lock.rs: MOST_NAPS: u32 = 1000 => wait for the lock | 5 s
store/file/disk.rs: LONGEST_FILE: u64 = 1024 * 1024 => longest file | 1 MiB
store/keyring/chain.rs: LONGEST: usize = 2_500 => 2,500 bytes
store/keyring/chain.rs: MOST_PARTS: usize = 64 => up to 64 of them"#;

const SERVER: &str = r#"verify/builder.rs: LONGEST_LEEWAY: Duration = Duration::from_secs(300) => at most 300 s
verify/builder.rs: max_token_bytes: 16 * 1024 => longest token | 16 KiB
verify/token.rs: LONGEST_HEADER: usize = (4 * 1024_usize * 4).div_ceil(3) => header 4 KiB
verify/builder.rs: cached_tokens: 8_192 => remembered tokens | 8,192
verify/cache.rs: BYTES_PER_ENTRY: u64 = 2 * 1024 => in at most 16 MiB
revocation.rs: Self::bounded(longest, 1_000_000) => that are held | a million
proof/dpop.rs: max_age: Duration::from_secs(60) => age of a proof | 60 s
proof/dpop.rs: ahead: Duration::from_secs(5) => 60 s, 5 s ahead
proof/memory.rs: Self::bounded(500_000, 20_000) => 500,000, of one key 20,000
keys/remote/answer.rs: SHORTEST: Duration = Duration::from_secs(60) => between a minute and
keys/remote/answer.rs: LONGEST: Duration = Duration::from_secs(24 * 60 * 60) => and a day;
keys/remote/answer.rs: DEFAULT: Duration = Duration::from_secs(60 * 60) => else an hour
keys/remote/answer.rs: MAX_BYTES: usize = 256 * 1024 => 256 KiB
keys/remote/document.rs: MAX_KEYS: usize = 64 => 64 keys
keys/remote/builder.rs: refetch_interval: Duration::from_secs(5) => one in 5 s
keys/remote/schedule.rs: FIRST_BACKOFF: Duration = Duration::from_secs(1) => retries | 1 s
keys/remote/schedule.rs: LONGEST_BACKOFF: Duration = Duration::from_secs(30) => doubled up to 30 s
keys/remote/schedule.rs: TIMEOUT: Duration = Duration::from_secs(10) => one fetch | 10 s
issue/builder.rs: access_ttl: Duration::from_secs(15 * 60) => access token | 15 min
issue/builder.rs: self.access_ttl > HOUR => at most an hour
issue/builder.rs: idle: 14 * DAY => unused session | 14 days
issue/builder.rs: absolute: 90 * DAY => session in all | 90 days
issue/builder.rs: LONGEST_REPEAT_LEEWAY: Duration = Duration::from_secs(60) => at most 60 s
issue/builder.rs: claims_timeout: Duration::from_secs(10) => asked before the rotation; 10 s
issue/builder.rs: cleanup: Some(HOUR) => cleanup | every hour
issue/cleanup.rs: AT_A_TIME: u32 = 1_000 => a thousand at a time
issue/cleanup.rs: KEPT: Duration = Duration::from_secs(10 * 60) => 10 min after the end
endpoint/endpoints.rs: keys_max_age: Duration::from_secs(300) => `max-age` 5 min
endpoint/endpoints.rs: body_timeout: Duration::from_secs(10) => within 10 s
endpoint/read.rs: LONGEST: usize = 16 * 1024 => body | 16 KiB
endpoint/limit/mod.rs: per_minute: THIRTY => 30 a minute
endpoint/limit/mod.rs: burst: TEN => 10 at once
endpoint/limit/mod.rs: per_minute: SIXTY => 60 a minute
endpoint/limit/bucket.rs: WHOLE: NonZeroU32 = NonZeroU32::new(16) => costs a sixteenth
store/mod.rs: LIST_LIMIT: usize = 1_000 => one list | 1,000
store/postgres/rotations.rs: QUEUE: usize = 16 * 1024 => that wait | 16,384
store/postgres/rotations.rs: BATCH: usize = 512 => 512 travel together
store/rotation.rs: LONGEST_WAIT: Duration = Duration::from_secs(10) => for a store | 10 s
store/postgres/feed.rs: SELDOM: Duration = Duration::from_secs(5) => besides every 5 s
store/postgres/open.rs: acquire_timeout(Duration::from_secs(5)) => 5 s to get one
store/sqlite/queue.rs: LENGTH: usize = 16 * 1024 => that wait | 16,384
store/sqlite/writer.rs: BATCH: usize = 512 => 512 travel together
store/sqlite/feed.rs: POLL: Duration = Duration::from_millis(500) => SQLite: every 0.5 s
store/sqlite/file.rs: "page_size", 1_024 => 1 KiB
store/sqlite/file.rs: LONGEST_LOG: i64 = 16_000 => at 16,000 pages
store/sqlite/file.rs: CACHE_KIB: i64 = 64 * 1024 => at most 64 MiB
store/sqlite/checkpoints.rs: EVERY: usize = 4_000 => every 4,000 rotations
store/redis/feed.rs: SELDOM: Duration = Duration::from_secs(5) => besides every 5 s
store/redis/link.rs: set_connection_timeout(Some(Duration::from_secs(2))) => 2 s to connect
store/redis/link.rs: LONGEST_ANSWER: Duration = Duration::from_secs(2) => 2 s for an answer
store/redis/open.rs: with_time(Duration::from_secs(15)) => after 15 s
store/redis/open.rs: set_user_timeout(Duration::from_secs(30)) => 30 s for what is not"#;
