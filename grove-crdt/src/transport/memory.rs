use async_trait::async_trait;
use futures_util::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    replica::Replica,
    sync::{
        EventStream, Peer, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse,
        Refusal, StreamEvent, StreamFrame, StreamRequest, StreamingTransport, TopicPresences, Transport,
        TransportError, TransportErrorKind, respond,
    },
};

/// Reaches a replica in the same process, with no network between.
///
/// Requests and answers take the form they have on the wire, so what works here works over HTTP. It is named
/// `memory:` and the peer's node id.
///
/// ```no_run
/// use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
///
/// # fn example(edge: &Replica, cloud: &Replica) -> Result<(), grove_crdt::Error> {
/// let syncer = Syncer::builder(edge).peer(MemoryTransport::new(cloud)).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    name: String,
    replica: Replica,
    asker: Peer,
}

impl MemoryTransport {
    /// A way to `replica`.
    #[must_use]
    pub fn new(replica: &Replica) -> Self {
        Self {
            name: format!("memory:{}", replica.node_id()),
            replica: replica.clone(),
            asker: Peer::new("memory"),
        }
    }

    /// Whom the other side takes the asker for, as an authenticator would name them: what they may read and write, and what
    /// hooks are told. Somebody of the name `memory` who may speak for any node, unless set.
    #[must_use]
    pub fn asking_as(mut self, peer: Peer) -> Self {
        self.asker = peer;
        self
    }

    /// What arrives of `message` on the other side.
    fn carry<T: DeserializeOwned>(&self, message: &impl Serialize) -> Result<T, TransportError> {
        serde_json::to_vec(message)
            .and_then(|bytes| serde_json::from_slice(&bytes))
            .map_err(|error| self.failure(TransportErrorKind::Garbled, None, error.to_string()))
    }

    /// Has the other side answer.
    async fn ask<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        answer: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, TransportError> {
        self.carry(&self.to_the_end(answer).await?)
    }

    /// Has the other side work to the end, whether or not anybody waits for it, as a remote one would.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, TransportError> {
        match tokio::spawn(work).await {
            Ok(answer) => answer.map_err(|refusal| self.refused(&refusal)),
            Err(error) => Err(self.failure(TransportErrorKind::Unavailable, None, error.to_string())),
        }
    }

    fn event(&self, frame: Result<StreamFrame, Refusal>) -> Result<Option<StreamEvent>, TransportError> {
        let frame = frame.map_err(|refusal| self.refused(&refusal))?;
        StreamEvent::parse(frame.event, &frame.data)
            .map_err(|error| self.failure(TransportErrorKind::Garbled, None, error.to_string()))
    }

    fn refused(&self, refusal: &Refusal) -> TransportError {
        let kind = match refusal {
            Refusal::Internal(_) | Refusal::LimitReached(_) => TransportErrorKind::Unavailable,
            _ => TransportErrorKind::Refused,
        };
        self.failure(kind, Some(refusal.code()), refusal.to_string())
    }

    fn failure(&self, kind: TransportErrorKind, code: Option<&str>, message: String) -> TransportError {
        TransportError {
            peer: self.name.clone(),
            kind,
            code: code.map(str::to_owned),
            message,
            retry_after: None,
        }
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn name(&self) -> &str {
        &self.name
    }

    async fn pull(&self, request: &PullRequest) -> Result<PullResponse, TransportError> {
        let (replica, asker, request) = (self.replica.clone(), self.asker.clone(), self.carry(request)?);
        self.ask(async move { respond::pull(&replica, &asker, &request).await })
            .await
    }

    async fn push(&self, request: &PushRequest) -> Result<PushResponse, TransportError> {
        let (replica, asker, request) = (self.replica.clone(), self.asker.clone(), self.carry(request)?);
        self.ask(async move { respond::push(&replica, &asker, &request).await })
            .await
    }

    fn streaming(&self) -> Option<&dyn StreamingTransport> {
        Some(self)
    }

    async fn presence(&self, request: &PresenceRequest) -> Result<PresenceResponse, TransportError> {
        let (replica, asker, request) = (self.replica.clone(), self.asker.clone(), self.carry(request)?);
        self.ask(async move { respond::presence(&replica, &asker, &request).await })
            .await
    }

    async fn presences(&self, topic: &str) -> Result<TopicPresences, TransportError> {
        let answer = respond::presences(&self.replica, &self.asker, topic);
        self.carry(&answer.map_err(|refusal| self.refused(&refusal))?)
    }
}

#[async_trait]
impl StreamingTransport for MemoryTransport {
    async fn stream(&self, request: &StreamRequest) -> Result<EventStream, TransportError> {
        let (replica, asker, request) = (self.replica.clone(), self.asker.clone(), request.clone());
        let opening = self.to_the_end(async move { respond::stream(&replica, &asker, &request).await });
        let subscription = opening.await?;
        let this = self.clone();
        Ok(Box::pin(subscription.filter_map(move |frame| {
            std::future::ready(this.event(frame).transpose())
        })))
    }
}
