//! Losses: answers find their commands by number, and what is missing inside a document costs what it held.
use super::*;

fn message_of(size: usize) -> Vec<u8> {
    let documents = vec![document(&[text("text", &"x".repeat(size))]); 3];
    msg(9, 1, 0, &[inside("cursor", &[list("firstBatch", &documents)]), number("ok", 1)])
}

#[test]
fn a_gap_inside_a_document_costs_nothing() {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &find(1));
    let answer = message_of(5_000);
    commands.bytes(OUT, &answer[..1_000]);
    commands.content(OUT, Content::Gap(3_000));
    commands.bytes(OUT, &answer[4_000..]);
    commands.bytes(IN, &find(2));
    commands.bytes(OUT, &found(2, 1));
    assert_eq!(commands.told.iter().map(|command| command.rows).collect::<Vec<_>>(), [Some(3), Some(1)]);
    assert_eq!((commands.told[0].response_wire, commands.parser.take_stats().desyncs), (answer.len() as u64, 0));
}

#[test]
fn a_gap_between_documents_costs_the_rest_of_the_message() {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &find(1));
    let answer = message_of(100);
    commands.bytes(OUT, &answer[..58]);
    commands.content(OUT, Content::Lost(answer.len() as u64 - 58));
    let asked = find(2);
    commands.bytes(IN, &asked[..45]);
    commands.content(IN, Content::Gap(asked.len() as u64 - 45));
    commands.bytes(OUT, &found(2, 1));
    commands.bytes(IN, &find(3));
    commands.bytes(OUT, &found(3, 2));
    assert_eq!(commands.lines(), ["find orders {filter: {user: ?}}", "find orders ...", "find orders {filter: {user: ?}}"]);
    assert_eq!((commands.told[2].rows, commands.parser.take_stats().desyncs), (Some(2), 0));
    assert_eq!(commands.told[0].rows, None, "how many came is not known");
    let missing = commands.told.iter().map(|command| command.missing_bytes).collect::<Vec<_>>();
    assert_eq!(missing, [answer.len() as u64 - 58, asked.len() as u64 - 45, 0]);
}

#[test]
fn after_a_lost_request_its_answer_is_nobodys() {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &find(1));
    commands.bytes(OUT, &found(1, 1));
    commands.content(IN, Content::Unknown);
    commands.bytes(OUT, &found(2, 1));
    commands.bytes(IN, &find(3));
    commands.bytes(OUT, &found(3, 1));
    assert_eq!(commands.lines(), ["find orders {filter: {user: ?}}"; 2]);
    assert_eq!((commands.parser.take_stats().orphans, commands.told[1].inferred), (1, false));
}

#[test]
fn a_lost_answer_costs_its_command_only() {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &[find(1), find(2)].concat());
    commands.bytes(OUT, &found(2, 1));
    commands.bytes(IN, &find(3));
    commands.content(OUT, Content::Unknown);
    commands.bytes(IN, &find(4));
    commands.bytes(OUT, &found(4, 1));
    let query = "find orders {filter: {user: ?}}";
    let expected = [format!("{query} unanswered inferred"), query.to_owned(), format!("{query} unanswered inferred"), query.to_owned()];
    assert_eq!(commands.lines(), expected);
}

#[test]
fn joined_within_a_message_it_finds_the_next_one() {
    let mut commands = MongoCommands::default();
    commands.bytes(OUT, &found(1, 9)[100..]);
    commands.bytes(IN, &find(2));
    commands.bytes(OUT, &found(2, 1));
    // A server reads the header first.
    let asked = find(3);
    commands.bytes(IN, &asked[..16]);
    commands.bytes(IN, &asked[16..]);
    commands.bytes(OUT, &found(3, 1));
    assert_eq!(commands.lines(), ["find orders {filter: {user: ?}}"; 2]);
    assert!(commands.told.iter().all(|command| command.server && !command.inferred));
}

#[test]
fn a_message_of_megabytes_has_its_size_and_takes_no_memory() {
    let mut commands = MongoCommands::default();
    let large = vec![document(&[text("text", &"secret".repeat(100_000))]); 20];
    let asked = msg(1, 0, 0, &[text("insert", "orders"), list("documents", &large), text("$db", "shop")]);
    let mut demands = Vec::new();
    for piece in asked.chunks(65_536) {
        demands.push(commands.bytes(IN, piece));
        assert!(commands.parser.heap_bytes() < 16 << 10);
    }
    assert!(demands.contains(&Demand::Head) && demands.last() == Some(&Demand::Full));
    commands.bytes(OUT, &msg(2, 1, 0, &[number("n", 20), number("ok", 1)]));
    let told = &commands.told[0];
    assert_eq!(
        (told.query.as_deref(), told.database.as_deref(), told.request_wire),
        (Some("insert orders"), Some("shop"), asked.len() as u64)
    );
}

#[test]
fn what_is_no_mongodb_is_given_up() {
    let mut commands = MongoCommands::default();
    commands.bytes(IN, &find(1));
    commands.bytes(OUT, &found(1, 1));
    let mut demands = (0..100).map(|_| commands.bytes(IN, b"GET / HTTP/1.1\r\n\r\n"));
    assert!(demands.any(|demand| demand == Demand::Count));
    commands.end_at(commands.now_ns, Ending::Forgotten);
    assert!(!commands.parser.is_open());
}
