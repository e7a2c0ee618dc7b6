use rusqlite::{Error, ErrorCode, ffi};

use crate::store::{StoreError, StoreErrorKind};

pub(super) fn of(error: Error) -> StoreError {
    let kind = match &error {
        Error::SqliteFailure(failure, _) => kind(*failure),
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, error)
}

fn kind(failure: ffi::Error) -> StoreErrorKind {
    match (failure.code, failure.extended_code) {
        (_, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => {
            StoreErrorKind::Conflict
        }
        (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    }
}
