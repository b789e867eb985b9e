//! JSON-RPC over a real HTTP socket, as far as a client library can tell; what is wrong with an answer is wrong on the wire.

use std::sync::Arc;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::{dice::Dice, faults::Transport, world::World};

/// Largest request that is read.
const LARGEST: usize = 1 << 22;

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            // The client closed the connection, or was meant to see it closed.
            let _closed = converse(stream, &world).await;
        });
    }
}

async fn converse(stream: TcpStream, world: &World) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(body) = read_request(&mut stream).await? {
        let Ok(request) = serde_json::from_str::<Value>(&body) else { return Ok(()) };
        let (transport, mut dice) = world.transport(&without_ids(&request));
        let (status, text) = match transport {
            Transport::Status(status) => (status, "<html>not now</html>".to_owned()),
            Transport::Closed => return Ok(()),
            Transport::Mute => {
                // Until the client hangs up.
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                return Ok(());
            }
            Transport::Garbage => (200, "upstream connect error or disconnect/reset before headers".to_owned()),
            Transport::Honest | Transport::Truncated | Transport::Shuffled | Transport::LostOne | Transport::TwiceOne => {
                (200, reply(world, &request, transport, &mut dice))
            }
        };
        let retry_after = if status == 429 { "retry-after: 0\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} .\r\ncontent-type: application/json\r\n{retry_after}content-length: {}\r\n\r\n", text.len());
        stream.write_all(head.as_bytes()).await?;
        if transport == Transport::Truncated {
            stream.write_all(&text.as_bytes()[..text.len() / 2]).await?;
            stream.flush().await?;
            return Ok(());
        }
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The response, or those of a batch, in which things may get lost.
fn reply(world: &World, request: &Value, transport: Transport, dice: &mut Dice) -> String {
    let Some(requests) = request.as_array() else { return reply_to_one(world, request) };
    if !world.script.setting.serves_batches {
        return r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batches are not supported"}}"#.to_owned();
    }
    let mut answers: Vec<_> = requests.iter().map(|request| reply_to_one(world, request)).collect();
    let at = dice.index(answers.len().max(1));
    match transport {
        Transport::Shuffled => dice.shuffle(&mut answers),
        Transport::LostOne => drop(answers.remove(at)),
        Transport::TwiceOne => answers.push(answers[at].clone()),
        Transport::Honest | Transport::Status(_) | Transport::Closed | Transport::Truncated | Transport::Garbage | Transport::Mute => {}
    }
    format!("[{}]", answers.join(","))
}

fn reply_to_one(world: &World, request: &Value) -> String {
    let answer = world.answer(request["method"].as_str().unwrap_or_default(), &request["params"]);
    format!(r#"{{"jsonrpc":"2.0","id":{},{answer}}}"#, request["id"])
}

/// What is asked, without the numbers that the client gives its questions.
fn without_ids(request: &Value) -> String {
    let question = |request: &Value| format!("{} {}", request["method"].as_str().unwrap_or_default(), request["params"]);
    match request.as_array() {
        Some(requests) => requests.iter().map(question).collect::<Vec<_>>().join(", "),
        None => question(request),
    }
}

/// The body of the next request; nothing when the client is done.
async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    use tokio::io::AsyncBufReadExt;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    if length > LARGEST {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(String::from_utf8(body).ok())
}
