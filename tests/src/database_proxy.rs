//! A line to a database that can be cut at any statement, and led to another server.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use url::Url;

/// What is lost when the line is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The request: the server never hears of it.
    Request,
    /// The answer: the server has done what was asked.
    Answer,
}

/// A TCP proxy before a Postgres server. Dropped, it accepts no more connections.
#[derive(Debug)]
pub struct DatabaseProxy {
    url: Url,
    line: Arc<Mutex<Line>>,
    held: watch::Sender<bool>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    to: SocketAddr,
    /// Requests since the last call of [`DatabaseProxy::cut_at`].
    requests: usize,
    /// At which of them the line is cut, once.
    cut: Option<(usize, Loss)>,
}

impl DatabaseProxy {
    /// Stands before the server at `database_url`.
    pub async fn start(database_url: &str) -> Result<Self> {
        let mut url = Url::parse(database_url)?;
        let line = Arc::new(Mutex::new(Line { to: address(&url)?, requests: 0, cut: None }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        url.set_port(Some(listener.local_addr()?.port())).ok().context("a port")?;
        let shared = Arc::clone(&line);
        let held = watch::Sender::new(false);
        let watched = held.subscribe();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let line = Arc::clone(&shared);
                let held = watched.clone();
                tokio::spawn(async move {
                    // A connection that ends in an error has ended.
                    let _ended = carry(client, line, held).await;
                });
            }
        });
        Ok(Self { url, line, held, server })
    }

    /// The database, through the proxy.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Leads new connections to the server at `database_url`, which must know the same password.
    pub fn lead_to(&self, database_url: &str) -> Result<()> {
        locked(&self.line).to = address(&Url::parse(database_url)?)?;
        Ok(())
    }

    /// Cuts the line at the `request`-th request from now on, counted from 1, whichever connection makes it; later ones are carried again.
    pub fn cut_at(&self, request: usize, loss: Loss) {
        let mut line = locked(&self.line);
        line.requests = 0;
        line.cut = Some((request, loss));
    }

    /// How many requests it has carried since it was started, or last told to cut the line.
    pub fn requests(&self) -> usize {
        locked(&self.line).requests
    }

    /// From now on carries nothing, as a dead line does before an end of it notices.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Carries everything again.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Whether the cut is still to come.
    pub fn is_whole(&self) -> bool {
        locked(&self.line).cut.is_some()
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Carries one connection until either side ends it or the line is cut. A request is what the client sends at once.
async fn carry(mut client: TcpStream, line: Arc<Mutex<Line>>, mut held: watch::Receiver<bool>) -> Result<()> {
    let to = locked(&line).to;
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut answer_is_lost = false;
    loop {
        held.wait_for(|held| !held).await?;
        tokio::select! {
            read = client.read(&mut asked) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                match locked(&line).count() {
                    Some(Loss::Request) => return Ok(()),
                    Some(Loss::Answer) => answer_is_lost = true,
                    None => {}
                }
                server.write_all(&asked[..length]).await?;
            }
            read = server.read(&mut answered) => {
                let length = read?;
                if length == 0 || answer_is_lost {
                    return Ok(());
                }
                client.write_all(&answered[..length]).await?;
            }
        }
    }
}

impl Line {
    /// Counts a request. Answers what is lost if the line is cut at it.
    fn count(&mut self) -> Option<Loss> {
        self.requests += 1;
        let (_, loss) = self.cut.filter(|(request, _)| *request == self.requests)?;
        self.cut = None;
        Some(loss)
    }
}

fn address(url: &Url) -> Result<SocketAddr> {
    Ok(SocketAddr::new(url.host_str().context("a host")?.parse()?, url.port().unwrap_or(5432)))
}

fn locked(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
