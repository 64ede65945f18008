//! A replica's server on a real socket of this machine, with its traffic counted.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::get, serve::Listener};
use grove_crdt::{Replica, server::SyncServer};
use tokio::{
    io::Join,
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::{
    io::{InspectReader, InspectWriter},
    task::AbortOnDropHandle,
};

/// A server that everybody may sync with, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    /// Where the replica is.
    pub(crate) url: String,
    /// Where there is nothing but an empty answer.
    pub(crate) nothing: String,
    traffic: Traffic,
    _serving: AbortOnDropHandle<io::Result<()>>,
}

impl Served {
    pub(crate) async fn new(replica: &Replica) -> anyhow::Result<Self> {
        let sync = SyncServer::builder(replica).allow_anonymous().router();
        let app = Router::new().nest("/sync", sync).route("/nothing", get(|| async {}));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let traffic = Traffic::default();
        let counted = Counted {
            listener,
            traffic: traffic.clone(),
        };
        let serving = tokio::spawn(async move { axum::serve(counted, app).await });
        Ok(Self {
            url: format!("http://{address}/sync"),
            nothing: format!("http://{address}/nothing"),
            traffic,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The bytes that went over its connections so far, both ways, heads included.
    pub(crate) fn bytes(&self) -> usize {
        self.traffic.0.load(Ordering::Relaxed)
    }
}

/// A count of bytes.
#[derive(Clone, Debug, Default)]
struct Traffic(Arc<AtomicUsize>);

/// What is told of bytes that pass.
type Count = Box<dyn FnMut(&[u8]) + Send>;

impl Traffic {
    fn count(&self) -> Count {
        let traffic = self.clone();
        Box::new(move |bytes| {
            traffic.0.fetch_add(bytes.len(), Ordering::Relaxed);
        })
    }
}

/// Accepts connections whose bytes are counted.
struct Counted {
    listener: TcpListener,
    traffic: Traffic,
}

impl Listener for Counted {
    type Io = Join<InspectReader<OwnedReadHalf, Count>, InspectWriter<OwnedWriteHalf, Count>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // As the guide to the server has it. If it can't be, events are a little later.
        drop(stream.set_nodelay(true));
        let (reader, writer) = stream.into_split();
        let reader = InspectReader::new(reader, self.traffic.count());
        let writer = InspectWriter::new(writer, self.traffic.count());
        (tokio::io::join(reader, writer), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
