//! Finds the row of a request: service, method and template of the path. The template comes from, in this order:
//! 1. a rule of the user; 2. the gRPC method as it is; 3. the form of the path (`template`); 4. learned parameters (`learn`).
//!
//! Bounded: at most `limits::ENDPOINTS_PER_SERVICE` rows a service; further requests go to the row `(other)` and are counted. A path
//! without a row that is answered by 400, 404, 405, 410, 414 or gRPC's UNIMPLEMENTED goes to the service's row `(not found)`, so that
//! invented paths cannot fill the table; it gets its own row at the first other answer. Other failures of paths that were never answered
//! well get rows too while they are few; with more, only those that come again have one, the others are in `(other)`, so that a scanner
//! has a row at most. Nothing is learned from them. A request whose head was not seen goes to `(unknown)`. These three rows have the
//! method `*` and do not count towards the limit. Services beyond `limits::SERVICES` are `(other)`.
mod cache;
pub mod learn;
mod rule;
pub mod segment;
mod slab;
pub mod template;

use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use self::cache::PathCache;
use self::learn::Tree;
use self::rule::Rules;
pub use self::rule::{EndpointRule, RuleError};
use self::slab::Slab;
use crate::limits;
use crate::record::kind::RecordKind;
use crate::record::{Origin, Request, SeriesKey, Side};

/// Failed requests from which on a path comes again.
const COMES_AGAIN: u32 = 3;
/// Paths without a row whose failed requests are counted; then all are forgotten.
const FAILED_PATHS: usize = 256;

/// Name of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowName {
    /// Service.
    pub service: Arc<str>,
    /// Method, `*` for special rows.
    pub method: Arc<str>,
    /// Template.
    pub endpoint: Arc<str>,
}

impl RowName {
    /// Its series of requests.
    pub fn series(&self) -> SeriesKey {
        SeriesKey::with(RecordKind::Request, |label| match label {
            "side" => Some(Side::Server.name().into()),
            "service" => Some(self.service.clone()),
            "method" => Some(self.method.clone()),
            "endpoint" => Some(self.endpoint.clone()),
            _ => None,
        })
    }
}

/// The row of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSlot {
    /// Number of its endpoint row.
    pub row: u32,
    /// Number of its service.
    pub service: u32,
}

#[derive(Debug)]
struct RowInfo {
    name: RowName,
    service: u32,
    hits: u64,
    /// The row is in the learning tree of its method; otherwise its text is in `fixed`.
    learned: bool,
}

#[derive(Debug)]
struct Service {
    name: Arc<str>,
    origin: Arc<Origin>,
    trees: FxHashMap<Arc<str>, Tree>,
    /// Rows of rules, gRPC methods and special rows, by method and text.
    fixed: FxHashMap<(Arc<str>, Arc<str>), u32>,
    /// Rows that count towards the limit.
    rows: usize,
    /// Of these, rows of paths without a good answer so far.
    unproven: FxHashMap<(Arc<str>, Arc<str>), u32>,
    /// Failed requests of paths without a row, by hash of method and path, once there are too many of these paths.
    failed: Option<FxHashMap<u64, u32>>,
}

/// Endpoints of all services.
#[derive(Debug)]
pub struct Endpoints {
    rules: Rules,
    services: Slab<Service>,
    service_numbers: FxHashMap<Arc<str>, u32>,
    rows: Slab<RowInfo>,
    slots: PathCache<EndpointSlot>,
    templates: PathCache<Arc<str>>,
    merged: Vec<(u32, u32)>,
    overflowed: u64,
    special: Special,
    text: String,
}

/// Result of a search.
enum Found {
    /// A row.
    Row(u32),
    /// A row of a path without a good answer so far.
    Unproven(u32),
    /// No row, and the answer is a reason not to make one.
    Missing,
    /// No row, and the service has reached its limit.
    Full,
}

/// An endpoint text that is not learned.
struct Fixed {
    text: Arc<str>,
    by_rule: bool,
}

#[derive(Debug)]
struct Special {
    any_method: Arc<str>,
    other: Arc<str>,
    not_found: Arc<str>,
    unknown: Arc<str>,
}

impl Endpoints {
    /// No endpoints yet.
    pub fn new(rules: Vec<EndpointRule>) -> Self {
        let special =
            Special { any_method: "*".into(), other: "(other)".into(), not_found: "(not found)".into(), unknown: "(unknown)".into() };
        Self {
            rules: Rules::new(rules),
            services: Slab::default(),
            service_numbers: FxHashMap::default(),
            rows: Slab::default(),
            slots: PathCache::new(),
            templates: PathCache::new(),
            merged: Vec::new(),
            overflowed: 0,
            special,
            text: String::new(),
        }
    }

    /// The row of a server-side request; creates the row if needed. Rows may have merged afterwards: see `take_merged`.
    pub fn locate(&mut self, request: &Request) -> EndpointSlot {
        let slot = self.slot_of(request);
        if let Some(row) = self.rows.get_mut(slot.row) {
            row.hits += 1;
        }
        if let Some(service) = self.services.get_mut(slot.service)
            && !Arc::ptr_eq(&service.origin, &request.origin)
        {
            service.origin = request.origin.clone();
        }
        slot
    }

    fn slot_of(&mut self, request: &Request) -> EndpointSlot {
        let (Some(method), Some(path)) = (&request.method, &request.path) else {
            let service = self.service(&request.origin);
            return self.fixed_row(service, self.special.any_method.clone(), self.special.unknown.clone(), false);
        };
        let key = (&request.origin.service, method, path);
        if let Some(slot) = self.slots.get(key) {
            return *slot;
        }
        let service = self.service(&request.origin);
        match self.search(service, request, method, path) {
            Found::Row(row) => {
                let slot = EndpointSlot { row, service };
                self.slots.put(key, slot);
                slot
            }
            // Not cached: the next answer may prove it.
            Found::Unproven(row) => EndpointSlot { row, service },
            Found::Missing => self.fixed_row(service, self.special.any_method.clone(), self.special.not_found.clone(), false),
            Found::Full => {
                self.overflowed += 1;
                self.fixed_row(service, self.special.any_method.clone(), self.special.other.clone(), false)
            }
        }
    }

    /// The row of a path that is not cached.
    fn search(&mut self, service: u32, request: &Request, method: &Arc<str>, path: &Arc<str>) -> Found {
        let fixed = self.fixed_text(&request.origin.service, method, path, request.protocol == "grpc");
        let known = match &fixed {
            Some(fixed) => self.find_fixed(service, method, &fixed.text),
            None => self.services.get(service).and_then(|known| known.trees.get(method)).and_then(|tree| tree.find(&self.text)),
        };
        if let Some(row) = known {
            return Found::Row(row);
        }
        let is_good = request.status_code.is_some_and(|status| status < 400);
        if fixed.is_none()
            && let Some(row) = self.find_unproven(service, method)
        {
            return if is_good { self.prove(service, method, row).map_or(Found::Full, Found::Row) } else { Found::Unproven(row) };
        }
        let by_rule = fixed.as_ref().is_some_and(|fixed| fixed.by_rule);
        let missing = match request.status_code {
            Some(404 | 410) => !by_rule,
            Some(400 | 405 | 414) => true,
            _ => request.grpc_status == Some(12),
        };
        if missing {
            return Found::Missing;
        }
        if self.services.get(service).is_none_or(|known| known.rows >= limits::ENDPOINTS_PER_SERVICE) {
            return Found::Full;
        }
        match fixed {
            Some(fixed) => Found::Row(self.fixed_row(service, method.clone(), fixed.text, true).row),
            None if is_good => self.learn(service, method).map_or(Found::Full, Found::Row),
            None => self.add_unproven(service, method).map_or(Found::Full, Found::Unproven),
        }
    }

    /// The row of `self.text`, of which no good answer was seen.
    fn find_unproven(&self, service: u32, method: &Arc<str>) -> Option<u32> {
        let known = self.services.get(service).filter(|known| !known.unproven.is_empty())?;
        known.unproven.get(&(method.clone(), self.text.as_str().into())).copied()
    }

    fn add_unproven(&mut self, service: u32, method: &Arc<str>) -> Option<u32> {
        if self.services.get(service)?.unproven.len() >= limits::UNPROVEN_AT_ONCE {
            self.fold_unproven(service);
        }
        let path = FxBuildHasher.hash_one((method, &self.text));
        if let Some(failed) = &mut self.services.get_mut(service)?.failed {
            if failed.len() >= FAILED_PATHS {
                failed.clear();
            }
            let requests = failed.entry(path).or_default();
            *requests += 1;
            if *requests < COMES_AGAIN {
                return None;
            }
            failed.remove(&path);
        }
        let known = self.services.get_mut(service).filter(|known| known.unproven.len() < limits::UNPROVEN_ENDPOINTS)?;
        let endpoint: Arc<str> = self.text.as_str().into();
        let name = RowName { service: known.name.clone(), method: method.clone(), endpoint: endpoint.clone() };
        let row = self.rows.insert(RowInfo { name, service, hits: 0, learned: false });
        known.rows += 1;
        known.unproven.insert((method.clone(), endpoint), row);
        Some(row)
    }

    /// There are many paths without a good answer: those that did not come again go to `(other)`.
    fn fold_unproven(&mut self, service: u32) {
        let Some(known) = self.services.get_mut(service) else { return };
        known.failed.get_or_insert_default();
        let rows = &self.rows;
        let once = |row: u32| rows.get(row).is_none_or(|info| info.hits < u64::from(COMES_AGAIN));
        let gone: Vec<u32> = known.unproven.extract_if(|_, row| once(*row)).map(|(_, row)| row).collect();
        known.rows -= gone.len();
        if gone.is_empty() {
            return;
        }
        let other = self.fixed_row(service, self.special.any_method.clone(), self.special.other.clone(), false).row;
        for row in gone {
            let hits = self.rows.remove(row).map_or(0, |info| info.hits);
            if let Some(info) = self.rows.get_mut(other) {
                info.hits += hits;
            }
            self.merged.push((row, other));
        }
    }

    /// The path of an unproven row was answered: its template is learned.
    fn prove(&mut self, service: u32, method: &Arc<str>, row: u32) -> Option<u32> {
        let known = self.services.get_mut(service)?;
        known.unproven.remove(&(method.clone(), self.text.as_str().into()));
        self.rows.get_mut(row)?.learned = true;
        self.insert(service, method, row)
    }

    /// The endpoint text when nothing is to be learned; otherwise `None`, and `self.text` is the template by form.
    fn fixed_text(&mut self, service: &str, method: &str, path: &Arc<str>, grpc: bool) -> Option<Fixed> {
        if let Some(text) = self.rules.find(service, method, path) {
            return Some(Fixed { text: text.clone(), by_rule: true });
        }
        if grpc {
            return Some(Fixed { text: path.clone(), by_rule: false });
        }
        template::template(path, &mut self.text);
        (!self.text.starts_with('/')).then(|| Fixed { text: self.text.as_str().into(), by_rule: false })
    }

    /// A new row for `self.text`.
    fn learn(&mut self, service: u32, method: &Arc<str>) -> Option<u32> {
        let known = self.services.get_mut(service)?;
        let name = RowName { service: known.name.clone(), method: method.clone(), endpoint: self.text.as_str().into() };
        known.rows += 1;
        let row = self.rows.insert(RowInfo { name, service, hits: 0, learned: true });
        self.insert(service, method, row)
    }

    /// Puts a row into the tree under `self.text`; returns the row that it then is.
    fn insert(&mut self, service: u32, method: &Arc<str>, mut row: u32) -> Option<u32> {
        let known = self.services.get_mut(service)?;
        let tree = known.trees.entry(method.clone()).or_default();
        let changes = tree.insert(&self.text, row, &|row| self.rows.get(row).map_or(0, |info| info.hits));
        for &(from, into) in &changes.merged {
            let hits = self.rows.remove(from).map_or(0, |info| info.hits);
            self.rows.get_mut(into)?.hits += hits;
            known.rows -= 1;
            row = if row == from { into } else { row };
        }
        for (row, name) in changes.renamed {
            if let Some(info) = self.rows.get_mut(row) {
                info.name.endpoint = name.into();
            }
        }
        if !changes.merged.is_empty() {
            self.slots.clear();
            self.merged.extend(changes.merged);
        }
        Some(row)
    }

    fn find_fixed(&self, service: u32, method: &Arc<str>, text: &Arc<str>) -> Option<u32> {
        self.services.get(service)?.fixed.get(&(method.clone(), text.clone())).copied()
    }

    fn fixed_row(&mut self, service: u32, method: Arc<str>, text: Arc<str>, counts: bool) -> EndpointSlot {
        if let Some(row) = self.find_fixed(service, &method, &text) {
            return EndpointSlot { row, service };
        }
        let name = self.services.get(service).map(|known| known.name.clone()).unwrap_or_default();
        let name = RowName { service: name, method: method.clone(), endpoint: text.clone() };
        let row = self.rows.insert(RowInfo { name, service, hits: 0, learned: false });
        if let Some(known) = self.services.get_mut(service) {
            known.fixed.insert((method, text), row);
            known.rows += usize::from(counts);
        }
        EndpointSlot { row, service }
    }

    /// Number of the service of a process.
    fn service(&mut self, origin: &Arc<Origin>) -> u32 {
        let known = self.service_numbers.get(&origin.service).copied();
        let name = match known {
            Some(number) => return number,
            None if self.service_numbers.len() >= limits::SERVICES => self.special.other.clone(),
            None => origin.service.clone(),
        };
        *self.service_numbers.entry(name.clone()).or_insert_with(|| {
            let service = Service {
                name,
                origin: origin.clone(),
                trees: FxHashMap::default(),
                fixed: FxHashMap::default(),
                rows: 0,
                unproven: FxHashMap::default(),
                failed: None,
            };
            self.services.insert(service)
        })
    }

    /// Endpoint text of a client-side request, which needs no row: by rules and by form.
    pub fn text_of(&mut self, service: &Arc<str>, method: &Arc<str>, path: &Arc<str>, grpc: bool) -> Arc<str> {
        let key = (service, method, path);
        if let Some(text) = self.templates.get(key) {
            return text.clone();
        }
        let text = match self.fixed_text(service, method, path, grpc) {
            Some(fixed) => fixed.text,
            None if self.text == **path => path.clone(),
            None => self.text.as_str().into(),
        };
        self.templates.put(key, text.clone());
        text
    }

    /// The row of a request in flight, or the name that a new row would have. Creates no row.
    pub fn find(&mut self, origin: &Origin, method: &Arc<str>, path: &Arc<str>) -> Result<EndpointSlot, RowName> {
        if let Some(slot) = self.slots.get((&origin.service, method, path)) {
            return Ok(*slot);
        }
        let fixed = self.fixed_text(&origin.service, method, path, false);
        let service = self.service_numbers.get(&origin.service).copied();
        let slot = service.and_then(|service| {
            let row = match &fixed {
                Some(fixed) => self.find_fixed(service, method, &fixed.text),
                None => {
                    let known = self.services.get(service)?;
                    let grpc = known.fixed.get(&(method.clone(), path.clone())).copied();
                    grpc.or_else(|| known.trees.get(method)?.find(&self.text)).or_else(|| self.find_unproven(service, method))
                }
            }?;
            Some(EndpointSlot { row, service })
        });
        let endpoint = fixed.map_or_else(|| self.text.as_str().into(), |fixed| fixed.text);
        slot.ok_or_else(|| RowName { service: origin.service.clone(), method: method.clone(), endpoint })
    }

    /// Name of a row.
    pub fn name(&self, row: u32) -> Option<&RowName> {
        self.rows.get(row).map(|info| &info.name)
    }

    /// Name and newest process of a service.
    pub fn service_name(&self, service: u32) -> Option<(&Arc<str>, &Arc<Origin>)> {
        self.services.get(service).map(|known| (&known.name, &known.origin))
    }

    /// Number of a service.
    pub fn service_number(&self, name: &str) -> Option<u32> {
        self.service_numbers.get(name).copied()
    }

    /// Rows merged into another row since the last call: (from, into); apply them in this order before the next `locate`.
    pub fn take_merged(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.merged)
    }

    /// Drops idle rows, and services that have no rows left.
    pub fn forget(&mut self, rows: &[u32]) {
        for &row in rows {
            let Some(info) = self.rows.remove(row) else { continue };
            let Some(service) = self.services.get_mut(info.service) else { continue };
            let RowName { method, endpoint, .. } = info.name;
            if info.learned {
                if let Some(tree) = service.trees.get_mut(&method) {
                    tree.remove(&endpoint);
                    if tree.is_empty() {
                        service.trees.remove(&method);
                    }
                }
                service.rows -= 1;
            } else {
                service.rows -= usize::from(method != self.special.any_method);
                let key = (method, endpoint);
                if service.unproven.remove(&key).is_none() {
                    service.fixed.remove(&key);
                }
            }
            if service.rows == 0 && service.fixed.is_empty() {
                self.service_numbers.remove(&service.name);
                self.services.remove(info.service);
            }
        }
        if !rows.is_empty() {
            self.slots.clear();
        }
    }

    /// Requests that went to `(other)` since the last call.
    pub fn take_overflowed(&mut self) -> u64 {
        std::mem::take(&mut self.overflowed)
    }

    /// Approximate bytes of names and trees: a node is a key, a table of children and its slot in its parent's table.
    pub fn memory_bytes(&self) -> usize {
        let nodes: usize = self.services.iter().flat_map(|service| service.trees.values()).map(Tree::nodes).sum();
        nodes * 160 + self.rows.len() * 256 + self.slots.memory_bytes() + self.templates.memory_bytes()
    }
}

#[cfg(test)]
mod tests;
