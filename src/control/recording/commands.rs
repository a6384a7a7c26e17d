//! The commands to a running recording, and its replies.
//!
//! Contract: after the reply `Done`, the change is in the database.

use tokio::sync::oneshot;

use super::Recording;
use super::actions::Written;
use super::previews::Preview;
use super::records::NotWritten;
use crate::control::state::{Input, State};
use crate::ids::RoomSid;
use crate::options::ViewChange;

/// A command to a running recording. The reply to a change comes once it is in the database.
pub enum Command {
    Preview(oneshot::Sender<Preview>),
    Stop(oneshot::Sender<Reply>),
    /// Ends the recording if it records this room. Several rooms may have the same name, one after the other.
    EndWith {
        room: RoomSid,
        reply: oneshot::Sender<Reply>,
    },
    View {
        change: ViewChange,
        reply: oneshot::Sender<Reply>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Done,
    /// The recording takes in no more media.
    TooLate,
    /// The database could not be written. A change of view or a stop has not happened.
    NotWritten,
    /// The recording is in another room of that name, or in none yet.
    OtherRoom,
}

impl Recording {
    pub(super) async fn execute(&mut self, command: Command) {
        let (reply, answer) = match command {
            Command::Stop(reply) => (reply, self.apply(Input::StopRequested).await.into()),
            Command::EndWith { room, reply } => (reply, self.end_with(&room).await),
            Command::View { change, reply } => (reply, self.change_view(change).await),
            Command::Preview(asking) => return self.show(asking).await,
        };
        // The caller may have gone.
        let _answered = reply.send(answer);
    }

    async fn end_with(&mut self, room: &RoomSid) -> Reply {
        if self.joined.as_ref() != Some(room) {
            return Reply::OtherRoom;
        }
        if let State::Unwritten { .. } = self.state {
            return Reply::NotWritten;
        }
        if !self.state.is_live() {
            return Reply::TooLate;
        }
        tracing::info!(room_sid = %room, "LiveKit says that the room is closed");
        self.apply(Input::RoomClosed).await.into()
    }

    async fn change_view(&mut self, change: ViewChange) -> Reply {
        let Some(phase) = self.state.live_phase() else { return Reply::TooLate };
        let view = change.upon(self.row.options.view);
        if view == self.row.options.view {
            return Reply::Done;
        }
        let mut row = self.row.clone();
        row.options.view = view;
        match self.records.view(&row, phase).await {
            Ok(true) => {
                tracing::info!(?view, "the view changes");
                self.row = row;
                self.worker.change_view(view).await;
                Reply::Done
            }
            Ok(false) => Reply::TooLate,
            Err(NotWritten) => Reply::NotWritten,
        }
    }
}

impl From<Written> for Reply {
    fn from(written: Written) -> Self {
        match written {
            Written::Yes => Self::Done,
            Written::No => Self::NotWritten,
        }
    }
}
