//! A container's id → its name, from what container engines leave on disk: docker (`config.v2.json`), podman and CRI-O
//! (`containers.json` of containers/storage), containerd and nerdctl (annotations in the bundle's `config.json`). Asks no daemon.
//! Names are remembered, also that there is none; a restarted container has a new id.
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::inspect::{FileUser, ForeignReader};
use crate::limits::CONTAINER_NAMES;

/// Bytes of a file that are read at most.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Annotations of an OCI bundle that hold a name, best first.
const ANNOTATIONS: [&str; 3] = ["io.kubernetes.cri.container-name", "io.kubernetes.cri-o.ContainerName", "nerdctl/name"];

/// Names of containers.
#[derive(Debug)]
pub(super) struct ContainerNames {
    root: PathBuf,
    reader: ForeignReader,
    known: HashMap<Box<str>, Option<Arc<str>>>,
}

impl ContainerNames {
    /// Looks below `/`.
    pub(super) fn new(reader: ForeignReader) -> Self {
        Self::below("/", reader)
    }

    /// Looks below another directory.
    pub(super) fn below(root: impl Into<PathBuf>, reader: ForeignReader) -> Self {
        Self { root: root.into(), reader, known: HashMap::new() }
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
        let config = self.read_json(&Path::new("var/lib/docker/containers").join(id).join("config.v2.json"), None)?;
        Some(config.get("Name")?.as_str()?.trim_start_matches('/').to_owned())
    }

    fn containerd(&self, id: &str) -> Option<String> {
        let tasks = Path::new("run/containerd/io.containerd.runtime.v2.task");
        let namespaces = fs::read_dir(self.root.join(tasks)).ok()?;
        let file = |namespace: fs::DirEntry| tasks.join(namespace.file_name()).join(id).join("config.json");
        let bundle = namespaces.flatten().find_map(|namespace| self.read_json(&file(namespace), None))?;
        let annotations = bundle.get("annotations")?;
        ANNOTATIONS.iter().find_map(|key| Some(annotations.get(key)?.as_str()?.to_owned()))
    }

    fn storage(&self, id: &str) -> Option<String> {
        // A user's own list is read with that user's rights.
        let owner = |home: &fs::DirEntry| {
            let meta = home.metadata().ok()?;
            Some(FileUser { uid: meta.uid(), gid: meta.gid(), groups: Vec::new() })
        };
        let store_of = |home: fs::DirEntry| (Path::new("home").join(home.file_name()).join(".local/share/containers"), owner(&home));
        let homes = fs::read_dir(self.root.join("home")).into_iter().flatten().flatten().map(store_of);
        let ours = ["var/lib/containers", "root/.local/share/containers"].map(|store| (PathBuf::from(store), None));
        let lists = ours
            .into_iter()
            .chain(homes)
            .filter_map(|(store, owner)| self.read_json(&store.join("storage/overlay-containers/containers.json"), owner));
        lists.into_iter().find_map(|containers| {
            let container = containers.as_array()?.iter().find(|container| container.get("id").and_then(Value::as_str) == Some(id))?;
            let name = container.get("names")?.as_array()?.first()?.as_str()?;
            // CRI-O: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT
            Some(name.strip_prefix("k8s_").and_then(|rest| rest.split('_').next()).unwrap_or(name).to_owned())
        })
    }

    fn read_json(&self, inside: &Path, owner: Option<FileUser>) -> Option<Value> {
        let bytes = self.reader.below(0, self.root.clone(), inside, owner, FILE_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
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
        let mut names = ContainerNames::below(root.path(), ForeignReader::in_threads());
        let found: Vec<_> = ["aa", "bb", "cc", "dd", "ee", "ff", "00"].map(|id| names.name(id).map(|name| name.to_string())).into();
        let expected = [Some("shop-web-1"), Some("cart"), Some("db"), Some("api"), Some("mine"), None, None];
        assert_eq!(found, expected.map(|name| name.map(String::from)));
    }

    #[test]
    fn an_answer_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "var/lib/docker/containers/aa/config.v2.json", r#"{"Name":"/web"}"#);
        let mut names = ContainerNames::below(root.path(), ForeignReader::in_threads());
        assert_eq!(names.name("aa").as_deref(), Some("web"));
        fs::remove_dir_all(root.path().join("var")).unwrap();
        assert_eq!(names.name("aa").as_deref(), Some("web"));
    }
}
