//! Clients that are slow, silent or too many, over sockets of their own; and answers to malformed heads.

use super::*;

/// The tests that expect a cut connection must not wait long for it.
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(3600);
const PATIENT: Timeouts = Timeouts { head: LONG, body: LONG, answer: LONG };

async fn with(connections: usize, timeouts: Timeouts) -> Api {
    let settings = ApiSettings { connections, timeouts, ..settings(RateLimit::default()) };
    Api::set(settings, TargetPolicy::PublicOnly).await
}

async fn connect(api: &Api, sent: &str) -> TcpStream {
    let mut connection = TcpStream::connect(api.address).await.unwrap();
    connection.write_all(sent.as_bytes()).await.unwrap();
    connection
}

/// Returns what comes until the other side closes. A connection that is closed with bytes unread is reset.
async fn rest_of(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _cut = connection.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

async fn answer_to(api: &Api, sent: &str) -> String {
    rest_of(&mut connect(api, sent).await).await
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_cut() {
    let api = with(10, Timeouts { head: SHORT, ..PATIENT }).await;
    for begun in ["", "GET", "GET /v1/health HTTP/1.1\r\nhost: x\r\n"] {
        assert_eq!(answer_to(&api, begun).await, "", "{begun}");
    }
    // A connection on which nothing follows is cut, too.
    let kept_open = answer_to(&api, "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(kept_open.starts_with("HTTP/1.1 200 OK"), "{kept_open}");
}

#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_is_a_408() {
    let api = with(10, Timeouts { body: SHORT, ..PATIENT }).await;
    let headers = signed("POST", "/v1/webhooks", "{}");
    let request = format!(
        "POST /v1/webhooks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: 2\r\n\r\n{{"
    );
    assert_eq!(api.raw(&request).await.problem("bad-request").0, 408);
}

#[tokio::test]
async fn a_thousand_silent_connections_keep_no_signed_call_out() {
    let api = with(20, PATIENT).await;
    let mut silent = Vec::new();
    for number in 0..1000 {
        let begun = if number % 2 == 0 { "" } else { "GET /v1/webhooks HTTP/1.1\r\n" };
        silent.push(connect(&api, begun).await);
        if number % 100 == 0 {
            assert_eq!(api.get("/v1/webhooks").await.status, 200, "{number}");
        }
    }
    assert_eq!(api.get("/v1/webhooks").await.status, 200);
    // The first connections were closed for the later ones.
    assert_eq!(rest_of(&mut silent[0]).await, "");
}

#[tokio::test]
async fn a_connection_with_signed_calls_outlives_silent_ones() {
    let api = with(3, PATIENT).await;
    let headers = signed("GET", "/v1/webhooks", "");
    let request = format!("GET /v1/webhooks HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let mut signed = connect(&api, &request).await;
    let mut first = [0; 12];
    signed.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    for _ in 0..20 {
        connect(&api, "").await;
    }
    assert_eq!(api.get("/v1/webhooks").await.status, 200);
    let last = request.replace("host: x", "host: x\r\nconnection: close");
    signed.write_all(last.as_bytes()).await.unwrap();
    assert!(rest_of(&mut signed).await.contains("HTTP/1.1 200"), "it was still there");
}

#[tokio::test]
async fn a_target_that_is_too_long_is_a_414_for_everybody() {
    let api = Api::start().await;
    let long = "x".repeat(4097);
    for target in [format!("/{long}"), format!("/v1/health?{long}"), format!("/v1/rooms/{long}/recording")] {
        let answer = api.with_headers("GET", &target, "", "").await;
        assert_eq!(answer.problem("bad-request").0, 414, "{}", &target[..20]);
    }
    // The longest name that a room can have, with every byte percent-encoded.
    let room = "%78".repeat(256);
    assert_eq!(api.get(&format!("/v1/rooms/{room}/recording")).await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_or_none_is_refused_by_the_listener() {
    let api = Api::start().await;
    let get = "GET /v1/health HTTP/1.1\r\nhost: x\r\n";
    let many: String = (0..70).map(|number| format!("x-{number}: y\r\n")).collect();
    let cases = [
        (format!("{get}x: {}\r\n\r\n", "y".repeat(17_000)), "431"),
        (format!("{get}{many}\r\n"), "431"),
        ("GET /\u{1}x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400"),
        ("hello\r\n\r\n".to_owned(), "400"),
        (format!("{get}content-length: 1\r\ncontent-length: 2\r\n\r\nx"), "400"),
    ];
    for (request, status) in cases {
        let answer = answer_to(&api, &request).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{}: {answer}", &request[..40.min(request.len())]);
        assert!(answer.contains("content-length: 0"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_waits_to_be_asked_for_is_asked_for_only_once_the_headers_hold() {
    let api = Api::start().await;
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    let expecting = |headers: &str| {
        let length = body.len();
        format!(
            "POST /v1/webhooks HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n{headers}content-length: {length}\r\n\r\n"
        )
    };
    let refused = answer_to(&api, &expecting("")).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");

    let mut asked = connect(&api, &expecting(&signed("POST", "/v1/webhooks", body))).await;
    let mut go_on = [0; 25];
    asked.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    asked.write_all(body.as_bytes()).await.unwrap();
    let answer = rest_of(&mut asked).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn figures_on_a_port_of_their_own_are_told_to_everybody_and_nowhere_else() {
    let settings = ApiSettings { metrics_here: false, ..settings(RateLimit::default()) };
    let mut api = Api::set(settings, TargetPolicy::PublicOnly).await;
    assert_eq!(api.get("/metrics").await.problem("not-found").0, 404);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    api.address = listener.local_addr().unwrap();
    let handle = PrometheusBuilder::new().build_recorder().handle();
    let served = serve_metrics(listener, Arc::new(InMemory::default()), handle, api.cancel.clone());
    let served = tokio::spawn(served);
    let unsigned = async |target: &str| api.with_headers("GET", target, "", "").await;
    assert_eq!(unsigned("/metrics").await.status, 200);
    let elsewhere =
        answer_to(&api, "GET /v1/webhooks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
    api.cancel.cancel();
    served.await.unwrap();
}
