//! Who the data is about: one OTLP resource for each observed process of a service, and one for perfmon's view of the host.
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use rustc_hash::FxHashMap;

use super::attribute::Attributes;
use crate::limits;
use crate::record::{Origin, Process};

/// Attributes common to all resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// `host.name`.
    pub host: String,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// `service.name` of perfmon's view of the host.
    pub own_service: Arc<str>,
    /// The user's own attributes; they win.
    pub attributes: Vec<(String, String)>,
}

/// Resources of processes and of the host. A receiver takes another attribute for another resource, so those of a process stay as they were
/// first sent: a language or container that is learned later is left out.
#[derive(Debug)]
pub struct Resources {
    common: Common,
    /// Languages of processes from their samples; cleared when there are too many.
    languages: FxHashMap<u32, Arc<str>>,
    /// What was sent of the processes that were sent last, and of those before them.
    sent: [FxHashMap<ProcessOfService, Sent>; 2],
}

/// A process and the service that it was part of; a process id that is used again is another service's, or the same resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ProcessOfService {
    pid: u32,
    service: Arc<str>,
}

/// What may be learned late.
#[derive(Clone, Debug)]
struct Sent {
    comm: Arc<str>,
    container: Option<Arc<str>>,
    language: Option<Arc<str>>,
}

impl Resources {
    /// None known yet.
    pub fn new(common: Common) -> Self {
        Self { common, languages: FxHashMap::default(), sent: Default::default() }
    }

    /// Stores the process's language.
    pub fn learn(&mut self, process: &Process) {
        let Some(language) = process.runtime.as_deref().map(language) else { return };
        if self.languages.len() >= limits::PROCESSES {
            self.languages.clear();
        }
        self.languages.entry(process.origin.pid).or_insert_with(|| language.into());
    }

    /// Who the host's own figures belong to.
    pub fn host(&self) -> Arc<Origin> {
        Arc::new(Origin { service: self.common.own_service.clone(), ..Origin::unknown(0) })
    }

    /// What is sent of a process: the same each time.
    fn sent(&mut self, origin: &Origin) -> Sent {
        let key = ProcessOfService { pid: origin.pid, service: origin.service.clone() };
        let [latest, before] = &mut self.sent;
        if let Some(sent) = latest.get(&key) {
            return sent.clone();
        }
        let sent = before.remove(&key).unwrap_or_else(|| Sent {
            comm: origin.comm.clone(),
            container: origin.container.clone(),
            language: self.languages.get(&origin.pid).cloned(),
        });
        if latest.len() >= limits::PROCESSES {
            *before = std::mem::take(latest);
        }
        latest.insert(key, sent.clone());
        sent
    }

    /// The resource of a process; without one (id 0) that of a service on this host.
    pub fn resource(&mut self, origin: &Origin) -> Resource {
        let sent = (origin.pid != 0).then(|| self.sent(origin));
        let common = &self.common;
        let mut attributes = Attributes::default();
        let own = |key: &str| common.attributes.iter().any(|(name, _)| name == key);
        let mut add = |key: &str, value: Option<super::attribute::AttributeValue>| {
            if !own(key) {
                attributes.maybe(key, value);
            }
        };
        let instance = if origin.pid == 0 { common.host.clone() } else { format!("{}:{}", common.host, origin.pid) };
        add("service.name", Some((&*origin.service).into()));
        add("service.instance.id", Some(instance.into()));
        add("host.name", Some(common.host.as_str().into()));
        add("deployment.environment.name", common.environment.as_deref().map(Into::into));
        if let Some(sent) = sent {
            add("process.pid", Some(u64::from(origin.pid).into()));
            add("process.executable.name", Some(&*sent.comm).filter(|comm| !comm.is_empty()).map(Into::into));
            add("container.id", sent.container.as_deref().map(Into::into));
            add("telemetry.sdk.language", sent.language.as_deref().map(Into::into));
        }
        for (key, value) in &common.attributes {
            attributes.add(key, value.as_str());
        }
        Resource { attributes: attributes.take(), ..Resource::default() }
    }
}

/// Language of a runtime, as `telemetry.sdk.language` names it.
fn language(runtime: &str) -> &str {
    match runtime {
        "node" => "nodejs",
        "jvm" => "java",
        other => other,
    }
}

/// perfmon as instrumentation scope; `part` separates alerts from findings.
pub fn scope(part: &str) -> InstrumentationScope {
    InstrumentationScope { name: part.into(), version: env!("CARGO_PKG_VERSION").into(), ..InstrumentationScope::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;
    use crate::record::Record;

    fn texts(resource: &Resource) -> Vec<String> {
        resource.attributes.iter().map(|a| format!("{}={:?}", a.key, a.value.as_ref().unwrap().value.as_ref().unwrap())).collect()
    }

    #[test]
    fn the_users_attributes_win_and_stand_once() {
        let common = Common {
            host: "h".into(),
            environment: Some("prod".into()),
            own_service: "perfmon".into(),
            attributes: vec![("host.name".into(), "named".into()), ("team".into(), "shop".into())],
        };
        let origin = Origin { pid: 7, comm: "app".into(), service: "shop".into(), container: Some("c".into()) };
        let texts = texts(&Resources::new(common).resource(&origin));
        assert_eq!(texts.iter().filter(|text| text.starts_with("host.name")).count(), 1);
        for wanted in
            ["host.name=StringValue(\"named\")", "team=StringValue(\"shop\")", "process.pid=IntValue(7)", "container.id=StringValue(\"c\")"]
        {
            assert!(texts.contains(&wanted.to_string()), "{wanted}: {texts:?}");
        }
    }

    #[test]
    fn what_is_learned_after_a_resource_was_sent_makes_no_second_one() {
        let origin = &*sample::origin("shop", 7);
        let learned = |pid: u32, runtime: &str| {
            let Record::Process(sample) = sample::process(&sample::origin("shop", pid), 1.0) else { panic!("another kind") };
            Process { runtime: Some(runtime.into()), ..*sample }
        };
        let mut early = Resources::new(Common::default());
        early.learn(&learned(7, "node"));
        assert!(texts(&early.resource(origin)).contains(&"telemetry.sdk.language=StringValue(\"nodejs\")".into()));
        let mut late = Resources::new(Common::default());
        let first = late.resource(origin);
        late.learn(&learned(7, "node"));
        assert_eq!(late.resource(&Origin { container: Some("c".into()), comm: "renamed".into(), ..origin.clone() }), first);
        // Whoever else is sent meanwhile: it stays as long as it is sent itself.
        for pid in 0..3 * limits::PROCESSES as u32 {
            late.resource(&Origin { pid: 100_000 + pid, ..origin.clone() });
            if pid % 10_000 == 0 {
                assert_eq!(late.resource(origin), first);
            }
        }
        assert!(late.sent.iter().map(FxHashMap::len).sum::<usize>() <= 2 * limits::PROCESSES);
        late.learn(&learned(5, "go"));
        assert_ne!(late.resource(&Origin { pid: 5, ..origin.clone() }).attributes.len(), first.attributes.len());
    }
}
