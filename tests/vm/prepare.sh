#!/usr/bin/env bash
# Fills a folder with what virtual machines of several kernels need: QEMU, kernels and a root file system with Python, from Debian's archives.
# Nothing is installed: apt works on a root of its own, with the host's mirrors and Debian's signatures.
# usage: prepare.sh FOLDER        needs: apt-get, dpkg, python3, openssl, zstd, lz4, xz
set -euo pipefail
folder=$1
here=$(dirname "$(readlink -f "$0")")
apt=$folder/apt
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$apt"/etc/{preferences.d,apt.conf.d,sources.list.d} "$folder"/{debs,qemu,root,kernels}

mirrors() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' | grep -oE 'https?://[^ ]+' | sed 's#/$##' | sort -u
}
archive=$(mirrors | grep '/debian$' | head -1 || true)
security=$(mirrors | grep '/debian-security$' | head -1 || true)
: "${archive:=https://deb.debian.org/debian}" "${security:=https://deb.debian.org/debian-security}"
{
  for suite in bullseye bookworm bookworm-backports trixie trixie-backports; do echo "deb [signed-by=$keys] $archive $suite main"; done
  for suite in bullseye bookworm trixie; do echo "deb [signed-by=$keys] $security $suite-security main"; done
} > "$apt/etc/sources.list"
: > "$apt/state/status"
cat > "$apt/apt.conf" <<END
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Etc "$apt/etc";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "$apt/etc/sources.list.d";
Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";
Dir::Etc::parts "$apt/etc/apt.conf.d";
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
export APT_CONFIG=$apt/apt.conf LC_ALL=C
apt-get update -qq
cd "$folder/debs"

download() {
  for package in "$@"; do apt-get download -qq "$package/bookworm" 2>/dev/null || apt-get download -qq "$package/bookworm-security"; done
}
# Version 7.2 of Debian 12 crashes now and then while it emulates.
apt-get download -qq qemu-system-x86/bookworm-backports qemu-system-data/bookworm-backports
of_qemu="seabios libcapstone4 libpmem1 libfdt1 librdmacm1 libibverbs1 libslirp0 libvdeplug2 libnl-3-200 libnl-route-3-200 libndctl6 libdaxctl1
  libkmod2 libaio1 liburing2 libpixman-1-0 libpng16-16 libjpeg62-turbo libnuma1 libfuse3-3"
of_root="python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libssl3 libffi8 zlib1g libc6 libgcc-s1 libexpat1 liblzma5 libbz2-1.0
  libuuid1 busybox-static"
download $of_qemu $of_root
for package in qemu-system-x86 qemu-system-data $of_qemu; do dpkg -x "$package"_*.deb "$folder/qemu"; done
for package in $of_root; do dpkg -x "$package"_*.deb "$folder/root"; done
(cd "$folder/root" && rm -rf usr/share/{doc,man,locale,lintian,bash-completion,info,python3} usr/lib/x86_64-linux-gnu/gconv \
  usr/lib/python3.11/{test,idlelib,lib2to3,pydoc_data,ensurepip})

newest() {
  apt-cache search -n "^linux-(image|binary)-$1-cloud-amd64\$" | awk '{print $1}' | sed 's/^linux-image-//; s/^linux-binary-//; s/-cloud-amd64$//' |
    sort -Vu | tail -1
}
# Each series as a Debian release has it.
for series in 5.10='5\.10\.0-[0-9]+' 6.1='6\.1\.0-[0-9]+' 6.12='6\.12\.[0-9]+\+deb12' 6.18='6\.18\.[0-9]+\+deb13' 7='7\.[0-9]+\.[0-9]+\+deb13'; do
  version=$(newest "${series#*=}")
  apt-get download -qq "linux-binary-$version-cloud-amd64" 2>/dev/null || apt-get download -qq "linux-image-$version-cloud-amd64"
  package=$(find . -name "linux-*-$version-cloud-amd64_*.deb" | head -1)
  dpkg-deb --fsys-tarfile "$package" > image.tar
  tar -xOf image.tar "$(tar -tf image.tar | grep vmlinuz | head -1)" > vmlinuz
  python3 "$here/vmlinux.py" vmlinuz "$folder/kernels/${series%%=*}"
  rm image.tar vmlinuz
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$folder/key.pem" -out "$folder/cert.pem" -days 3650 \
  -subj /CN=localhost 2>/dev/null
rm -rf "$folder/debs" "$apt"
touch "$folder/ready"
