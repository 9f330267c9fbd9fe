#!/bin/sh
# Installs perfmon from its unpacked tarball, or removes it. Run it as root.
#   ./install.sh               program, manual, completions, service; an existing configuration stays; enables and starts the service
#   ./install.sh --no-start    the same, and starts nothing
#   ./install.sh --uninstall   removes these; configuration, history and group stay
#   ./install.sh --purge       removes everything
# PREFIX (default /usr/local) is where the program goes; with DESTDIR everything goes below that folder and nothing is started.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
unit=$DESTDIR/etc/systemd/system/perfmon.service
share=$DESTDIR$PREFIX/share

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

systemd() {
    [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]
}

add_group() {
    if ! grep -qs '^perfmon:' "$DESTDIR/etc/group"; then
        groupadd --system ${DESTDIR:+--prefix "$DESTDIR"} perfmon
    fi
}

install_files() {
    install -d "$DESTDIR$PREFIX/bin" "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" \
        "$share/fish/vendor_completions.d" "$share/doc/perfmon" "$(dirname "$unit")" "$DESTDIR/etc/perfmon"
    install -d -m 700 "$DESTDIR/etc/perfmon/credentials"
    # A running program cannot be overwritten, only replaced.
    install -m 755 "$here/perfmon" "$DESTDIR$PREFIX/bin/.perfmon.new"
    mv -f "$DESTDIR$PREFIX/bin/.perfmon.new" "$DESTDIR$PREFIX/bin/perfmon"
    install -m 644 "$here"/man/*.1 "$share/man/man1/"
    install -m 644 "$here/completions/perfmon.bash" "$share/bash-completion/completions/perfmon"
    install -m 644 "$here/completions/_perfmon" "$share/zsh/site-functions/_perfmon"
    install -m 644 "$here/completions/perfmon.fish" "$share/fish/vendor_completions.d/perfmon.fish"
    install -m 644 "$here"/*.md "$here"/LICENSE-* "$here/third-party-licences.txt" "$here/sbom.cdx.json" "$share/doc/perfmon/"
    sed "s#/usr/bin/perfmon#$PREFIX/bin/perfmon#" "$here/systemd/perfmon.service" >"$unit"
    chmod 644 "$unit"
    if [ -e "$DESTDIR/etc/perfmon/perfmon.toml" ]; then
        echo "install.sh: $DESTDIR/etc/perfmon/perfmon.toml stays as it is"
    else
        install -m 644 "$here/perfmon.toml" "$DESTDIR/etc/perfmon/perfmon.toml"
    fi
}

remove_files() {
    if systemd; then systemctl disable --now perfmon.service || true; fi
    rm -f "$DESTDIR$PREFIX/bin/perfmon" "$unit" "$share"/man/man1/perfmon.1 "$share"/man/man1/perfmon-*.1 \
        "$share/bash-completion/completions/perfmon" "$share/zsh/site-functions/_perfmon" "$share/fish/vendor_completions.d/perfmon.fish"
    rm -rf "$share/doc/perfmon"
    if systemd; then systemctl daemon-reload; fi
}

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 $*"
case "${1:-}" in
    "" | --no-start)
        add_group
        install_files
        if systemd; then
            systemctl daemon-reload
            if [ -z "${1:-}" ]; then
                systemctl enable perfmon.service
                systemctl restart perfmon.service || fail "perfmon did not start: see \`journalctl -u perfmon\` and \`perfmon check\`"
            fi
        fi
        ;;
    --uninstall) remove_files ;;
    --purge)
        remove_files
        rm -rf "$DESTDIR/var/lib/perfmon" "$DESTDIR/etc/perfmon" "$DESTDIR/run/perfmon"
        if grep -qs '^perfmon:' "$DESTDIR/etc/group"; then groupdel ${DESTDIR:+--prefix "$DESTDIR"} perfmon; fi
        ;;
    *) fail "unknown option $1; the head of this file lists them" ;;
esac
