//! Commands and answers of each kind, as Memcached 1.6 answers them.
use super::*;

#[test]
fn errors_and_what_is_no_command() {
    assert_eq!(
        lines(b"set k 0 0 3\r\nabcdef\r\nget k\r\n", b"CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n"),
        ["set ? ? CLIENT_ERROR", "- ERROR", "get ? 0"]
    );
    assert_eq!(
        lines(b"set k 0 0 -1\r\nversion\r\n", b"CLIENT_ERROR bad command line format\r\nVERSION 1.6.18\r\n"),
        ["set ? ? CLIENT_ERROR", "version"]
    );
    let long = [&b"set "[..], &[b'k'; 251], b" 0 0 3\r\nabc\r\nversion\r\n"].concat();
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set k 0 0 1\r\nx\r\n");
    commands.bytes(IN, &long);
    commands.bytes(OUT, b"STORED\r\nCLIENT_ERROR bad command line format\r\nERROR\r\nVERSION 1.6.18\r\n");
    assert_eq!(commands.lines(), ["set ? ?", "set ? ? CLIENT_ERROR", "- ERROR", "version"]);
    let large = [&b"set k 0 0 2000000\r\n"[..], &vec![b'x'; 2_000_000], b"\r\nversion\r\n"].concat();
    assert_eq!(lines(&large, b"SERVER_ERROR object too large for cache\r\nVERSION 1.6.18\r\n"), ["set ? ? SERVER_ERROR", "version"]);
}

#[test]
fn quiet_meta_commands_end_with_the_noop() {
    let asked = b"ms user:1 2 q\r\nhi\r\nmg user:1 v q k\r\nmg b v q k\r\nmg a v k q\r\nmd zz q\r\nmn\r\n";
    let told = ["ms user:? ? unanswered 1", "mg user:? 1", "mg ? unanswered 0", "mg ? 1", "md ? 0", "mn"];
    assert_eq!(lines(asked, b"VA 2 kuser:1\r\nhi\r\nVA 2 ka\r\nhi\r\nNF\r\nMN\r\n"), told);
    let opaque = b"mg a v q O1\r\nmg b v q O2\r\nmg c v q O3\r\nmn\r\n";
    assert_eq!(lines(opaque, b"VA 2 O2\r\nhi\r\nMN\r\n"), ["mg ? unanswered 0", "mg ? 1", "mg ? unanswered 0", "mn"]);
    let repeated = b"mg a v q k\r\nmg a v\r\nmg b v q\r\nmg b v q k\r\nmn\r\n";
    let told = ["mg ? 1", "mg ? 1", "mg ? unanswered 0", "mg ? 1", "mn"];
    assert_eq!(lines(repeated, b"VA 1 ka\r\nx\r\nVA 1\r\nx\r\nVA 1 kb\r\nx\r\nMN\r\n"), told);
    let made = b"ma c N0 J1 q O1\r\nma c N0 J1 q O2\r\nmd none k\r\nmn\r\n";
    let told = ["ma ? 1", "ma ? unanswered", "md ? 0", "mn"];
    assert_eq!(lines(made, b"HD O1\r\nNF knone\r\nMN\r\n"), told);
    // Which of them was there is not said.
    let told = ["mg ? inferred 1", "mg ? unanswered inferred 0", "mn"];
    assert_eq!(lines(b"mg a v q\r\nmg b v q\r\nmn\r\n", b"VA 2\r\nhi\r\nMN\r\n"), told);
}

#[test]
fn the_answers_of_meta_commands() {
    let asked = b"me a\r\nme b\r\nmg a\r\nmg a t f s k O123 v\r\nms a 1\r\nx\r\nmd a\r\nma n v\r\nma nope\r\nmg AAE= b v\r\nmn\r\n";
    let answers = b"EN\r\nME b exp=-1 la=2\r\nHD\r\nEN ka O123\r\nNS\r\nEX\r\nVA 1\r\n9\r\nNF\r\nVA 0 b\r\n\r\nMN\r\n";
    let told = ["me ?", "me ?", "mg ? 1", "mg ? 0", "ms ? ? 0", "md ? 0", "ma ? 1", "ma ? 0", "mg ? 1", "mn"];
    assert_eq!(lines(asked, answers), told);
}

#[test]
fn values_of_many_keys_hold_anything() {
    let asked = b"get user:1 \xff\xfe b\r\ngats 5 user:2\r\nincr n 2\r\ntouch n 5\r\ndelete n\r\ncas a 0 0 1 7\r\nx\r\nstats\r\n";
    let answers = b"VALUE user:1 0 5\r\nEND\r\n\r\nVALUE \xff\xfe 0 0\r\n\r\nEND\r\nEND\r\n8\r\nTOUCHED\r\nNOT_FOUND\r\nEXISTS\r\nSTAT pid 1\r\nEND\r\n";
    let told = ["get user:? ... 2", "gats user:? 0", "incr ? ? 1", "touch ? 1", "delete ? 0", "cas ? ? 0", "stats"];
    assert_eq!(lines(asked, answers), told);
}

#[test]
fn an_error_behind_noreply_is_given_to_nobody() {
    let told = ["set ? ? unanswered", "get ? unanswered inferred"];
    assert_eq!(lines(b"set k 0 0 1 noreply\r\nx\r\nget k\r\n", b"SERVER_ERROR out of memory storing object\r\nEND\r\n"), told);
}

#[test]
fn an_error_that_noreply_holds_back_is_the_commands_own() {
    let told = ["set ? ? unanswered", "incr ? ? CLIENT_ERROR", "get ? 0"];
    let answers = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\nEND\r\n";
    assert_eq!(lines(b"set k 0 0 1 noreply\r\nx\r\nincr k 1\r\nget k\r\n", answers), told);
}

#[test]
fn an_error_may_come_before_the_data() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set k 0 0 2000\r\nxx");
    commands.bytes(OUT, b"SERVER_ERROR object too large for cache\r\n");
    commands.bytes(IN, &[b'x'; 1_998]);
    commands.bytes(IN, b"\r\nget k\r\n");
    commands.bytes(OUT, b"END\r\n");
    assert_eq!(commands.lines(), ["set ? ? SERVER_ERROR", "get ?"]);
    assert_eq!(commands.parser.take_stats().orphans, 0);
}

#[test]
fn an_answer_that_may_be_a_quiet_commands_or_the_next_ones_leaves_a_doubt() {
    let mut commands = MemcachedCommands::default();
    commands.bytes(IN, b"set k 0 0 1\r\nx\r\n");
    commands.bytes(OUT, b"STORED\r\n");
    commands.bytes(IN, b"mg a v q\r\nmg b v\r\n");
    commands.bytes(OUT, b"VA 1\r\nx\r\n");
    commands.bytes(IN, b"mg c v\r\n");
    commands.bytes(OUT, b"EN\r\n");
    commands.end_at(commands.now_ns, Ending::Closed);
    assert_eq!(commands.lines(), ["set ? ?", "mg ? inferred", "mg ? inferred", "mg ? unanswered inferred"]);
}

#[test]
fn it_is_found_by_what_is_sent_with_noreply() {
    use crate::proto::detect::{Detected, Opening, Protocol, detect};
    let long = [&b"set "[..], &[b'k'; 100], b" 0 0 3 noreply\r\nabc\r\n"].concat();
    let asked: [&[u8]; 4] = [&long, b"delete k noreply\r\nget k\r\n", b"ms k 1 q\r\nx\r\nmn\r\n", b"incr k 1 noreply\r\n"];
    for asked in asked {
        let mut opening = Opening::of_stream(IN, asked);
        assert_eq!(detect(&opening), Detected::NeedMore, "{}", asked.escape_ascii());
        for answer in [&b"VALUE k 0 3\r\nabc\r\nEND\r\n"[..], b"MN\r\n", b"STORED\r\n"] {
            opening.streams[1] = answer;
            assert_eq!(detect(&opening), Detected::Is(Protocol::Memcached), "{}", asked.escape_ascii());
        }
    }
    let mut beanstalkd = Opening::of_stream(IN, b"delete 17\r\n");
    beanstalkd.streams[1] = b"DELETED\r\n";
    assert_eq!(detect(&beanstalkd), Detected::Unknown);
    let short = b"set k 0 0 3 noreply\r\nabc\r\n";
    assert_eq!(detect(&Opening::of_stream(IN, short)), Detected::Is(Protocol::Memcached));
}

#[test]
fn the_binary_protocol_is_recognised() {
    use crate::proto::detect::{Detected, Opening, Protocol, detect};
    let get = b"\x80\0\0\x05\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0Hello";
    assert_eq!(detect(&Opening::of_stream(IN, get)), Detected::Is(Protocol::MemcachedBinary));
    assert_eq!(detect(&Opening::of_stream(IN, &get[..20])), Detected::NeedMore);
    assert_eq!(detect(&Opening::of_stream(IN, b"\x80\x05hello\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")), Detected::Unknown);
    for redis in [&b"set a b\r\n"[..], b"get a\r\n"] {
        let mut opening = Opening::of_stream(IN, redis);
        opening.streams[1] = b"+OK\r\n";
        assert_ne!(detect(&opening), Detected::Is(Protocol::Memcached));
    }
}
