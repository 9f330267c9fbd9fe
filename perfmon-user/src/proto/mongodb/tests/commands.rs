//! Commands and what is told of them.
use super::*;

/// Asks and is answered; what was told last.
fn told(request: &[u8], answer: &[u8]) -> crate::proto::command::Command {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, request);
    commands.bytes(OUT, answer);
    commands.told.pop().expect("a command")
}

fn ok(elements: &[Vec<u8>]) -> Vec<u8> {
    msg(2, 1, 0, &[elements, &[number("ok", 1)]].concat())
}

#[test]
fn a_find_has_its_collection_database_and_documents() {
    let told = told(&find(1), &found(1, 3));
    let names = [&told.operation, &told.target, &told.query, &told.database].map(|name| name.as_deref().unwrap_or("-"));
    assert_eq!(names, ["find", "orders", "find orders {filter: {user: ?}}", "shop"]);
    assert_eq!((told.rows, told.error, told.server, told.system), (Some(3), None, true, "mongodb"));
}

#[test]
fn changed_documents_are_counted_and_values_are_not() {
    let rows = |name: &str, answer: &[Vec<u8>]| told(&msg(1, 0, 0, &[text(name, "orders"), text("$db", "shop")]), &ok(answer)).rows;
    assert_eq!(rows("insert", &[number("n", 4)]), Some(4));
    assert_eq!(rows("update", &[number("n", 5), number("nModified", 2)]), Some(2));
    let upserted = list("upserted", &[document(&[number("index", 0)])]);
    assert_eq!(rows("update", &[number("n", 1), upserted, number("nModified", 0)]), Some(1));
    assert_eq!(rows("count", &[number("n", 1_000)]), None);
    assert_eq!(rows("distinct", &[element(4, "values", &document(&[text("0", "a"), text("1", "b")]))]), Some(2));
    assert_eq!(rows("findAndModify", &[inside("lastErrorObject", &[number("n", 1)]), inside("value", &[number("n", 7)])]), Some(1));
    assert_eq!(rows("bulkWrite", &[number("nInserted", 2), number("nMatched", 9), number("nModified", 3)]), Some(5));
    assert_eq!(rows("ping", &[]), None);
}

#[test]
fn errors_have_their_number() {
    let error = |answer: &[Vec<u8>]| told(&find(1), &msg(2, 1, 0, answer)).error;
    assert_eq!(error(&[number("ok", 0), text("errmsg", "secret"), number("code", 59), text("codeName", "X")]).as_deref(), Some("59"));
    assert_eq!(error(&[number("ok", 0), text("codeName", "NotYet")]).as_deref(), Some("NotYet"));
    assert_eq!(error(&[number("ok", 0), text("codeName", "it's secret")]).as_deref(), Some("error"));
    let errors = list("writeErrors", &[document(&[number("index", 1), number("code", 11000)]), document(&[number("code", 7)])]);
    assert_eq!(error(&[number("n", 1), errors, number("ok", 1)]).as_deref(), Some("11000"));
    assert_eq!(error(&[number("n", 1), inside("writeConcernError", &[number("code", 64)]), number("ok", 1)]).as_deref(), Some("64"));
    assert_eq!(error(&[number("code", 5), number("ok", 1)]), None);
}

#[test]
fn a_shape_tells_names_and_no_values() {
    let query = |elements: &[Vec<u8>]| told(&msg(1, 0, 0, elements), &ok(&[])).query.unwrap().to_string();
    let stage = |name: &str, elements: &[Vec<u8>]| document(&[inside(name, elements)]);
    let pipeline = list("pipeline", &[stage("$match", &[text("user", "secret")]), stage("$limit", &[]), stage("$limit", &[])]);
    assert_eq!(
        query(&[text("aggregate", "orders"), pipeline, inside("cursor", &[]), text("$db", "x")]),
        "aggregate orders {pipeline: [{$match: {user: ?}}, {$limit: {}}]}"
    );
    let fields = ["a.0.b", "user@example.com", "5f2b9c0d7e", "$set", "größe", "order-17", "id20241128", ""].map(|name| number(name, 1));
    assert_eq!(
        query(&[text("find", "orders"), inside("filter", &fields)]),
        "find orders {filter: {a.?.b: ?, user@example?.com: ?, ?: ?, $set: ?, größe: ?, order-17: ?, ?: ?, ?: ?}}"
            .replace("user@example?.com", "?.com")
    );
    let names: Vec<Vec<u8>> = (0..26).map(|at| number(&"abc".repeat(1 + at), 1)).collect();
    let long = query(&[text("find", "orders"), inside("filter", &names), inside("sort", &names), inside("min", &names), text("$db", "x")]);
    assert!(long.len() < 2_200 && long.ends_with(" ..."), "{long}");
    let deep = (0..60).fold(document(&[number("x", 1)]), |inner, _| document(&[element(3, "d", &inner)]));
    assert!(query(&[text("find", "orders"), element(3, "filter", &deep)]).contains("{d: {d: ?}}"));
    for name in ["saslStart", "createUser", "hello", "endSessions", "authenticate"] {
        assert_eq!(query(&[text(name, "secret"), text("pwd", "secret"), inside("client", &[text("a", "secret")])]), name);
    }
    assert_eq!(
        query(&[inside("explain", &[text("find", "orders")]), text("verbosity", "x")]),
        "explain {explain: {find: ?}, verbosity: ?}"
    );
}

#[test]
fn sequences_before_and_behind_the_body_are_read() {
    let sequence = |name: &str, documents: &[Vec<u8>]| {
        let content = [name.as_bytes(), &[0], &documents.concat()].concat();
        [&[1][..], &(content.len() as u32 + 4).to_le_bytes(), &content].concat()
    };
    let body = |name: &str| [&[0][..], &document(&[text(name, "orders"), text("$db", "shop")])].concat();
    let one = document(&[inside("q", &[text("user", "secret")]), inside("u", &[inside("$set", &[text("state", "secret")])])]);
    let updates = sequence("updates", &vec![one; 40]);
    let checksum = [1_u32.to_le_bytes().to_vec(), body("update"), updates.clone(), vec![1, 2, 3, 4]].concat();
    for wire in [[&[0; 4][..], &body("update"), &updates].concat(), [&[0; 4][..], &updates, &body("update")].concat(), checksum] {
        let told = told(&message(1, 0, 2013, &wire), &ok(&[number("n", 40), number("nModified", 40)]));
        assert_eq!(told.query.as_deref(), Some("update orders {updates: [{q: {user: ?}, u: {$set: {state: ?}}}]}"));
        assert_eq!((told.rows, told.database.as_deref(), told.request_wire), (Some(40), Some("shop"), 16 + wire.len() as u64));
    }
    let documents = sequence("documents", &vec![document(&[text("secret", "secret")]); 500]);
    let told = told(&message(1, 0, 2013, &[&[0; 4][..], &body("insert"), &documents].concat()), &ok(&[number("n", 500)]));
    assert_eq!((told.query.as_deref(), told.rows), (Some("insert orders"), Some(500)));
}

#[test]
fn messages_before_op_msg_are_read() {
    let query = |name: &str, elements: &[Vec<u8>]| {
        let body = [&[0; 4][..], name.as_bytes(), &[0], &[0; 4], &[255; 4], &document(elements)].concat();
        message(1, 0, 2004, &body)
    };
    let reply = |count: u32, documents: &[Vec<u8>]| {
        message(2, 1, 1, &[&[8, 0, 0, 0][..], &[0; 12], &count.to_le_bytes(), &documents.concat()].concat())
    };
    let hello = told(
        &query("admin.$cmd", &[number("isMaster", 1), inside("client", &[text("x", "secret")])]),
        &reply(1, &[document(&[number("ok", 1)])]),
    );
    assert_eq!((hello.query.as_deref(), hello.database.as_deref(), hello.rows, hello.error), (Some("isMaster"), Some("admin"), None, None));
    let refused = reply(1, &[document(&[number("ok", 0), number("code", 352)])]);
    assert_eq!(told(&query("admin.$cmd", &[number("isMaster", 1)]), &refused).error.as_deref(), Some("352"));
    let old = told(&query("shop.orders", &[text("user", "secret")]), &reply(2, &[document(&[]), document(&[])]));
    assert_eq!((old.query.as_deref(), old.target.as_deref(), old.rows), (Some("find orders {user: ?}"), Some("orders"), Some(2)));
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &query("admin.$cmd", &[number("isMaster", 1)]));
    commands.bytes(OUT, &reply(1, &[document(&[number("ok", 1)])]));
    let insert = [&[0; 4][..], b"shop.orders\0", &document(&[text("user", "secret")])].concat();
    commands.bytes(IN, &message(3, 0, 2002, &insert));
    let told = commands.told.last().unwrap();
    assert_eq!((told.operation.as_deref(), told.target.as_deref(), told.end_ns), (Some("insert"), Some("orders"), None));
}

#[test]
fn what_is_compressed_is_named_and_counted() {
    for (compressor, name) in [(1, "compressed (snappy)"), (2, "compressed (zlib)"), (3, "compressed (zstd)")] {
        let body = [&2013_u32.to_le_bytes()[..], &500_u32.to_le_bytes(), &[compressor], b"anything at all"].concat();
        let told = told(&message(1, 0, 2012, &body), &message(2, 1, 2012, &body));
        assert_eq!((told.operation.as_deref(), told.query, told.rows), (Some(name), None, None));
        assert!(told.end_ns.is_some() && !told.inferred);
    }
}

#[test]
fn a_hello_that_waits_is_told_once_and_holds_no_connection() {
    let mut commands = MongoCommands::default();
    let hello = |id, waits| {
        let wait = if waits { vec![inside("topologyVersion", &[]), number("maxAwaitTimeMS", 10_000)] } else { Vec::new() };
        msg(id, 0, if waits { 1 << 16 } else { 0 }, &[vec![number("hello", 1)], wait].concat())
    };
    commands.bytes(IN, &hello(1, false));
    assert!(commands.parser.in_use());
    commands.bytes(OUT, &msg(2, 1, 0, &[number("ok", 1)]));
    commands.bytes(IN, &hello(3, true));
    assert!(!commands.parser.in_use() && commands.parser.is_open());
    for (id, answers) in [(4, 3), (5, 4), (6, 5)] {
        commands.bytes(OUT, &msg(id, answers, 2, &[number("ok", 1)]));
    }
    assert_eq!(commands.lines(), ["hello", "hello {maxAwaitTimeMS: ?}"]);
    assert_eq!(commands.parser.take_stats().orphans, 0);
}

#[test]
fn answers_that_others_follow_are_one() {
    let mut commands = MongoCommands::default();
    let batch = |id, answers, flags, count| {
        let documents = vec![document(&[]); count];
        msg(id, answers, flags, &[inside("cursor", &[list("nextBatch", &documents)]), number("ok", 1)])
    };
    commands.bytes(IN, &msg(1, 0, 1 << 16, &[element(18, "getMore", &[7; 8]), text("collection", "orders")]));
    let answers = [batch(2, 1, 2, 3), batch(3, 2, 2, 3), batch(4, 3, 0, 1)];
    for answer in &answers {
        commands.bytes(OUT, answer);
    }
    assert_eq!(commands.lines(), ["getMore orders"]);
    let told = &commands.told[0];
    assert_eq!((told.rows, told.response_wire), (Some(7), answers.concat().len() as u64));
}
