//! A receiver of webhooks for tests: it reads one request byte by byte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Reads one request, answers it and returns its text: head and body.
pub async fn answer(listener: &TcpListener, answer: &str) -> String {
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let mut request = String::new();
    while !is_whole(&request) {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.expect("bytes");
        assert_ne!(read, 0, "the request ended early: {request}");
        request.push_str(std::str::from_utf8(&buffer[..read]).expect("UTF-8"));
    }
    connection.write_all(answer.as_bytes()).await.expect("somebody reads the answer");
    request
}

fn is_whole(request: &str) -> bool {
    let Some((_, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = header(request, "content-length").unwrap_or("0");
    body.len() == length.parse::<usize>().expect("a length")
}

pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = request.split_once("\r\n\r\n")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
}
