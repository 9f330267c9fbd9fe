//! Statements and what they come to.
use proptest::prelude::*;
use sqlparser::dialect::PostgreSqlDialect;

use super::*;

fn one(text: &str) -> SqlText {
    let mut all = statements(&PostgreSqlDialect {}, text, false);
    assert_eq!(all.len(), 1, "{text}: {all:?}");
    all.remove(0)
}

#[test]
fn literals_go_lists_fold_names_stay() {
    for (text, query) in [
        ("select * from users where id = 1", "select * from users where id = ?"),
        ("select * from users where id=$1", "select * from users where id = ?"),
        ("SELECT a, b FROM t WHERE x IN (1, 2, 'three') -- why\n AND y = -5", "SELECT a, b FROM t WHERE x IN (?) AND y = ?"),
        ("select 5 - 3, a - 3", "select ? - ?, a - ?"),
        ("insert into t (a, b) values (1,'x'),(2, 'y') , (3,NULL)", "insert into t (a, b) values (?), (?, NULL)"),
        ("select \"Weird Name\".x::text, E'a\\'b', $tag$secret$tag$", "select \"Weird Name\".x::text, ?"),
        ("select /* hint 'x' */ now(), f(a, 1), arr[1]", "select now(), f(a, ?), arr[?]"),
        ("do $$ begin raise notice 'x'; end $$", "do ?"),
        ("select U&'d\\0061t', x'1F', 1.5e10, B'101'", "select ?"),
        ("alter role x password 'hunter2'", "alter role x password ?"),
    ] {
        assert_eq!(one(text).query, query, "{text}");
    }
}

#[test]
fn verbs_and_tables() {
    for (text, operation, target) in [
        ("select * from users u join b on true", "SELECT", Some("users")),
        ("with x as (select 1 from inner_t) update public.users set a = 1", "UPDATE", Some("inner_t")),
        ("insert into \"Order Lines\" (a) values (1)", "INSERT", Some("Order Lines")),
        ("update users set a = 1", "UPDATE", Some("users")),
        ("delete from only users", "DELETE", Some("users")),
        ("select * from generate_series(1, 5)", "SELECT", None),
        ("select 1", "SELECT", None),
        ("create table if not exists t (id int, b text)", "CREATE", Some("t")),
        ("copy users (id, name) from stdin", "COPY", Some("users")),
        ("begin", "BEGIN", None),
        ("select * from (select * from x) y", "SELECT", Some("x")),
    ] {
        let text_of = one(text);
        assert_eq!((text_of.operation.as_deref(), text_of.target.as_deref()), (Some(operation), target), "{text}");
    }
}

#[test]
fn statements_are_told_apart_and_rests_are_left_out() {
    let all = |text| statements(&PostgreSqlDialect {}, text, false).into_iter().map(|text| text.query).collect::<Vec<_>>();
    assert_eq!(all("select 1; ; begin;select ';'"), ["select ?", "begin", "select ?"]);
    assert_eq!(all(""), Vec::<String>::new());
    assert_eq!(all("select 'unterminated secret"), ["select ..."]);
    assert_eq!(statements(&PostgreSqlDialect {}, "select a from b where c = 'half", true)[0].query, "select a from b where c = ...");
    let many = one(&format!("select {}", "a, ".repeat(2_000)));
    assert!(many.query.len() <= QUERY_BYTES + 8 && many.query.ends_with("..."));
}

proptest! {
    #[test]
    fn no_string_gets_through(
        words in prop::collection::vec("[a-z]{1,8}", 0..6),
        secret in "[a-z0-9 ]{0,20}",
        quotes in prop::sample::select(vec![("'", "'"), ("E'", "'"), ("$$", "$$"), ("$q$", "$q$"), ("/* ", " */"), ("-- ", "\n")]),
    ) {
        let text = format!("{} {}qCANARYq{secret}{} {}", words.join(" "), quotes.0, quotes.1, words.join("."));
        for statement in statements(&PostgreSqlDialect {}, &text, false) {
            prop_assert!(!statement.query.contains("CANARY"), "{} -> {}", text, statement.query);
        }
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            for statement in statements(&PostgreSqlDialect {}, &text[..end], true) {
                prop_assert!(!statement.query.contains("CANARY"), "{} -> {}", &text[..end], statement.query);
            }
        }
    }

    #[test]
    fn any_text_is_read(text in ".{0,200}") {
        statements(&PostgreSqlDialect {}, &text, false);
    }
}
