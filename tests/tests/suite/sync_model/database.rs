//! Direct access to the database, bypassing the store's merge rule.

use std::sync::Arc;

use bridge_core::{ResponseUsage, ResponseVersion};
use bridge_storage::{
    BackupFormat, BackupStore, CheckpointStore, ClickHouseOptions, ClickHouseStore, InMemoryStore,
    TokenStore, UpsertOptions,
};
use bridge_testkit::engine::TestDatabase;

pub(crate) enum Database {
    Memory(Arc<InMemoryStore>),
    Server {
        live: Arc<ClickHouseStore>,
        /// Encodes rows for the import into `live`.
        scratch: Box<ClickHouseStore>,
    },
}

impl Database {
    pub(crate) async fn server(name: &str) -> Self {
        let (live, scratch) = (migrated(name).await, migrated(&format!("{name}_scratch")).await);
        Self::Server { live: Arc::new(live), scratch: Box::new(scratch) }
    }

    pub(crate) fn store(&self) -> Arc<dyn TokenStore> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Server { live, .. } => live.clone(),
        }
    }

    /// Stores the row under this version, even if it does not match the row's content.
    pub(crate) async fn put(&self, row: &ResponseUsage, version: ResponseVersion) {
        match self {
            Self::Memory(store) => store.forge(row.clone(), version),
            Self::Server { live, scratch } => {
                let rows = [ResponseUsage { forced: 0, ..row.clone() }];
                scratch.upsert(&rows, &UpsertOptions::default().forced()).await.unwrap();
                let mut export = scratch.begin_export(BackupFormat::JsonLines).await.unwrap();
                let mut part = export.next_part().await.unwrap().unwrap();
                let lines = String::from_utf8(part.data).unwrap();
                let own =
                    lines.lines().find(|line| line.contains(&format!("\"key\":{},", row.key.0))).unwrap();
                let (head, _) = own.split_once("\"version\":").unwrap();
                part.data = format!("{head}\"version\":{}}}\n", decimal(version)).into_bytes();
                part.rows = 1;
                live.import_part(&part, live.state().await.unwrap().epoch).await.unwrap();
            }
        }
    }
}

async fn migrated(name: &str) -> ClickHouseStore {
    let options = ClickHouseOptions::from_url(&TestDatabase::named(name).writer_url()).unwrap();
    let store = ClickHouseStore::new(options).unwrap();
    store.migrate().await.unwrap();
    store
}

fn decimal(version: ResponseVersion) -> String {
    let mut digits = vec![0_u8];
    for byte in version.to_le_bytes().into_iter().rev() {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap();
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}
