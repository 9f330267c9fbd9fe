//! A container's id → its name, from what container engines leave on disk: docker (`config.v2.json`), podman and CRI-O
//! (`containers.json` of containers/storage), containerd and nerdctl (annotations in the bundle's `config.json`). Asks no daemon.
//! Names are remembered, also that there is none; a restarted container has a new id.
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::limits::CONTAINER_NAMES;

/// Bytes of a file that are read at most.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Annotations of an OCI bundle that hold a name, best first.
const ANNOTATIONS: [&str; 3] = ["io.kubernetes.cri.container-name", "io.kubernetes.cri-o.ContainerName", "nerdctl/name"];

/// Names of containers.
#[derive(Debug)]
pub(super) struct ContainerNames {
    root: PathBuf,
    known: HashMap<Box<str>, Option<Arc<str>>>,
}

impl Default for ContainerNames {
    fn default() -> Self {
        Self::below("/")
    }
}

impl ContainerNames {
    /// Looks below another directory than `/`.
    pub(super) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), known: HashMap::new() }
    }

    /// The name, when one can be found.
    pub(super) fn name(&mut self, id: &str) -> Option<Arc<str>> {
        if let Some(name) = self.known.get(id) {
            return name.clone();
        }
        if self.known.len() >= CONTAINER_NAMES {
            self.known.clear();
        }
        let name = self.look_up(id).filter(|name| !name.is_empty()).map(Arc::from);
        self.known.insert(id.into(), name.clone());
        name
    }

    fn look_up(&self, id: &str) -> Option<String> {
        self.docker(id).or_else(|| self.containerd(id)).or_else(|| self.storage(id))
    }

    fn docker(&self, id: &str) -> Option<String> {
        let config = read_json(&self.root.join("var/lib/docker/containers").join(id).join("config.v2.json"))?;
        Some(config.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
    }

    fn containerd(&self, id: &str) -> Option<String> {
        let namespaces = fs::read_dir(self.root.join("run/containerd/io.containerd.runtime.v2.task")).ok()?;
        let bundle = namespaces.flatten().find_map(|namespace| read_json(&namespace.path().join(id).join("config.json")))?;
        let annotations = bundle.get("annotations")?;
        ANNOTATIONS.iter().find_map(|key| Some(annotations.get(key)?.as_str()?.to_owned()))
    }

    fn storage(&self, id: &str) -> Option<String> {
        let homes =
            fs::read_dir(self.root.join("home")).into_iter().flatten().flatten().map(|home| home.path().join(".local/share/containers"));
        let stores = [self.root.join("var/lib/containers"), self.root.join("root/.local/share/containers")].into_iter().chain(homes);
        stores.filter_map(|store| read_json(&store.join("storage/overlay-containers/containers.json"))).find_map(|containers| {
            let container = containers.as_array()?.iter().find(|container| container.get("id").and_then(Value::as_str) == Some(id))?;
            let name = container.get("names")?.as_array()?.first()?.as_str()?;
            // CRI-O: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT
            Some(name.strip_prefix("k8s_").and_then(|rest| rest.split('_').next()).unwrap_or(name).to_owned())
        })
    }
}

fn read_json(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn names_from_what_engines_leave() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "var/lib/docker/containers/aa/config.v2.json", r#"{"ID":"aa","Name":"/shop-web-1"}"#);
        write(
            root.path(),
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/bb/config.json",
            r#"{"annotations":{"io.kubernetes.cri.container-name":"cart"}}"#,
        );
        write(
            root.path(),
            "var/lib/containers/storage/overlay-containers/containers.json",
            r#"[{"id":"cc","names":["db"]},{"id":"dd","names":["k8s_api_api-7f_default_0a_0"]}]"#,
        );
        write(
            root.path(),
            "home/u/.local/share/containers/storage/overlay-containers/containers.json",
            r#"[{"id":"ee","names":["mine"]}]"#,
        );
        write(root.path(), "var/lib/docker/containers/ff/config.v2.json", "{broken");
        let mut names = ContainerNames::below(root.path());
        let found: Vec<_> = ["aa", "bb", "cc", "dd", "ee", "ff", "00"].map(|id| names.name(id).map(|name| name.to_string())).into();
        let expected = [Some("shop-web-1"), Some("cart"), Some("db"), Some("api"), Some("mine"), None, None];
        assert_eq!(found, expected.map(|name| name.map(String::from)));
    }

    #[test]
    fn an_answer_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "var/lib/docker/containers/aa/config.v2.json", r#"{"Name":"/web"}"#);
        let mut names = ContainerNames::below(root.path());
        assert_eq!(names.name("aa").as_deref(), Some("web"));
        fs::remove_dir_all(root.path().join("var")).unwrap();
        assert_eq!(names.name("aa").as_deref(), Some("web"));
    }
}
