//! Fresh connections whose objects stand at one address, and long bodies. The kernel's side is acted out: what it captures of a call
//! follows the modes that the pipeline asked for, and it begins anew where it sees another socket or another object.
use super::*;
use crate::record::Record;

/// Bytes of a message that the kernel captures unasked.
const BUDGET: usize = 4_096;

/// What the kernel knows of the object.
#[derive(Default)]
struct Kernel {
    capture: Capture,
    direction: u8,
    captured: usize,
    sock: u64,
}

impl Kernel {
    /// Grants what was asked for.
    fn carry_out(&mut self, host: &mut Host) {
        for command in host.out.commands.drain(..) {
            if let PipelineCommand::CaptureTls(object, capture) = command {
                assert_eq!(object, TlsObject { pid: SERVER, ssl: SSL });
                self.capture = capture;
            }
        }
    }

    /// A call as the kernel captures it; `within`: it contains the socket's operations.
    fn call(&mut self, host: &mut Host, direction: u8, plain: &[u8], sock: u64, within: bool) {
        if self.sock != sock {
            *self = Self { sock, ..Self::default() };
        }
        if self.direction != direction {
            (self.direction, self.captured) = (direction, 0);
        }
        let captured = match self.capture {
            Capture::Off => return,
            Capture::Count => 0,
            Capture::Head => plain.len().min(BUDGET - self.captured),
            Capture::Full => plain.len(),
        };
        self.captured += captured;
        call_partly(host, SSL, direction, plain, captured, if within { sock } else { 0 });
        self.carry_out(host);
    }
}

/// A model call with a body of `len` bytes whose last member names the model.
fn post(len: usize) -> Vec<u8> {
    let (front, back) = (r#"{"messages":[{"role":"user","content":""#, r#""}],"model":"gpt-4o"}"#);
    let body = [front, &"x".repeat(len - front.len() - back.len()), back].concat();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

fn answer() -> Vec<u8> {
    let body = r#"{"object":"chat.completion","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// How perfmon learns of a connection's end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CloseSeen {
    AtOnce,
    AfterTheNextWrite,
    Never,
    /// The peer's end alone.
    OfThePeer,
}

/// Exchanges one POST on a fresh connection.
fn exchange(host: &mut Host, kernel: &mut Kernel, sock: u64, within: bool, between: impl FnOnce(&mut Host)) {
    host.open(sock, ROLE_CLIENT, 0);
    handshake(host, sock, true);
    kernel.carry_out(host);
    let (post, answer) = (post(2_700), answer());
    if within {
        host.sent(sock, &record(&post));
        kernel.call(host, DIRECTION_OUT, &post, sock, true);
        between(host);
    } else {
        kernel.call(host, DIRECTION_OUT, &post, sock, false);
        between(host);
        host.sent(sock, &record(&post));
    }
    kernel.carry_out(host);
    host.received(sock, &record(&answer));
    kernel.call(host, DIRECTION_IN, &answer, sock, within);
}

/// The requests and the model calls of what was recorded.
fn recorded(host: &mut Host) -> (Vec<(u64, u64, Option<u64>, u64)>, Vec<Option<String>>) {
    let (mut requests, mut models) = (Vec::new(), Vec::new());
    for record in host.out.records.drain(..) {
        match record {
            Record::Request(request) => {
                assert!(request.tls);
                requests.push((request.request_bytes, request.response_bytes, request.request_size, request.missing_bytes));
            }
            Record::Llm(call) => models.push(call.request_model.as_deref().map(str::to_owned)),
            _ => {}
        }
    }
    (requests, models)
}

#[test]
fn sixty_fresh_connections_at_one_address_are_all_whole() {
    for close in [CloseSeen::AtOnce, CloseSeen::AfterTheNextWrite, CloseSeen::Never, CloseSeen::OfThePeer] {
        for within in [true, false] {
            let (mut host, mut kernel) = (Host::new(), Kernel::default());
            for n in 1..=60_u64 {
                let sock = n * 64;
                exchange(&mut host, &mut kernel, sock, within, |host| {
                    if close == CloseSeen::AfterTheNextWrite && n > 1 {
                        host.state(sock - 64, 7, 0);
                    }
                });
                let (requests, models) = recorded(&mut host);
                let sizes = (post(2_700).len() as u64 + 22, answer().len() as u64 + 22, Some(2_700), 0);
                assert_eq!(requests, [sizes], "{close:?}, within: {within}, connection {n}");
                assert_eq!(models, [Some("gpt-4o".to_owned())], "{close:?}, within: {within}, connection {n}");
                assert_eq!(kernel.capture, Capture::Full, "a former connection's end changed it: {close:?}, within: {within}");
                match close {
                    CloseSeen::AtOnce => host.state(sock, 7, 0),
                    CloseSeen::OfThePeer => host.state(sock, 8, 0),
                    CloseSeen::Never | CloseSeen::AfterTheNextWrite => {}
                }
                kernel.carry_out(&mut host);
            }
        }
    }
}

#[test]
fn what_a_former_connection_had_switched_off_is_asked_for_again() {
    for within in [true, false] {
        let (mut host, mut kernel) = (Host::new(), Kernel::default());
        for n in 1..=20_u64 {
            // HTTP/2, which is recognised and not read; its end is not seen.
            let sock = 2 * n * 64;
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            host.open(sock, ROLE_CLIENT, 0);
            handshake(&mut host, sock, true);
            if within {
                host.sent(sock, &record(preface));
                kernel.call(&mut host, DIRECTION_OUT, preface, sock, true);
            } else {
                kernel.call(&mut host, DIRECTION_OUT, preface, sock, false);
                host.sent(sock, &record(preface));
                kernel.carry_out(&mut host);
            }
            assert_eq!(kernel.capture, Capture::Count, "within: {within}, connection {n}");
            exchange(&mut host, &mut kernel, sock + 64, within, |_| {});
            assert_eq!(recorded(&mut host).1, [Some("gpt-4o".to_owned())], "within: {within}, connection {n}");
        }
    }
}

#[test]
fn what_a_former_connection_never_sent_is_not_the_next_ones() {
    for closed in [false, true] {
        let (mut host, mut kernel) = (Host::new(), Kernel::default());
        exchange(&mut host, &mut kernel, 64, false, |_| {});
        assert_eq!(recorded(&mut host).1.len(), 1);
        // Its last words, which no send carries.
        kernel.call(&mut host, DIRECTION_OUT, b"\x88\x02\x03\xe8 and no more", 64, false);
        exchange(&mut host, &mut kernel, 128, false, |host| {
            if closed {
                host.state(64, 7, 0);
            }
        });
        let sizes = (post(2_700).len() as u64 + 22, answer().len() as u64 + 22, Some(2_700), 0);
        // Whatever the former one's words became, the next one's request is whole.
        let (requests, models) = recorded(&mut host);
        assert_eq!((requests.last(), models), (Some(&sizes), vec![Some("gpt-4o".to_owned())]), "closed: {closed}");
    }
}

#[test]
fn a_body_of_256_kib_in_one_call_is_whole() {
    const LEN: usize = 256 * 1024 - 200;
    for within in [true, false] {
        let mut host = Host::new();
        let (post, answer) = (post(LEN), answer());
        host.open(64, ROLE_CLIENT, 0);
        handshake(&mut host, 64, true);
        if within {
            host.sent(64, &record(&post));
            call(&mut host, SSL, DIRECTION_OUT, &post, 64);
        } else {
            call(&mut host, SSL, DIRECTION_OUT, &post, 0);
            record(&post).chunks(60_000).for_each(|sent| host.sent(64, sent));
        }
        host.received(64, &record(&answer));
        call(&mut host, SSL, DIRECTION_IN, &answer, if within { 64 } else { 0 });
        let wire = post.len() as u64 + 22 * post.len().div_ceil(1 << 14) as u64;
        let (requests, models) = recorded(&mut host);
        assert_eq!(requests, [(wire, answer.len() as u64 + 22, Some(LEN as u64), 0)], "within: {within}");
        assert_eq!(models, [Some("gpt-4o".to_owned())], "within: {within}");
    }
}

#[test]
fn what_is_cut_of_a_call_marks_its_record() {
    let mut host = Host::new();
    let post = post(300 * 1024);
    host.open(64, ROLE_CLIENT, 0);
    handshake(&mut host, 64, true);
    host.sent(64, &record(&post));
    call_partly(&mut host, SSL, DIRECTION_OUT, &post, 256 * 1024, 64);
    host.received(64, &record(&answer()));
    call(&mut host, SSL, DIRECTION_IN, &answer(), 64);
    let (requests, _) = recorded(&mut host);
    assert_eq!(
        requests.iter().map(|request| (request.2, request.3)).collect::<Vec<_>>(),
        [(Some(300 * 1024), (post.len() - 256 * 1024) as u64)]
    );
}
