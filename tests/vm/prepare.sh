#!/usr/bin/env bash
# Fills a folder with what virtual machines need: QEMU, a root file system with Python, and the kernels that are asked for, from Debian's archives.
# Nothing is installed: apt works on a root of its own, with the host's mirrors. It takes only what Debian's keys vouch for: they sign each suite's
# Release file, which has the checksums of the lists, which have those of the packages. No version is pinned, since archives remove old kernels;
# packages.txt tells what was fetched: for what, package, version, SHA-256.
# usage: prepare.sh FOLDER [SERIES…]        series: 5.10 6.1 6.12 6.18 7 (none: all of them); what is there already is kept
# needs: apt-get, dpkg, python3, openssl, zstd, lz4, xz. Exit status 75: the archives could not be reached, or lack what is wanted
set -euo pipefail
folder=$1
shift
here=$(dirname "$(readlink -f "$0")")
apt=$folder/apt
keys=/usr/share/keyrings/debian-archive-keyring.gpg
rm -rf "$apt" "$folder/debs"
mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$apt"/etc/{preferences.d,apt.conf.d,sources.list.d} "$folder"/{debs,kernels}
[ $# -gt 0 ] || set -- 5.10 6.1 6.12 6.18 7

# Each series as a Debian release has it: the releases whose archives are needed, and a pattern for its version.
suites=$(printf '%s\n' bookworm bookworm-backports)
patterns=()
for series in "$@"; do
  case $series in
    5.10) release=bullseye pattern='5\.10\.0-[0-9]+' ;;
    6.1) release=bookworm pattern='6\.1\.0-[0-9]+' ;;
    6.12) release=bookworm pattern='6\.12\.[0-9]+\+deb12' ;;
    6.18) release=trixie pattern='6\.18\.[0-9]+\+deb13' ;;
    7) release=trixie pattern='7\.[0-9]+\.[0-9]+\+deb13' ;;
    *) echo "no kernel of series $series is known" >&2 && exit 1 ;;
  esac
  suites+=$(printf '\n%s' $release $([ $release != trixie ] || echo trixie-backports))
  patterns+=("$pattern")
done

mirrors() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' | grep -oE 'https?://[^ ]+' | sed 's#/$##' | sort -u
}
archive=$(mirrors | grep '/debian$' | head -1 || true)
security=$(mirrors | grep '/debian-security$' | head -1 || true)
: "${archive:=https://deb.debian.org/debian}" "${security:=https://deb.debian.org/debian-security}"
sort -u <<< "$suites" | while read -r suite; do
  echo "deb [signed-by=$keys] $archive $suite main"
  case $suite in *-backports) ;; *) echo "deb [signed-by=$keys] $security $suite-security main" ;; esac
done > "$apt/etc/sources.list"
: > "$apt/state/status"
cat > "$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Etc "$apt/etc";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "$apt/etc/sources.list.d";
Dir::Etc::trusted "$apt/etc/none";
Dir::Etc::trustedparts "$apt/etc/none";
Dir::Etc::parts "$apt/etc/apt.conf.d";
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
CONF
export APT_CONFIG=$apt/apt.conf LC_ALL=C

unreachable() {
  echo "$1" >&2
  rm -rf "$folder/debs" "$apt"
  exit 75
}
apt-get update -qq || unreachable "apt-get update failed: Debian's archives cannot be reached, or are not signed by $keys"
cd "$folder/debs"

# The first of these that an archive has.
fetch() {
  for package in "$@"; do apt-get download -qq "$package" 2>> errors && return; done
  cat errors >&2
  unreachable "cannot download $*"
}
# Says what the packages here are for, and which ones they are.
tell() {
  for package in *.deb; do
    echo "$1 $(dpkg-deb --show --showformat '${Package} ${Version}' "$package") $(sha256sum "$package" | cut -d ' ' -f 1)"
  done >> "$folder/packages.txt"
}

if [ ! -f "$folder/ready" ]; then
  rm -rf "$folder"/{qemu,root,packages.txt}
  # Version 7.2 of Debian 12 crashes now and then while it emulates.
  for package in qemu-system-x86 qemu-system-data; do fetch $package/bookworm-backports; done
  of_qemu="seabios libcapstone4 libpmem1 libfdt1 librdmacm1 libibverbs1 libslirp0 libvdeplug2 libnl-3-200 libnl-route-3-200 libndctl6 libdaxctl1
    libkmod2 libaio1 liburing2 libpixman-1-0 libpng16-16 libjpeg62-turbo libnuma1 libfuse3-3"
  for package in $of_qemu; do fetch $package/bookworm $package/bookworm-security; done
  for package in *.deb; do dpkg -x "$package" "$folder/qemu"; done
  tell qemu
  rm ./*.deb
  of_root="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libssl3 libffi8 zlib1g libc6 libgcc-s1 libexpat1 liblzma5 libbz2-1.0
    libuuid1 busybox-static"
  for package in $of_root; do fetch $package/bookworm $package/bookworm-security; done
  for package in *.deb; do dpkg -x "$package" "$folder/root"; done
  tell root
  rm ./*.deb
  (cd "$folder/root" && rm -rf usr/share/{doc,man,locale,lintian,bash-completion,info,python3} usr/lib/x86_64-linux-gnu/gconv \
    usr/lib/python3.11/{test,idlelib,lib2to3,pydoc_data,ensurepip})
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$folder/key.pem" -out "$folder/cert.pem" -days 3650 \
    -subj /CN=localhost 2>/dev/null
  touch "$folder/ready"
fi

newest() {
  apt-cache search -n "^linux-(image|binary)-$1-cloud-amd64\$" | awk '{print $1}' | sed 's/^linux-image-//; s/^linux-binary-//; s/-cloud-amd64$//' |
    sort -Vu | tail -1
}
for series in "$@"; do
  version=$(newest "${patterns[0]}")
  patterns=("${patterns[@]:1}")
  [ ! -f "$folder/kernels/$series" ] || continue
  [ -n "$version" ] || unreachable "the archives have no kernel $series"
  fetch "linux-binary-$version-cloud-amd64" "linux-image-$version-cloud-amd64"
  dpkg-deb --fsys-tarfile ./*.deb > image.tar
  tar -xOf image.tar "$(tar -tf image.tar | grep vmlinuz | head -1)" > vmlinuz
  python3 "$here/vmlinux.py" vmlinuz vmlinux
  tell "$series"
  mv vmlinux "$folder/kernels/$series"
  rm ./*.deb image.tar vmlinuz
done
rm -rf "$folder/debs" "$apt"
