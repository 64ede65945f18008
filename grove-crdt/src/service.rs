//! The whole of replication as one part of an application: it starts, serves, and stops with it.

use std::{fmt, sync::Arc};

use axum::Router;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

use crate::{
    error::Error,
    replica::Replica,
    server::{Authenticator, SyncServer, SyncServerBuilder},
    sync::SyncerBuilder,
};

/// Where the routes are, unless set otherwise.
const PREFIX: &str = "/sync";

/// Replication that runs beside an application: its syncer, and its server with streams, presence, health and metrics. See the
/// example of [`Service::builder`].
///
/// Clones are handles of one service. It goes on when they are dropped, until it is told to stop or its runtime ends.
#[derive(Clone, Debug)]
pub struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Option<SyncServer>,
    prefix: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Service {
    /// A service of `replica`. Give it a server, a syncer or both, then [start](ServiceBuilder::start) it.
    ///
    /// ```no_run
    /// use grove_crdt::{Replica, Service, server::SyncServer, sync::{Peer, Syncer}, transport::MemoryTransport};
    ///
    /// # async fn example(replica: Replica, hub: MemoryTransport) -> Result<(), Box<dyn std::error::Error>> {
    /// let edge = Peer::new("edge-1").bound_to("edge-1".parse()?);
    /// let service = Service::builder(&replica)
    ///     .server(SyncServer::builder(&replica).bearer_tokens([("secret", edge)])?)
    ///     .syncer(Syncer::builder(&replica).peer(hub))
    ///     .start()?;
    /// let app = axum::Router::new().merge(service.router()); // at `/sync`
    /// let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    /// axum::serve(listener, app).with_graceful_shutdown(service.stopping()).await?;
    /// service.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(replica: &Replica) -> ServiceBuilder {
        ServiceBuilder {
            replica: replica.clone(),
            server: None,
            syncer: None,
            prefix: PREFIX.to_owned(),
            stop: CancellationToken::new(),
        }
    }

    /// The server's routes below the prefix, to merge into the application's; none when there is no server.
    pub fn router(&self) -> Router {
        match &self.0.server {
            // An empty prefix can't be nested.
            Some(server) if self.0.prefix.is_empty() => server.router(),
            Some(server) => Router::new().nest(&self.0.prefix, server.router()),
            None => Router::new(),
        }
    }

    /// Comes to its end once the service has been told to stop: for axum's `with_graceful_shutdown`.
    pub fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.0.stop.clone().cancelled_owned()
    }

    /// Tells the service to stop, and waits until it has: until no answer is waited for any longer, every push that has come is
    /// merged, every request answered, and every stream ended. Only then close the database.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.wait().await;
        if let Some(server) = &self.0.server {
            server.drained().await;
        }
    }
}

/// Makes a [`Service`]; see [`Service::builder`].
#[must_use]
pub struct ServiceBuilder {
    replica: Replica,
    server: Option<Given>,
    syncer: Option<SyncerBuilder>,
    prefix: String,
    stop: CancellationToken,
}

/// What makes a server that ends with a token.
type MakeServer = Box<dyn FnOnce(CancellationToken) -> SyncServer + Send>;

/// A server that is to be, and the replica it is of.
struct Given {
    make: MakeServer,
    of: Replica,
}

impl ServiceBuilder {
    /// Answers peers. The server ends with the service, whatever token it was given.
    pub fn server<A: Authenticator>(mut self, server: SyncServerBuilder<A>) -> Self {
        self.server = Some(Given {
            of: server.replica().clone(),
            make: Box::new(|stop| server.shutdown(stop).build()),
        });
        self
    }

    /// Keeps up with peers, as [`Syncer::run`](crate::sync::Syncer::run) does.
    pub fn syncer(mut self, syncer: SyncerBuilder) -> Self {
        self.syncer = Some(syncer);
        self
    }

    /// Below which path the routes are: `/sync`, unless set. An empty one puts them at the root.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A token that tells the service to stop, when the application has one already.
    pub fn shutdown(mut self, token: CancellationToken) -> Self {
        self.stop = token;
        self
    }

    /// Starts what is to run. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is neither a server nor a syncer, when one of them is of another replica, and for a prefix
    /// that is no path; and what [`SyncerBuilder::build`] refuses.
    pub fn start(self) -> Result<Service, Error> {
        self.check()?;
        let syncer = self.syncer.map(SyncerBuilder::build).transpose()?;
        let server = self.server.map(|server| (server.make)(self.stop.clone()));
        let tasks = TaskTracker::new();
        if let Some(syncer) = syncer {
            let stop = self.stop.clone();
            tasks.spawn(async move { syncer.run(stop).await });
        }
        tasks.close();
        Ok(Service(Arc::new(Inner {
            server,
            prefix: self.prefix,
            stop: self.stop,
            tasks,
        })))
    }

    fn check(&self) -> Result<(), Error> {
        if self.server.is_none() && self.syncer.is_none() {
            return Err(Error::Invalid(
                "a service without a server and a syncer does nothing: add `.server(…)`, `.syncer(…)` or both".into(),
            ));
        }
        let server = self.server.as_ref().map(|server| ("server", &server.of));
        let syncer = self.syncer.as_ref().map(|syncer| ("syncer", syncer.replica()));
        for (part, replica) in server.into_iter().chain(syncer) {
            if !replica.is_same(&self.replica) {
                return Err(Error::Invalid(format!(
                    "the {part} is of another replica than the service: give both the same"
                )));
            }
        }
        let path = self.prefix.as_str();
        let is_path = path.is_empty() || path.starts_with('/') && !path.ends_with('/');
        if !is_path || path.contains(['{', '}', '*', '?', '#']) || path.contains("//") {
            return Err(Error::Invalid(format!(
                "the prefix `{path}` is no path to put routes below: write it as `/sync`, or leave it empty"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder")
            .field("replica", &self.replica)
            .field("server", &self.server.is_some())
            .field("syncer", &self.syncer)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
