//! nginx before a test's API, which the world then sees under a path.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use url::Url;

use crate::database;

/// A running nginx with the settings that its manual shows for a proxy, and none to suit this API. Dropped, it stops.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    directory: TempDir,
}

impl Nginx {
    /// An address under `/market/` on a free port, for [`Nginx::start`].
    pub fn address() -> Result<Url> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        Ok(Url::parse(&format!("http://127.0.0.1:{port}/market/"))?)
    }

    /// Shows the server at `api` under `address`. nginx must be installed.
    pub async fn start(address: &Url, api: &Url) -> Result<Self> {
        let directory = database::scratch()?;
        let place = directory.path().display();
        let (port, path) = (address.port().context("a port")?, address.path());
        let upstream = format!("{}:{}", api.host_str().context("a host")?, api.port().context("a port")?);
        let settings = format!(
            "daemon off;\npid {place}/pid;\nerror_log {place}/errors;\nworker_processes 1;\nevents {{}}\nhttp {{\n  access_log off;\n\
             \x20 client_body_temp_path {place}/body;\n  proxy_temp_path {place}/proxy;\n  fastcgi_temp_path {place}/fastcgi;\n\
             \x20 uwsgi_temp_path {place}/uwsgi;\n  scgi_temp_path {place}/scgi;\n\
             \x20 upstream api {{ server {upstream}; keepalive 4; }}\n\
             \x20 server {{\n    listen 127.0.0.1:{port};\n    location {path} {{\n      proxy_pass http://api/;\n      proxy_http_version 1.1;\n\
             \x20     proxy_set_header Connection \"\";\n      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             \x20     proxy_set_header Forwarded \"\";\n    }}\n  }}\n}}\n"
        );
        Self::run(directory, &settings, port).await
    }

    /// Shows several servers as one, on a free port, by the settings that operators are given.
    pub async fn before(servers: &[Url]) -> Result<(Self, Url)> {
        let directory = database::scratch()?;
        let place = directory.path().display().to_string();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let given = include_str!("../../deployments/hosting/nginx.conf");
        let (head, rest) = given.split_once("    server serve-1:3000").context("the servers")?;
        let tail = rest.rsplit_once("serve-3:3000").context("the servers")?.1;
        let (options, tail) = tail.split_once(';').context("the servers' options")?;
        let server =
            |url: &Url| Ok(format!("    server {}:{}{options};\n", url.host_str().context("a host")?, url.port().context("a port")?));
        let servers = servers.iter().map(server).collect::<Result<String>>()?;
        let settings = format!("daemon off;\n{head}{}{tail}", servers.trim_end())
            .replace("/tmp/", &format!("{place}/"))
            .replace("/dev/stderr", &format!("{place}/errors"))
            .replace("listen 8080", &format!("listen 127.0.0.1:{port}"))
            .replace("worker_processes auto", "worker_processes 1");
        let nginx = Self::run(directory, &settings, port).await?;
        Ok((nginx, Url::parse(&format!("http://127.0.0.1:{port}/"))?))
    }

    async fn run(directory: TempDir, settings: &str, port: u16) -> Result<Self> {
        let file = directory.path().join("nginx.conf");
        fs::write(&file, settings)?;
        // Its workers become another user, who has no business here: a single process serves.
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .args(["-g", "master_process off;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("nginx is not installed")?;
        let nginx = Self { child, directory };
        let started = Instant::now();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            ensure!(started.elapsed() < Duration::from_secs(10), "nginx does not listen: {}", nginx.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
