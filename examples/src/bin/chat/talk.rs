//! One client in one room: what it is told when it comes, what it may say, and what others hear of it.

use std::borrow::Cow;

use serde::Deserialize;
use tideway::extract::{Path, Query, State};
use tideway::http::StatusCode;
use tideway::ws::{GapCause, Hub, Room, RoomEvents, Socket, WebSocketUpgrade};
use tideway::{Clock, IntoResponse as _, Problem, RequestId, Response};

use crate::history::Histories;
use crate::words::{LONGEST, Said, Told};

/// Who comes.
#[derive(Deserialize)]
pub(crate) struct Who {
    name: String,
}

/// The longest name, in characters.
const NAME: usize = 30;

pub(crate) async fn open(
    upgrade: WebSocketUpgrade,
    Path(room): Path<String>,
    Query(who): Query<Who>,
    hub: Hub,
    histories: State<Histories>,
    clock: Clock,
    id: RequestId,
) -> Response {
    let name = who.name.trim().to_owned();
    let refused = |detail: String| {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY);
        problem.detail(detail).into_response()
    };
    if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return refused(format!("`name` is 1 to {NAME} characters"));
    }
    let room = match hub.room(&room) {
        Ok(room) => room,
        Err(error) => return refused(error.to_string()),
    };
    let histories = histories.0.clone();
    upgrade
        .max_message(8 << 10)
        .rate_limit(20, 40)
        .on_upgrade(move |socket| async move {
            let talk = Talk {
                room,
                name,
                id: id.to_string(),
                count: 0,
                clock,
            };
            talk.run(socket, histories).await;
        })
}

struct Talk {
    room: Room,
    name: String,
    /// Of the request that opened the socket: with a number behind it, of each of its messages.
    id: String,
    count: u64,
    clock: Clock,
}

impl Talk {
    /// A socket that cannot be sent to any more is over: there is nothing else to do.
    async fn run(mut self, mut socket: Socket, histories: Histories) {
        if let Err(error) = self.come(&socket, &histories).await {
            let why = error.to_string();
            let _ = socket.send(Told::Wrong { why: &why }.json()).await;
            return;
        }
        while let Some(said) = socket.recv_json::<Said>().await {
            let taken = match said {
                Ok(said) => self.say(said, &socket),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = taken
                && socket.send(Told::Wrong { why: &why }.json()).await.is_err()
            {
                return;
            }
        }
    }

    async fn come(&self, socket: &Socket, histories: &Histories) -> Result<(), tideway::BoxError> {
        histories.keep(&self.room, &self.clock).await?;
        self.room.join_as(socket, &self.name).await?;
        let present = self.room.present();
        let users = present
            .iter()
            .map(|user| Cow::from(user.as_str()))
            .collect();
        socket.send(Told::Present { users }.json()).await?;
        // What is said meanwhile comes twice; the page knows a message by its id.
        for message in histories.of(&self.room) {
            socket.send(message).await?;
        }
        Ok(())
    }

    fn say(&mut self, said: Said, socket: &Socket) -> Result<(), String> {
        let user = self.name.as_str();
        let published = match said {
            Said::Say { text } => {
                let text = text.trim();
                if text.is_empty() || text.chars().count() > LONGEST {
                    return Err(format!("`text` is 1 to {LONGEST} characters"));
                }
                self.count += 1;
                let id = &format!("{}-{}", self.id, self.count);
                let at = self.clock.now().wall.0;
                let told = Told::Said { id, user, text, at };
                self.room.publish(told.json())
            }
            Said::Typing {} => {
                let told = Told::Typing { user };
                self.room.publish_except(told.json(), socket)
            }
        };
        published.map_err(|error| error.to_string())
    }
}

/// Tells each room who comes and goes. Every node hears of it, and tells its own members.
pub(crate) struct Announcer;

impl RoomEvents for Announcer {
    async fn came(&self, room: &Room, user: &str) {
        // Refused only if it is too large, which a name is not.
        let _ = room.publish_here(Told::Came { user }.json());
    }

    async fn went(&self, room: &Room, user: &str) {
        let _ = room.publish_here(Told::Went { user }.json());
    }

    async fn relist(&self, room: &Room) {
        let present = room.present();
        let users = present
            .iter()
            .map(|user| Cow::from(user.as_str()))
            .collect();
        let _ = room.publish_here(Told::Present { users }.json());
    }

    async fn gap(&self, room: &Room, _: GapCause) {
        let _ = room.publish_here(Told::Gap {}.json());
    }
}
