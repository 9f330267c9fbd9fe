//! What of an answer changed since a client was told: for an object its changed fields, for a list the changed fields of each row, the rows
//! that left and, where it matters, the new order. In: the same answer again and again; out: the data of `change` events, or nothing.
//! Rows have numbers, given to them for as long as they stay in the list.
use std::hash::{DefaultHasher, Hash, Hasher};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::fields::{FieldTexts, NoFields, WantedFields};

/// What a client knows of an answer.
#[derive(Debug, Default)]
pub(super) struct KnownAnswer {
    object: FieldTexts,
    rows: FxHashMap<u64, KnownRow>,
    order: Vec<u32>,
    total: usize,
    next: u32,
    told: bool,
}

#[derive(Debug)]
struct KnownRow {
    number: u32,
    texts: FieldTexts,
    /// In the list that is being compared.
    there: bool,
}

/// How a list is told.
pub(super) struct ListHead<'a> {
    /// `route`, or `route@window`.
    pub name: &'a str,
    /// Null when the list has none.
    pub window_s: Option<u64>,
    /// Rows that match, shown or not.
    pub total: usize,
    /// Whether its order is told; otherwise the client sorts.
    pub ordered: bool,
}

impl KnownAnswer {
    /// `{"route","fields":{…}}`, when a field changed.
    pub fn object<T: Serialize>(&mut self, name: &str, answer: &T, wanted: &WantedFields) -> Result<Option<Vec<u8>>, NoFields> {
        let now = FieldTexts::of(answer, wanted)?;
        let mut data = Vec::new();
        if now == self.object && self.told {
            return Ok(None);
        }
        write_head(&mut data, name);
        data.extend_from_slice(b",\"fields\":");
        if now.len() == self.object.len() {
            now.append_changed(&self.object, &mut data);
        } else {
            now.append(&mut data);
        }
        data.push(b'}');
        self.object = now;
        self.told = true;
        Ok(Some(data))
    }

    /// `{"route","window_s","total","rows":[[number,{…}],…],"gone":[…],"order":[…]}`, when a row changed, came or went.
    pub fn list<'a, T: Serialize + 'a, K: Hash>(
        &mut self,
        head: &ListHead<'_>,
        rows: impl Iterator<Item = &'a T>,
        key: impl Fn(&'a T) -> K,
        wanted: &WantedFields,
    ) -> Result<Option<Vec<u8>>, NoFields> {
        let (mut changed, mut order) = (Vec::new(), Vec::new());
        let mut gone = Vec::new();
        for row in rows {
            let texts = FieldTexts::of(row, wanted)?;
            order.push(self.row(hash(key(row)), texts, &mut changed, &mut gone));
        }
        self.rows.retain(|_, row| {
            if !row.there {
                gone.push(row.number);
            }
            std::mem::take(&mut row.there)
        });
        let reordered = head.ordered && order != self.order;
        if self.told && changed.is_empty() && gone.is_empty() && !reordered && head.total == self.total {
            return Ok(None);
        }
        (self.told, self.total) = (true, head.total);
        let mut data = Vec::new();
        write_head(&mut data, head.name);
        let window = head.window_s.map_or("null".into(), |seconds| seconds.to_string());
        data.extend_from_slice(format!(",\"window_s\":{window},\"total\":{},\"rows\":[", head.total).as_bytes());
        data.extend_from_slice(&changed);
        data.push(b']');
        append_numbers(&mut data, "gone", &gone);
        if reordered {
            append_numbers(&mut data, "order", &order);
            self.order = order;
        }
        data.push(b'}');
        Ok(Some(data))
    }

    /// Notes a row, and appends `[number,{…}]` when the client does not know it like this. Gives its number.
    fn row(&mut self, key: u64, texts: FieldTexts, changed: &mut Vec<u8>, gone: &mut Vec<u32>) -> u32 {
        if let Some(known) = self.rows.get_mut(&key).filter(|known| known.texts.len() == texts.len()) {
            known.there = true;
            if known.texts != texts {
                open_row(changed, known.number);
                texts.append_changed(&known.texts, changed);
                changed.push(b']');
                known.texts = texts;
            }
            return known.number;
        }
        // Fields that vanished cannot be told, so the row is a new one.
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        open_row(changed, number);
        texts.append(changed);
        changed.push(b']');
        gone.extend(self.rows.insert(key, KnownRow { number, texts, there: true }).map(|former| former.number));
        number
    }
}

fn open_row(to: &mut Vec<u8>, number: u32) {
    if !to.is_empty() {
        to.push(b',');
    }
    to.extend_from_slice(format!("[{number},").as_bytes());
}

/// `name` has no character that JSON escapes: it is one of the known routes.
fn write_head(to: &mut Vec<u8>, name: &str) {
    to.extend_from_slice(format!("{{\"route\":\"{name}\"").as_bytes());
}

fn append_numbers(to: &mut Vec<u8>, name: &str, numbers: &[u32]) {
    let texts: Vec<_> = numbers.iter().map(u32::to_string).collect();
    to.extend_from_slice(format!(",\"{name}\":[{}]", texts.join(",")).as_bytes());
}

fn hash(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(data: Option<Vec<u8>>) -> Value {
        data.map_or(Value::Null, |data| serde_json::from_slice(&data).unwrap())
    }

    fn list(known: &mut KnownAnswer, rows: &[Value]) -> Value {
        let head = ListHead { name: "llm", window_s: Some(60), total: rows.len(), ordered: true };
        told(known.list(&head, rows.iter(), |row| row["name"].as_str().unwrap().to_string(), &None).unwrap())
    }

    #[test]
    fn a_list_is_told_once_and_then_by_what_changed() {
        let mut known = KnownAnswer::default();
        let (a, b) = (json!({"name": "a", "count": 1, "p95_ms": null}), json!({"name": "b", "count": 2, "p95_ms": 5.5}));
        let first = list(&mut known, &[a.clone(), b.clone()]);
        let whole = json!({"route": "llm", "window_s": 60, "total": 2, "rows": [[0, a], [1, b]], "gone": [], "order": [0, 1]});
        assert_eq!(first, whole);
        assert_eq!(list(&mut known, &[a.clone(), b.clone()]), Value::Null);
        let more = json!({"name": "b", "count": 3, "p95_ms": 5.5});
        let changed = list(&mut known, &[more.clone(), a.clone()]);
        assert_eq!(changed, json!({"route": "llm", "window_s": 60, "total": 2, "rows": [[1, {"count": 3}]], "gone": [], "order": [1, 0]}));
        let left = list(&mut known, &[more]);
        assert_eq!(left, json!({"route": "llm", "window_s": 60, "total": 1, "rows": [], "gone": [0], "order": [1]}));
        // Who comes back is a new row.
        assert_eq!(list(&mut known, std::slice::from_ref(&a))["rows"], json!([[2, a]]));
    }

    #[test]
    fn an_empty_list_is_told_once() {
        let mut known = KnownAnswer::default();
        assert_eq!(list(&mut known, &[]), json!({"route": "llm", "window_s": 60, "total": 0, "rows": [], "gone": []}));
        assert_eq!(list(&mut known, &[]), Value::Null);
    }

    #[test]
    fn a_row_that_lost_a_field_is_a_new_one() {
        let mut known = KnownAnswer::default();
        list(&mut known, &[json!({"name": "a", "why": "x"})]);
        let changed = list(&mut known, &[json!({"name": "a"})]);
        assert_eq!((&changed["rows"], &changed["gone"]), (&json!([[1, {"name": "a"}]]), &json!([0])));
    }

    #[test]
    fn an_object_is_told_by_its_changed_fields_and_only_the_wanted_ones() {
        let (mut known, wanted) = (KnownAnswer::default(), Some(["status", "count"].map(String::from).into()));
        let mut tell = |answer: Value| told(known.object("health", &answer, &wanted).unwrap());
        let first = tell(json!({"status": "healthy", "count": 1, "time": 1}));
        assert_eq!(first, json!({"route": "health", "fields": {"status": "healthy", "count": 1}}));
        assert_eq!(tell(json!({"status": "healthy", "count": 1, "time": 2})), Value::Null);
        let second = tell(json!({"status": "healthy", "count": 2, "time": 3}));
        assert_eq!(second, json!({"route": "health", "fields": {"count": 2}}));
    }

    #[test]
    fn what_has_no_fields_is_an_error() {
        assert!(FieldTexts::of(&json!([1]), &None).is_err());
        assert!(FieldTexts::of(&3, &None).is_err());
    }
}
