//! A store with faults: so many calls fail, then it is a folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use crate::storage::{
    Action, Body, Cutting, Folder, Found, ObjectKey, Storage, StorageError, Tried, Upload, UrlTerms,
};

pub struct Faulty {
    folder: Folder,
    faults_left: AtomicUsize,
}

impl Faulty {
    pub fn new(folder: Folder, faults: usize) -> Self {
        Self { folder, faults_left: AtomicUsize::new(faults) }
    }

    /// Ends the faults.
    pub fn recover(&self) {
        self.faults_left.store(0, Ordering::SeqCst);
    }

    fn fault(&self) -> Result<(), StorageError> {
        let left = self.faults_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match left {
            Ok(_) => Err(StorageError::Unavailable {
                action: Action::Reach { place: "the store".into() },
                source: "connection refused".into(),
            }),
            Err(_) => Ok(()),
        }
    }
}

impl Storage for Faulty {
    fn describe(&self) -> String {
        self.folder.describe()
    }

    fn cutting(&self) -> Cutting {
        self.folder.cutting()
    }

    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.folder.ensure_ready()
    }

    fn try_out(&self) -> BoxFuture<'_, Vec<Tried>> {
        self.folder.try_out()
    }

    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            self.fault()?;
            self.folder.begin(key).await
        })
    }

    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            self.fault()?;
            self.folder.resume(key, upload_id).await
        })
    }

    fn abort_all<'a>(
        &'a self,
        key: &'a ObjectKey,
        but: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, StorageError>> {
        self.folder.abort_all(key, but)
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, body: Body) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            self.fault()?;
            self.folder.put(key, body).await
        })
    }

    fn find<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Found>, StorageError>> {
        Box::pin(async move {
            self.fault()?;
            self.folder.find(key).await
        })
    }

    fn presigned_get<'a>(
        &'a self,
        key: &'a ObjectKey,
        terms: UrlTerms,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        self.folder.presigned_get(key, terms)
    }
}
