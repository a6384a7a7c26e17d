//! The transfer of one recording to a store: its parts, and whether each waits, is being sent, or is held by
//! the store.
//!
//! Does not wait between attempts, and does not decide what to do after a fault (`engine` does). Contract: at
//! most [`AT_ONCE`] parts are sent at the same time. Each is read from the spool while it is sent. A part
//! that the store holds is not sent again. An upload is in the database before it begins.

mod flight;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::error::UploadError;
use super::key;
use super::ledger::Ledger;
use super::plan::{Piece, Plan};
use super::spool::MediaSource;
use crate::storage::{Body, Checksum, Cutting, Found, ObjectKey, Storage, Upload};
use crate::store::{Destination, Location};

use flight::{Landed, Opening};

/// The counter of parts that failed and are sent again.
pub const PART_RETRIES: &str = "egressd_upload_part_retries_total";
/// How many parts are sent at the same time: enough to fill a link with a long round trip.
const AT_ONCE: usize = 4;

/// The stores to which a recording may go.
#[derive(Clone)]
pub struct Stores {
    pub primary: Arc<dyn Storage>,
    pub fallback: Option<Fallback>,
}

/// The store that gets a recording when the first store cannot be reached.
#[derive(Clone)]
pub struct Fallback {
    pub storage: Arc<dyn Storage>,
    /// How long the first store must have been out of reach, after the recording has ended.
    pub after: Duration,
}

pub struct Transfer {
    stores: Stores,
    ledger: Ledger,
    /// The key that was reserved for the recording.
    reserved: String,
    place: Location,
    session: Session,
    parts: BTreeMap<u32, Part>,
    flights: JoinSet<Landed>,
    /// How many bytes from the beginning of the media may be removed from the spool.
    released: u64,
    /// Background work. Nothing depends on its success.
    errands: JoinSet<()>,
}

/// The state of the multipart upload.
enum Session {
    None,
    Opening,
    Open(Arc<dyn Upload>),
    /// Begun earlier. The store may still have it under this id.
    Interrupted {
        id: String,
    },
}

struct Part {
    piece: Piece,
    /// Since when it can be sent.
    ready: Timestamp,
    state: PartState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartState {
    Waiting,
    Flying,
    Held(Checksum),
}

/// The success of a request that ran in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The store is ready to take parts.
    Opened,
    PartHeld,
}

impl Stores {
    fn get(&self, destination: Destination) -> &Arc<dyn Storage> {
        self.configured(destination).unwrap_or(&self.primary)
    }

    fn has(&self, destination: Destination) -> bool {
        self.configured(destination).is_some()
    }

    pub fn configured(&self, destination: Destination) -> Option<&Arc<dyn Storage>> {
        match destination {
            Destination::Primary => Some(&self.primary),
            Destination::Fallback => self.fallback.as_ref().map(|fallback| &fallback.storage),
        }
    }
}

impl Transfer {
    pub fn new(stores: Stores, ledger: Ledger, reserved: String) -> Self {
        Self {
            stores,
            ledger,
            reserved,
            place: Location::default(),
            session: Session::None,
            parts: BTreeMap::new(),
            flights: JoinSet::new(),
            released: 0,
            errands: JoinSet::new(),
        }
    }

    /// Continues the upload of an earlier process.
    pub async fn restore(&mut self) -> Result<(), UploadError> {
        let Some(row) = self.ledger.in_use().await? else { return Ok(()) };
        if !self.stores.has(row.place.store) {
            tracing::warn!("the store that the recording was going to is not configured any more");
            return Ok(());
        }
        self.place = row.place;
        self.released = row.released;
        self.session = row.upload_id.map_or(Session::None, |id| Session::Interrupted { id });
        Ok(())
    }

    pub fn key(&self) -> Result<ObjectKey, UploadError> {
        Ok(key::nth_choice(&self.reserved, self.place.choice)?)
    }

    pub fn destination(&self) -> Destination {
        self.place.store
    }

    pub fn cutting(&self) -> Cutting {
        self.storage().cutting()
    }

    pub fn released(&self) -> u64 {
        self.released
    }

    /// Adds a part, which can be sent from now on.
    pub fn add(&mut self, number: u32, piece: Piece) {
        let part = Part { piece, ready: Timestamp::now(), state: PartState::Waiting };
        self.parts.entry(number).or_insert(part);
    }

    /// Sets the final parts. If a part was cut differently before, all parts are sent again.
    pub fn follow(&mut self, plan: &Plan) -> Result<(), UploadError> {
        let pieces = match plan {
            Plan::Single(_) => &[][..],
            Plan::Parts(parts) => parts,
        };
        let planned: BTreeMap<u32, &Piece> = pieces.iter().map(|(number, piece)| (*number, piece)).collect();
        if self.parts.iter().any(|(number, part)| planned.get(number) != Some(&&part.piece)) {
            if self.released > 0 {
                return Err(UploadError::Forgotten { released: self.released });
            }
            self.begin_anew();
            self.parts.clear();
        }
        for (number, piece) in planned {
            self.add(number, piece.clone());
        }
        Ok(())
    }

    /// Sends waiting parts, at most [`AT_ONCE`] at the same time. If there is no multipart upload yet, begins
    /// one first.
    pub fn launch(&mut self, media: &MediaSource) -> Result<(), UploadError> {
        match &self.session {
            Session::Open(upload) => {
                let upload = Arc::clone(upload);
                self.launch_parts(&upload, media)
            }
            Session::Opening => Ok(()),
            Session::None | Session::Interrupted { .. } if self.parts.is_empty() => Ok(()),
            Session::None => self.open(None),
            Session::Interrupted { id } => {
                let id = id.clone();
                self.open(Some(id))
            }
        }
    }

    /// Waits for the next result; `None` if no request is under way.
    pub async fn land(&mut self) -> Option<Result<Progress, UploadError>> {
        let landed = flight::arrived(self.flights.join_next().await?);
        Some(self.note(landed))
    }

    /// Like `land`, but never waits.
    pub fn land_now(&mut self) -> Option<Result<Progress, UploadError>> {
        let landed = flight::arrived(self.flights.try_join_next()?);
        Some(self.note(landed))
    }

    /// Returns whether the store holds every part.
    pub fn is_whole(&self) -> bool {
        matches!(self.session, Session::Open(_)) && self.parts.values().all(|part| part.held().is_some())
    }

    /// Completes the multipart upload, all parts of which are held. Returns the checksum of the whole object.
    pub async fn complete(&mut self) -> Result<Checksum, UploadError> {
        let whole = self.checksum().unwrap_or_default();
        if let Session::Open(upload) = &self.session {
            let upload = Arc::clone(upload);
            self.session = Session::Interrupted { id: upload.id().to_owned() };
            upload.complete(whole).await?;
        }
        Ok(whole)
    }

    /// Stores a small file in one request.
    pub async fn put(&mut self, piece: &Piece, media: &MediaSource) -> Result<Checksum, UploadError> {
        let source = media.part(piece.front.clone(), &piece.media);
        let body = Body::new(source).await.map_err(UploadError::Spool)?;
        let whole = body.checksum();
        if self.place != Location::default() {
            // The next start must look for it here, and not under the first choice.
            self.ledger.intend(self.place).await?;
        }
        self.storage().put(&self.key()?, body).await?;
        Ok(whole)
    }

    /// Asks the store for the object under the key in use; `None` if there is none.
    pub async fn find(&self) -> Result<Option<Found>, UploadError> {
        Ok(self.storage().find(&self.key()?).await?)
    }

    /// Returns the checksum of the whole file; `None` until all parts are held.
    pub fn checksum(&self) -> Option<Checksum> {
        let parts = self.parts.values();
        parts.map(Part::held).try_fold(Checksum::default(), |sum, part| Some(sum.followed_by(part?)))
    }

    /// Changes to the next key. All parts are sent again from the spool.
    pub fn next_key(&mut self) {
        self.abandon();
        self.place.choice += 1;
    }

    /// Changes to the key that any store accepts, unless it is in use already.
    pub fn plain_key(&mut self) {
        if self.place.choice < key::PLAIN {
            self.abandon();
            self.place.choice = key::PLAIN;
        }
    }

    /// Forgets which parts were sent.
    pub fn begin_anew(&mut self) {
        self.flights = JoinSet::new();
        self.session = Session::None;
        self.parts.values_mut().for_each(|part| part.state = PartState::Waiting);
    }

    /// Changes to the other store; returns whether there is one.
    pub fn switch(&mut self) -> bool {
        let other = match self.place.store {
            Destination::Primary => Destination::Fallback,
            Destination::Fallback => Destination::Primary,
        };
        if self.stores.has(other) {
            self.begin_anew();
            self.place = Location { store: other, choice: 1 };
        }
        self.stores.has(other)
    }

    /// Returns how long a store must have been out of reach before the other one is used.
    pub fn fallback_after(&self) -> Option<Duration> {
        self.stores.fallback.as_ref().map(|fallback| fallback.after)
    }

    /// Makes the store ready in the background.
    pub fn prepare(&mut self) {
        let storage = Arc::clone(self.storage());
        self.errand(async move {
            if let Err(error) = storage.ensure_ready().await {
                tracing::warn!(%error, "the store cannot be made ready");
            }
        });
    }

    /// Removes the multipart upload from the store in the background. If that fails, the next search for
    /// orphans finds it.
    pub fn abandon(&mut self) {
        let begun = !matches!(self.session, Session::None);
        self.begin_anew();
        if let (true, Ok(key)) = (begun, self.key()) {
            let (storage, ledger, place) = (Arc::clone(self.storage()), self.ledger.clone(), self.place);
            self.errand(flight::remove(storage, ledger, place, key));
        }
    }

    /// Returns up to where in the media all parts are held by the store, counted from part 2 on, and end at
    /// `limit` or before. No other part needs media before this position.
    pub fn acknowledged(&self, limit: u64) -> u64 {
        let media_parts = self.parts.iter().filter(|(number, _)| **number > 1);
        let held = media_parts.take_while(|(_, part)| part.held().is_some() && part.piece.media.end <= limit);
        held.last().map_or(0, |(_, part)| part.piece.media.end)
    }

    /// Notes in the database that the media up to here is about to be removed from the spool.
    pub async fn release(&mut self, up_to: u64) -> Result<(), UploadError> {
        self.ledger.released(self.place, up_to).await?;
        self.released = up_to;
        Ok(())
    }

    /// Returns how many bytes the store holds, and how many of them are media.
    pub fn stored(&self) -> (u64, u64) {
        let held = self.parts.values().filter(|part| part.held().is_some());
        held.fold((0, 0), |(all, media), Part { piece, .. }| {
            (all + piece.len(), media + piece.len() - piece.front.len() as u64)
        })
    }

    /// Returns since when the oldest part that the store does not hold has been ready.
    pub fn oldest_waiting(&self) -> Option<Timestamp> {
        let waiting = self.parts.values().filter(|part| part.held().is_none());
        waiting.map(|part| part.ready).min()
    }

    fn storage(&self) -> &Arc<dyn Storage> {
        self.stores.get(self.place.store)
    }

    fn launch_parts(&mut self, upload: &Arc<dyn Upload>, media: &MediaSource) -> Result<(), UploadError> {
        for (&number, part) in &mut self.parts {
            if self.flights.len() >= AT_ONCE {
                break;
            }
            if part.state != PartState::Waiting {
                continue;
            }
            let Piece { front, media: range } = &part.piece;
            if front.is_empty() && range.start < self.released {
                part.state = PartState::Held(flight::kept(upload, number, part.piece.len(), self.released)?);
                continue;
            }
            let flight = flight::send(Arc::clone(upload), number, media.part(front.clone(), range));
            self.flights.spawn(flight.in_current_span());
            part.state = PartState::Flying;
        }
        Ok(())
    }

    fn open(&mut self, id: Option<String>) -> Result<(), UploadError> {
        let opening = Opening {
            storage: Arc::clone(self.storage()),
            ledger: self.ledger.clone(),
            place: self.place,
            key: self.key()?,
            id,
        };
        self.flights.spawn(opening.run().in_current_span());
        self.session = Session::Opening;
        Ok(())
    }

    fn note(&mut self, landed: Landed) -> Result<Progress, UploadError> {
        match landed {
            Landed::Opened(Ok(upload)) => {
                self.parts.iter_mut().for_each(|(number, part)| part.compare(upload.held(*number)));
                self.session = Session::Open(upload);
                Ok(Progress::Opened)
            }
            Landed::Opened(Err((error, id))) => {
                self.session = id.map_or(Session::None, |id| Session::Interrupted { id });
                Err(error)
            }
            Landed::Part { number, result } => {
                let state = match &result {
                    Ok(sum) => PartState::Held(*sum),
                    Err(_) => {
                        metrics::counter!(PART_RETRIES).increment(1);
                        PartState::Waiting
                    }
                };
                if let Some(part) = self.parts.get_mut(&number) {
                    part.state = state;
                }
                result.map(|_| Progress::PartHeld)
            }
        }
    }

    fn errand(&mut self, errand: impl Future<Output = ()> + Send + 'static) {
        while self.errands.try_join_next().is_some() {}
        self.errands.spawn(errand.in_current_span());
    }
}

impl Part {
    fn held(&self) -> Option<Checksum> {
        match self.state {
            PartState::Held(sum) => Some(sum),
            PartState::Waiting | PartState::Flying => None,
        }
    }

    /// A part that the store does not list any more is sent again.
    fn compare(&mut self, listed: Option<crate::storage::HeldPart>) {
        if listed.is_none_or(|listed| listed.size != self.piece.len()) {
            self.state = PartState::Waiting;
        }
    }
}
