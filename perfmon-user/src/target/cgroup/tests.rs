use super::*;

const ID: &str = "3f4b8c1d2e5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// (text with ID for the container id, container, unit)
const TABLE: &[(&str, Option<&str>, Option<&str>)] = &[
    ("0::/\n", None, None),
    ("12:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n", None, None),
    ("0::/init.scope\n", None, None),
    ("0::/user.slice/user-1000.slice/session-3.scope\n", None, None),
    ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", None, None),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n", None, Some("shop")),
    ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope\n", None, None),
    ("0::/system.slice/nginx.service\n", None, Some("nginx")),
    ("0::/system.slice/ssh.service\n", None, None),
    ("0::/system.slice/system-getty.slice/getty@tty1.service\n", None, None),
    ("0::/system.slice/run-u1234.service\n", None, None),
    ("0::/system.slice/run-r5f0c2a7be1d94fd1a1f0f4a2d6cf1b5c.service\n", None, None),
    ("0::/system.slice/run-p4711-i4712.service\n", None, None),
    ("0::/system.slice/run-shop.service\n", None, Some("run-shop")),
    ("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", None, Some("postgresql@15-main")),
    ("0::/system.slice/shop.service/supervised/worker\n", None, Some("shop")),
    ("0::/system.slice/my\\x2dshop.service\n", None, Some("my-shop")),
    (
        "11:memory:/system.slice/cups.service\n1:name=systemd:/system.slice/cups.service\n0::/system.slice/cups.service\n",
        None,
        Some("cups"),
    ),
    // docker: systemd and cgroupfs drivers, v1, v2, hybrid, own cgroup namespace
    ("0::/system.slice/docker-ID.scope\n", Some("ID"), None),
    ("11:memory:/docker/ID\n1:name=systemd:/docker/ID\n0::/system.slice/containerd.service\n", Some("ID"), None),
    ("0::/docker/ID\n", Some("ID"), None),
    ("0::/../../docker/ID\n", Some("ID"), None),
    ("0::/system.slice/docker-ID.scope/init\n", Some("ID"), None),
    ("0::/system.slice/docker-ID.scope/system.slice/nginx.service\n", Some("ID"), None),
    // podman: rootful, rootless, quadlet, its monitor
    ("0::/machine.slice/libpod-ID.scope/container\n", Some("ID"), None),
    ("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container\n", Some("ID"), None),
    ("0::/system.slice/shop.service/libpod-payload-ID\n", Some("ID"), None),
    ("0::/libpod_parent/libpod-ID\n", Some("ID"), None),
    ("0::/machine.slice/libpod-conmon-ID.scope\n", None, None),
    // containerd, CRI-O, Kubernetes with both drivers, kind
    ("0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0f1e_2d.slice/cri-containerd-ID.scope\n", Some("ID"), None),
    ("0::/kubepods.slice/kubepods-pod0f1e_2d.slice/crio-ID.scope\n", Some("ID"), None),
    ("0::/kubepods.slice/kubepods-pod0f1e_2d.slice/crio-conmon-ID.scope\n", None, None),
    ("4:memory:/kubepods/burstable/pod5a1b2c3d-0000-1111-2222-333344445555/ID\n0::/\n", Some("ID"), None),
    ("1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:ID\n", Some("ID"), None),
    (
        "0::/docker/0000000000000000000000000000000000000000000000000000000000000000/kubelet.slice/kubelet-kubepods.slice/cri-containerd-ID.scope\n",
        Some("ID"),
        None,
    ),
    ("0::/default/ID\n", Some("ID"), None),
    ("0::/system.slice/containerd.service\n", None, Some("containerd")),
    // ECS on EC2 and Fargate, Cloud Foundry
    ("9:memory:/ecs/0f1e2d3c4b5a69788796a5b4c3d2e1f0/ID\n", Some("ID"), None),
    (
        "9:memory:/ecs/0f1e2d3c4b5a69788796a5b4c3d2e1f0/0f1e2d3c4b5a69788796a5b4c3d2e1f0-2531612879\n",
        Some("0f1e2d3c4b5a69788796a5b4c3d2e1f0-2531612879"),
        None,
    ),
    ("6:cpuset:/garden/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n", Some("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), None),
    // machines: they have units of their own
    ("0::/lxc.payload.web1/system.slice/nginx.service\n", Some("web1"), Some("nginx")),
    ("0::/lxc.payload.web1/init.scope\n", Some("web1"), None),
    ("0::/lxc.monitor.web1\n", None, None),
    ("4:memory:/lxc/web1\n1:name=systemd:/lxc/web1/init.scope\n", Some("web1"), None),
    ("0::/machine.slice/machine-web\\x2d1.scope/payload/system.slice/shop.service\n", Some("web-1"), Some("shop")),
    ("0::/machine.slice/systemd-nspawn@web1.service/payload\n", Some("web1"), None),
    ("0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator\n", None, None),
    ("0::/lxc.payload.web1/docker/ID\n", Some("ID"), None),
    // not a container: something else has a hexadecimal name
    ("4:memory:/jobs/da976c63d62154565607b9806010b2c6\n0::/\n", None, None),
];

#[test]
fn containers_and_units_of_many_hosts() {
    for (text, container, unit) in TABLE {
        let cgroups = Cgroups::parse(&text.replace("ID", ID));
        let found = cgroups.container().map(|container| match container {
            Container::Id(name) | Container::Machine(name) => name,
        });
        assert_eq!(found, container.map(|name| name.replace("ID", ID)), "container of {text}");
        assert_eq!(cgroups.unit().as_deref(), *unit, "unit of {text}");
    }
}

#[test]
fn broken_text_is_the_root_group() {
    for text in ["", "\n", "x", "0:", ":::", "0::/a\nnonsense"] {
        let cgroups = Cgroups::parse(text);
        assert_eq!((cgroups.container(), cgroups.unit()), (None, None), "{text}");
    }
}

#[test]
fn a_group_contains_itself_and_what_is_below() {
    let cgroups = Cgroups::parse("4:memory:/jobs/a\n0::/system.slice/nginx.service/worker\n");
    for group in ["/system.slice", "/system.slice/nginx.service", "/system.slice/nginx.service/worker", "/jobs", "/jobs/a"] {
        assert!(cgroups.is_in(group), "{group}");
    }
    for group in ["/system", "/system.slice/nginx", "/nginx.service", "/jobs/a/b"] {
        assert!(!cgroups.is_in(group), "{group}");
    }
    assert_eq!(cgroups.path(), Some("/system.slice/nginx.service/worker"));
}
