//! Each type of channel against a receiver on loopback.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::alert::judgement;
use crate::record::{Alert, AlertState, Severity, WallTime};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
const AT: WallTime = WallTime(1_795_341_599_000_000_000);

fn notification(state: AlertState) -> Notification {
    let mut alert = judgement::test_alert(AT);
    alert.state = state;
    (alert.rule, alert.scope, alert.severity) = ("error_rate_5min".into(), "shop".into(), Severity::Critical);
    alert.message = "Error rate of shop on web-1 is 20 %, limit 5 % <b> & [x](http://evil/).".into();
    (alert.value, alert.threshold) = (Some(0.2), 0.05);
    Notification { alert, sender: Arc::new(Sender { host: "web-1".into(), page: Some("https://perf.example.com".into()) }) }
}

/// A request as it came: first line, header lines in lower case, body.
type Came = (String, Vec<String>, String);

/// A receiver that answers each request with this.
fn http(answer: &'static str) -> (String, Arc<Mutex<Vec<Came>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let came: Arc<Mutex<Vec<Came>>> = Arc::default();
    let kept = came.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let kept = kept.clone();
            thread::spawn(move || serve(stream, answer, &kept));
        }
    });
    (url, came)
}

fn serve(mut stream: TcpStream, answer: &str, came: &Mutex<Vec<Came>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let length = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let first = lines.remove(0);
    came.lock().unwrap().push((first, lines.iter().map(|line| line.to_lowercase()).collect(), String::from_utf8(body).unwrap()));
    if answer.is_empty() {
        thread::sleep(LONG);
    }
    stream.write_all(answer.as_bytes()).ok();
}

const OK: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn url(url: impl Into<String>) -> ChannelOptions {
    ChannelOptions { url: Some(url.into()), ..ChannelOptions::default() }
}

fn send(kind: &str, options: &ChannelOptions, state: AlertState, timeout: Duration) -> Result<(), DeliveryError> {
    let kind = ChannelType::named(kind).unwrap();
    assert_eq!(kind.faults(options), []);
    kind.open(options, timeout).send(&notification(state))
}

/// What a type of channel posts: the first line and the body.
fn posted(kind: &str, options: impl Fn(String) -> ChannelOptions, state: AlertState) -> (String, Value) {
    let (base, came) = http(OK);
    send(kind, &options(base), state, LONG).unwrap();
    let came = came.lock().unwrap();
    assert_eq!(came.len(), 1);
    (came[0].0.clone(), serde_json::from_str(&came[0].2).unwrap())
}

#[test]
fn slack_gets_a_text_and_blocks() {
    let (line, body) = posted("slack", |base| url(format!("{base}/services/T0/B0/s3cr3tpart")), AlertState::Firing);
    assert_eq!(line, "POST /services/T0/B0/s3cr3tpart HTTP/1.1");
    let text = body["text"].as_str().unwrap();
    let wanted = ":rotating_light: Critical: error_rate_5min on web-1: Error rate of shop on web-1 is 20 %, limit 5 % &lt;b&gt; &amp; [x](http://evil/).";
    assert_eq!(text, wanted);
    let section = body["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(section.contains("<https://perf.example.com/?at=2026-11-22T09:59:59Z#alerts|Open perfmon>"), "{section}");
    assert!(body["blocks"][1]["elements"].as_array().unwrap().contains(&json!({"type": "mrkdwn", "text": "Host: web-1"})), "{body}");
    let (_, over) = posted("slack", url, AlertState::Resolved);
    assert!(over["text"].as_str().unwrap().starts_with(":white_check_mark: Resolved: error_rate_5min on web-1: "), "{over}");
}

#[test]
fn teams_gets_an_adaptive_card() {
    let (_, body) = posted("teams", url, AlertState::Firing);
    assert_eq!(body["type"], "message");
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    assert_eq!(card["body"][0]["text"], "Critical: error_rate_5min on web-1");
    let message = card["body"][1]["text"].as_str().unwrap();
    assert!(message.contains("is 20 %") && message.contains("\\[x\\](") && !message.contains(" [x]"), "{message}");
    assert_eq!(card["actions"][0]["url"], "https://perf.example.com/?at=2026-11-22T09:59:59Z#alerts");
}

#[test]
fn pagerduty_triggers_acknowledges_and_resolves_one_incident() {
    let options = |base: String| ChannelOptions { routing_key: Some("r0ut1ngk3y".into()), ..url(base) };
    let (line, body) = posted("pagerduty", options, AlertState::Firing);
    assert_eq!(line, "POST /v2/enqueue HTTP/1.1");
    assert_eq!((&body["event_action"], &body["routing_key"]), (&json!("trigger"), &json!("r0ut1ngk3y")));
    let payload = &body["payload"];
    assert_eq!(
        (&payload["severity"], &payload["source"], &payload["class"]),
        (&json!("critical"), &json!("web-1"), &json!("error_rate_5min"))
    );
    assert!(payload["summary"].as_str().unwrap().contains("is 20 %"));
    for (state, action) in [(AlertState::Acknowledged, "acknowledge"), (AlertState::Resolved, "resolve")] {
        let (_, next) = posted("pagerduty", options, state);
        assert_eq!(next, json!({"routing_key": "r0ut1ngk3y", "event_action": action, "dedup_key": body["dedup_key"]}));
    }
    assert!(body["dedup_key"].as_str().is_some_and(|key| !key.is_empty()));
}

#[test]
fn alertmanager_gets_labels_that_do_not_change() {
    let (line, firing) = posted("alertmanager", |base| url(base + "/"), AlertState::Firing);
    assert_eq!(line, "POST /api/v2/alerts HTTP/1.1");
    let labels = json!({"alertname": "error_rate_5min", "severity": "critical", "type": "performance", "scope": "shop", "service": "perfmon",
        "instance": "web-1"});
    assert_eq!(firing[0]["labels"], labels);
    assert!(firing[0]["endsAt"].as_str() > firing[0]["startsAt"].as_str(), "{firing}");
    let (_, over) = posted("alertmanager", url, AlertState::Resolved);
    assert_eq!((&over[0]["labels"], over[0]["endsAt"].as_str()), (&labels, Some("2026-11-22T09:59:59.000000000Z")));
}

#[test]
fn a_webhook_gets_the_record_with_a_text_and_a_signature() {
    let (base, came) = http(OK);
    let options = ChannelOptions { signing_key: Some("k3y-of-sign".into()), ..url(base) };
    send("webhook", &options, AlertState::Firing, LONG).unwrap();
    let (_, headers, body) = came.lock().unwrap()[0].clone();
    let record: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&record["kind"], &record["state"], &record["host"]), (&json!("alert"), &json!("firing"), &json!("web-1")));
    assert!(record["text"].as_str().unwrap().starts_with("Critical: error_rate_5min on web-1: Error rate"), "{record}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"k3y-of-sign");
    let signature = headers.iter().find_map(|line| line.strip_prefix("x-perfmon-signature-256: sha256=")).unwrap();
    let bytes: Vec<u8> = (0..signature.len() / 2).map(|at| u8::from_str_radix(&signature[2 * at..2 * at + 2], 16).unwrap()).collect();
    ring::hmac::verify(&key, body.as_bytes(), &bytes).unwrap();
}

#[test]
fn a_template_is_filled_and_its_faults_are_found_at_the_start() {
    let templated = |template: &str, base: String| ChannelOptions { template: Some(template.into()), ..url(base) };
    let template = r#"{"content": "{{ state }}: {{message}} \"{{scope}}\"", "value": {{threshold}}}"#;
    let (_, body) = posted("webhook", |base| templated(template, base), AlertState::Firing);
    assert_eq!(body["value"], 0.05);
    assert!(body["content"].as_str().unwrap().starts_with("firing: Error rate of shop"), "{body}");
    let mut quoted = notification(AlertState::Firing);
    quoted.alert.message = "say \"no\"\n".into();
    let filled = template::Template::parse(template).unwrap().fill(&quoted);
    assert_eq!(serde_json::from_str::<Value>(&filled).unwrap()["content"], "firing: say \"no\"\n \"shop\"");
    for (template, fault) in [
        ("{\"a\": \"{{mesage}}\"}", "did you mean message?"),
        ("{{zzzzzzzz}}", "the fields are text, title"),
        ("{{message", "is not closed"),
        ("{\"a\": {{message}}, }", "is no JSON"),
    ] {
        let faults = ChannelType::named("webhook").unwrap().faults(&templated(template, "http://x".into()));
        assert!(faults.len() == 1 && faults[0].0 == "template" && faults[0].1.contains(fault), "{template}: {faults:?}");
    }
}

#[test]
fn no_error_holds_a_secret_and_each_says_whether_to_try_again() {
    let answers: [(&'static str, bool, &str); 6] = [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nno_service", false, "it answered 404 Not Found: no_service"),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 19\r\n\r\nno path /s3cr3tpart", false, "it answered 400 Bad Request"),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n", false, "it answered 302 Found; redirects"),
        ("HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", true, "it answered 429"),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 7\r\n\r\n\x1b[31mred", true, "it answered 500 Internal Server Error: \\u{1b}[31mre"),
        ("", true, "no answer within 0.3 s"),
    ];
    for kind in ["webhook", "slack", "teams", "alertmanager", "pagerduty"] {
        for (answer, may_pass, said) in answers {
            let (base, _) = http(answer);
            let key = (kind == "pagerduty").then(|| "s3cr3tpart".into());
            let options = ChannelOptions { routing_key: key, ..url(format!("{base}/s3cr3tpart")) };
            let error = send(kind, &options, AlertState::Firing, if answer.is_empty() { SHORT } else { LONG }).unwrap_err();
            assert_eq!(error.may_pass(), may_pass, "{kind}: {error}");
            let text = error.to_string();
            assert!(text.starts_with(said) && !text.contains("s3cr3t") && !text.contains('\x1b'), "{kind}: {text}");
            assert_eq!(error.retry_after(), text.contains("429").then_some(Duration::from_secs(7)));
        }
    }
}

/// A mail server that answers each command as told; keeps the lines that came.
fn smtp(answer: impl Fn(&str) -> &'static str + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let came: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = came.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.write_all(b"220 sink ESMTP\r\n").unwrap();
            let mut is_mail = false;
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                if is_mail && line != "." {
                    continue;
                }
                let word = if is_mail { "." } else { line.split(' ').next().unwrap() };
                is_mail = word == "DATA";
                if stream.write_all(answer(word).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (url, came)
}

fn accepts(command: &str) -> &'static str {
    match command {
        "EHLO" => "250-sink\r\n250 8BITMIME\r\n",
        "DATA" => "354 go on\r\n",
        _ => "250 fine\r\n",
    }
}

fn mail(smtp: impl Into<String>) -> ChannelOptions {
    let (from, to) = (Some("perfmon <perfmon@example.com>".into()), vec!["ops@example.com".into(), "boss@example.com".into()]);
    ChannelOptions { smtp: Some(smtp.into()), from, to, ..ChannelOptions::default() }
}

#[test]
fn a_mail_goes_to_all_receivers() {
    let (server, came) = smtp(accepts);
    send("email", &mail(server), AlertState::Resolved, LONG).unwrap();
    let lines = came.lock().unwrap().clone();
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for wanted in [
        "EHLO web-1",
        "MAIL FROM:<perfmon@example.com>",
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<boss@example.com>",
        "Subject: Resolved: error_rate_5min on web-1",
        "Date: Sun, 22 Nov 2026 09:59:59 +0000",
        "Auto-Submitted: auto-generated",
        "In-Reply-To: <",
        "Host: web-1",
        "https://perf.example.com/?at=2026-11-22T09:59:59Z#alerts",
    ] {
        assert!(has(wanted), "{wanted}: {lines:#?}");
    }
}

#[test]
fn refusals_of_a_mail_server_say_whether_to_try_again() {
    let refuses = |wanted: &'static str, said: &'static str| move |command: &str| if command == wanted { said } else { accepts(command) };
    for (command, answer, may_pass, said) in [
        ("MAIL", "451 4.3.0 try later\r\n", true, "it cannot take it now: 451 4.3.0 try later"),
        ("RCPT", "550 5.1.1 no such user\r\n", false, "it was refused: 550 5.1.1 no such user"),
        (".", "554 5.7.1 spam\r\n", false, "it was refused: 554 5.7.1 spam"),
        ("EHLO", "421 closing\r\n", true, "it cannot take it now: 421 closing"),
    ] {
        let (server, _) = smtp(refuses(command, answer));
        let error = send("email", &mail(server), AlertState::Firing, LONG).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.may_pass()), (said, may_pass));
    }
    // Without STARTTLS nothing is sent in the clear.
    let (server, came) = smtp(accepts);
    let error = send("email", &ChannelOptions { starttls: Some(true), ..mail(server) }, AlertState::Firing, LONG).unwrap_err();
    assert!(error.to_string().contains("STARTTLS is not supported") && !error.may_pass(), "{error}");
    assert!(!came.lock().unwrap().iter().any(|line| line.starts_with("MAIL")));
    // TLS from the start against a server that speaks plainly, and a server that is not there.
    let (server, _) = smtp(accepts);
    let error = send("email", &mail(server.replace("smtp:", "smtps:")), AlertState::Firing, Duration::from_secs(2)).unwrap_err();
    assert!(error.may_pass(), "{error}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = send("email", &mail(format!("smtp://{closed}")), AlertState::Firing, LONG).unwrap_err();
    assert!(error.may_pass() && error.to_string().starts_with("could not be reached"), "{error}");
}

#[test]
fn options_that_do_not_fit_are_named() {
    let faults = |kind: &str, options: ChannelOptions| ChannelType::named(kind).unwrap().faults(&options);
    let keys = |faults: Vec<OptionFault>| faults.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(faults("slack", ChannelOptions::default())), ["url"]);
    assert_eq!(keys(faults("slack", url("ftp://x"))), ["url"]);
    assert_eq!(keys(faults("log", url("http://x"))), ["url"]);
    assert_eq!(keys(faults("pagerduty", url("http://x"))), ["routing_key"]);
    assert_eq!(keys(faults("email", ChannelOptions::default())), ["smtp", "from", "to"]);
    let wrong = ChannelOptions { smtp: Some("http://x".into()), from: Some("nobody".into()), username: Some("u".into()), ..mail("") };
    assert_eq!(keys(faults("email", wrong)), ["smtp", "from", "password"]);
    let readable = ChannelOptions { starttls: Some(false), username: Some("u".into()), password: Some("p".into()), ..mail("smtp://mail") };
    assert!(faults("email", readable)[0].1.contains("readable"));
    assert_eq!(keys(faults("email", mail("smtp://u:p@mail"))), ["smtp"]);
    assert!(!format!("{:?}", url("http://x/s3cr3t")).contains("s3cr3t"));
}

#[test]
fn threads_of_a_receiver_that_hangs_are_bounded() {
    struct Hangs;
    impl ChannelTransport for Hangs {
        fn send(&self, _: &Notification) -> Result<(), DeliveryError> {
            thread::sleep(LONG);
            Ok(())
        }
    }
    let attempts = Attempts::new(ChannelType::named("webhook").unwrap(), Arc::new(Hangs), Duration::ZERO, Default::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let firing: Alert = notification(AlertState::Firing).alert;
    let one = || Notification { alert: firing.clone(), sender: Arc::default() };
    runtime.block_on(async {
        let all = (0..10).map(|_| attempts.attempt(one()));
        let ended = futures_util::future::join_all(all).await;
        assert!(ended.iter().all(|ended| *ended == Err(DeliveryError::TimedOut(Duration::ZERO))), "{ended:?}");
    });
    assert_eq!(attempts.threads(), 3);
}
