//! Malicious receivers, over real connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const MIB: u64 = 1 << 20;
/// More than the kernel buffers on both sides before a writer has to wait; far less than `FLOOD`.
const BUFFERED: u64 = 32 * MIB;
const FLOOD: u64 = 100 * MIB;

async fn receiver() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

async fn send_to(url: &str) -> Result<StatusCode, AttemptError> {
    let (id, secret) = (DeliveryId::random(), "s".into());
    let message = Message { id: &id, url, secret: &secret, event: "egress_ended", body: "{}" };
    Sender::new(TargetPolicy::AnyAddress).unwrap().send(message).await
}

async fn connection(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert_ne!(connection.read(&mut request).await.unwrap(), 0);
    connection
}

/// Answers with a beginning and then with the same bytes again and again. Returns how many bytes were
/// accepted.
async fn flood(listener: &TcpListener, beginning: &str, again: &[u8]) -> u64 {
    let mut connection = connection(listener).await;
    connection.write_all(beginning.as_bytes()).await.unwrap();
    let mut taken = 0;
    while taken < FLOOD && connection.write_all(again).await.is_ok() {
        taken += again.len() as u64;
    }
    taken
}

#[tokio::test]
async fn of_an_answer_of_a_hundred_megabytes_little_is_read_and_its_status_counts() {
    let (listener, url) = receiver().await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {FLOOD}\r\n\r\n");
    let block = vec![b'x'; 1 << 16];
    let (taken, result) = tokio::join!(flood(&listener, &head, &block), send_to(&url));
    assert_eq!(result.unwrap(), StatusCode::OK);
    assert!(taken < BUFFERED, "{taken} bytes were taken");
}

#[tokio::test]
async fn an_answer_whose_head_does_not_end_is_a_failed_attempt() {
    let (listener, url) = receiver().await;
    for again in [&b"x-more: of the same\r\n"[..], &[b'x'; 1 << 16]] {
        let (taken, result) =
            tokio::join!(flood(&listener, "HTTP/1.1 200 OK\r\nx-long: ", again), send_to(&url));
        assert!(matches!(result, Err(AttemptError::Transport(_))), "{result:?}");
        assert!(taken < BUFFERED, "{taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_or_speaks_something_else_is_a_failed_attempt() {
    let (listener, url) = receiver().await;
    for answer in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200"] {
        let cut = async {
            let mut connection = connection(&listener).await;
            connection.write_all(answer.as_bytes()).await.unwrap();
        };
        let ((), result) = tokio::join!(cut, send_to(&url));
        let error = result.expect_err("nothing was answered");
        assert_eq!(error.status(), None, "{answer:?}");
        assert!(error.for_users().starts_with("the receiver could not be reached: "), "{error}");
    }
}

#[tokio::test]
async fn each_call_is_a_connection_of_its_own() {
    let (listener, url) = receiver().await;
    for _ in 0..2 {
        // This answer allows the client to keep the connection open for the next call.
        let answer = async {
            let mut connection = connection(&listener).await;
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            connection.read(&mut [0; 1]).await
        };
        let (end, result) = tokio::join!(answer, send_to(&url));
        assert_eq!(result.unwrap(), StatusCode::OK);
        assert_eq!(end.unwrap(), 0, "it was closed, and not by us");
    }
}
