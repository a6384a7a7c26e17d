//! One recording on its way into a store: which parts there are, which of them fly, which the store holds.
//!
//! Does not wait between attempts and decides nothing after a fault (`upload` does). Contract: at most
//! [`AT_ONCE`] parts are sent at the same time, each read from the spool as it is sent; what the store holds already
//! is not sent again; an upload is written down before it is begun.

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

/// The counter of parts that were not taken, each of which is sent again.
pub const PART_RETRIES: &str = "egressd_upload_part_retries_total";
/// Parts that are sent at the same time: enough to fill a link whose answers take long.
const AT_ONCE: usize = 4;

/// The stores that a recording may go to.
#[derive(Clone)]
pub struct Stores {
    pub primary: Arc<dyn Storage>,
    pub fallback: Option<Fallback>,
}

/// A store that takes a recording when the first one stays away.
#[derive(Clone)]
pub struct Fallback {
    pub storage: Arc<dyn Storage>,
    /// How long the first one must have been away, the recording having ended.
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
    /// Media bytes that may be gone from the spool.
    released: u64,
    /// What is done on the side, and matters to nobody if it is not.
    errands: JoinSet<()>,
}

/// The upload in parts.
enum Session {
    None,
    Opening,
    Open(Arc<dyn Upload>),
    /// Begun earlier; the store may still know it by this id.
    Interrupted {
        id: String,
    },
}

struct Part {
    piece: Piece,
    /// Since when it could be sent.
    ready: Timestamp,
    state: PartState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartState {
    Waiting,
    Flying,
    Held(Checksum),
}

/// What a flight has brought.
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

    /// Goes on where an earlier process was.
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

    /// A part that is ready to be sent from now on.
    pub fn add(&mut self, number: u32, piece: Piece) {
        let part = Part { piece, ready: Timestamp::now(), state: PartState::Waiting };
        self.parts.entry(number).or_insert(part);
    }

    /// All parts are known: these. If some were cut differently before, all is sent anew.
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

    /// Sends as many of the waiting parts as may fly, if the store is ready for them; makes it ready otherwise.
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

    /// The next flight to land, at once where one has; `None`: nothing flies.
    pub async fn land(&mut self) -> Option<Result<Progress, UploadError>> {
        let landed = flight::arrived(self.flights.join_next().await?);
        Some(self.note(landed))
    }

    /// As `land`, without waiting for anything.
    pub fn land_now(&mut self) -> Option<Result<Progress, UploadError>> {
        let landed = flight::arrived(self.flights.try_join_next()?);
        Some(self.note(landed))
    }

    /// Whether the store holds every part.
    pub fn is_whole(&self) -> bool {
        matches!(self.session, Session::Open(_)) && self.parts.values().all(|part| part.held().is_some())
    }

    /// Makes the object appear; all parts are there.
    pub async fn complete(&mut self) -> Result<Checksum, UploadError> {
        let whole = self.checksum().unwrap_or_default();
        if let Session::Open(upload) = &self.session {
            let upload = Arc::clone(upload);
            self.session = Session::Interrupted { id: upload.id().to_owned() };
            upload.complete(whole).await?;
        }
        Ok(whole)
    }

    /// Stores a small file in one step.
    pub async fn put(&mut self, piece: &Piece, media: &MediaSource) -> Result<Checksum, UploadError> {
        let source = media.part(piece.front.clone(), &piece.media);
        let body = Body::new(source).await.map_err(UploadError::Spool)?;
        let whole = body.checksum();
        if self.place != Location::default() {
            // A restart must look for it here, not where the recording would go first.
            self.ledger.intend(self.place).await?;
        }
        self.storage().put(&self.key()?, body).await?;
        Ok(whole)
    }

    /// What the store says of the object under the key in use.
    pub async fn find(&self) -> Result<Option<Found>, UploadError> {
        Ok(self.storage().find(&self.key()?).await?)
    }

    /// Checksum of the whole file, once all parts are held.
    pub fn checksum(&self) -> Option<Checksum> {
        let parts = self.parts.values();
        parts.map(Part::held).try_fold(Checksum::default(), |sum, part| Some(sum.followed_by(part?)))
    }

    /// Goes on under the next key; whatever was sent is sent again from the spool.
    pub fn next_key(&mut self) {
        self.abandon();
        self.place.choice += 1;
    }

    /// Goes on under the key that any store takes, if it does not already.
    pub fn plain_key(&mut self) {
        if self.place.choice < key::PLAIN {
            self.abandon();
            self.place.choice = key::PLAIN;
        }
    }

    /// Forgets what was sent.
    pub fn begin_anew(&mut self) {
        self.flights = JoinSet::new();
        self.session = Session::None;
        self.parts.values_mut().for_each(|part| part.state = PartState::Waiting);
    }

    /// Goes on with the other store, if there is one.
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

    /// How long a store must have been away for the other one to be taken.
    pub fn fallback_after(&self) -> Option<Duration> {
        self.stores.fallback.as_ref().map(|fallback| fallback.after)
    }

    /// Has what the store needs be made, on the side.
    pub fn prepare(&mut self) {
        let storage = Arc::clone(self.storage());
        self.errand(async move {
            if let Err(error) = storage.ensure_ready().await {
                tracing::warn!(%error, "the store cannot be made ready");
            }
        });
    }

    /// Removes what lies in the store, on the side. What is not removed is found by the next search for orphans.
    pub fn abandon(&mut self) {
        let begun = !matches!(self.session, Session::None);
        self.begin_anew();
        if let (true, Ok(key)) = (begun, self.key()) {
            let (storage, ledger, place) = (Arc::clone(self.storage()), self.ledger.clone(), self.place);
            self.errand(flight::remove(storage, ledger, place, key));
        }
    }

    /// Where the last of those parts ends that the store holds without a gap and that end up to `limit`: of the media
    /// before, none is needed any more, and no part but those has any.
    pub fn acknowledged(&self, limit: u64) -> u64 {
        let media_parts = self.parts.iter().filter(|(number, _)| **number > 1);
        let held = media_parts.take_while(|(_, part)| part.held().is_some() && part.piece.media.end <= limit);
        held.last().map_or(0, |(_, part)| part.piece.media.end)
    }

    /// Writes down that the media up to here is going to be removed from the spool.
    pub async fn release(&mut self, up_to: u64) -> Result<(), UploadError> {
        self.ledger.released(self.place, up_to).await?;
        self.released = up_to;
        Ok(())
    }

    /// Bytes that the store holds, and those of them that are media.
    pub fn stored(&self) -> (u64, u64) {
        let held = self.parts.values().filter(|part| part.held().is_some());
        held.fold((0, 0), |(all, media), Part { piece, .. }| {
            (all + piece.len(), media + piece.len() - piece.front.len() as u64)
        })
    }

    /// Since when the oldest part has been ready that the store does not hold.
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

    /// What is not in the list of the store any more is sent again.
    fn compare(&mut self, listed: Option<crate::storage::HeldPart>) {
        if listed.is_none_or(|listed| listed.size != self.piece.len()) {
            self.state = PartState::Waiting;
        }
    }
}
