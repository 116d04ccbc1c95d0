//! Connections that wait for their next call. One on which a call was left half-way is closed, never given
//! out again.

use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleError, RecycleResult};
use tideway::jobs::StoreError;

use crate::connect::{Address, Conn};
use crate::error::fatal;

/// Opens connections.
pub(crate) struct Opener(pub(crate) Address);

/// A connection on loan.
pub(crate) type Loan = Object<Opener>;

pub(crate) fn pool(address: Address, connections: usize) -> Result<Pool<Opener>, StoreError> {
    let built = Pool::builder(Opener(address))
        .max_size(connections.max(1))
        .build();
    built.map_err(|error| fatal(&error.to_string()))
}

impl Manager for Opener {
    type Type = Conn;
    type Error = StoreError;

    async fn create(&self) -> Result<Conn, StoreError> {
        self.0.connect().await
    }

    async fn recycle(&self, conn: &mut Conn, _: &Metrics) -> RecycleResult<StoreError> {
        conn.check().map_err(RecycleError::Backend)
    }
}
