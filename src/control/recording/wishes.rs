//! What is asked of a running recording from outside, and what it says to that.
//!
//! Contract: an answer that says so has its change in the database.

use tokio::sync::oneshot;

use super::Recording;
use super::previews::Preview;
use crate::control::state::Input;
use crate::ids::RoomSid;
use crate::options::ViewChange;

/// What somebody asks of a running recording. A change is answered once it is in the database.
pub enum Wish {
    Preview(oneshot::Sender<Preview>),
    Stop(oneshot::Sender<Noted>),
    /// To end if it records just this room, whose name may be that of several one after the other.
    EndWith {
        room: RoomSid,
        noted: oneshot::Sender<Noted>,
    },
    View {
        change: ViewChange,
        noted: oneshot::Sender<Noted>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Done,
    /// It takes in no more media.
    TooLate,
    /// It records another room of that name, or is in none yet.
    OtherRoom,
}

impl Recording {
    pub(super) async fn grant(&mut self, wish: Wish) {
        let (noted, answer) = match wish {
            Wish::Stop(noted) => {
                self.apply(Input::StopRequested).await;
                (noted, Noted::Done)
            }
            Wish::EndWith { room, noted } => (noted, self.end_with(&room).await),
            Wish::View { change, noted } => (noted, self.change_view(change).await),
            Wish::Preview(asking) => return self.show(asking).await,
        };
        // Whoever asked may have gone.
        let _answered = noted.send(answer);
    }

    async fn end_with(&mut self, room: &RoomSid) -> Noted {
        if self.joined.as_ref() != Some(room) {
            return Noted::OtherRoom;
        }
        if !self.state.is_live() {
            return Noted::TooLate;
        }
        tracing::info!(room_sid = %room, "LiveKit says that the room is closed");
        self.apply(Input::RoomClosed).await;
        Noted::Done
    }

    async fn change_view(&mut self, change: ViewChange) -> Noted {
        let Some(phase) = self.state.live_phase() else { return Noted::TooLate };
        let view = change.upon(self.row.options.view);
        if view == self.row.options.view {
            return Noted::Done;
        }
        tracing::info!(?view, "the view changes");
        self.row.options.view = view;
        self.records.view(&self.row, phase).await;
        self.crew.change_view(view).await;
        Noted::Done
    }
}
