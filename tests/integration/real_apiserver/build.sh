#!/usr/bin/env bash
# Build kube-apiserver and kube-controller-manager (Kubernetes 1.20.2) from the source
# package of Debian bookworm, take etcd from its package, and print the directory that
# holds the three. Needs root, apt, about 4 GB of disk and, on two cores, four to eight
# minutes the first time; where the directory is complete already it does nothing.
#   build.sh [DIR]        default: ~/.cache/kbackup/envtest-2
set -euo pipefail
dir=${1:-$HOME/.cache/kbackup/envtest-2}
mkdir -p "$dir"
complete=yes
for binary in kube-apiserver kube-controller-manager etcd; do
  [ -x "$dir/$binary" ] || complete=no
done
if [ "$complete" = yes ]; then
  echo "$dir"
  exit 0
fi

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
apt-get update -q >&2
apt-get install -qy --no-install-recommends golang-1.19-go \
  golang-github-modern-go-reflect2-dev etcd-server dpkg-dev openssl >&2

# Only binary packages are listed as a rule. A deb-src line for the mirror that is
# configured here goes into lists of our own, so that the machine's stay as they are.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
  grep -v '^ *#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1 | tr -d ' ' || true)
: "${mirror:?the apt sources name no Debian mirror}"
printf 'deb-src %s bookworm main\n' "$mirror" >"$work/sources.list"
mkdir -p "$work/lists/partial"
apt=(apt-get -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
  -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
"${apt[@]}" update -q >&2
(cd "$work" && "${apt[@]}" source -q --download-only kubernetes >&2)

export GOPATH=$work/go GO111MODULE=off CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=
export PATH=/usr/lib/go-1.19/bin:$PATH
unset GOROOT
mkdir -p "$GOPATH/src/k8s.io"
tar -xf "$work"/kubernetes_*.orig.tar.* -C "$GOPATH/src/k8s.io"
mv "$GOPATH"/src/k8s.io/kubernetes-* "$GOPATH/src/k8s.io/kubernetes"
cd "$GOPATH/src/k8s.io/kubernetes"

# The vendored reflect2 1.0.1 faults on iterating a map since Go 1.18: the first custom
# resource would end the API server.
rm -rf vendor/github.com/modern-go/reflect2
cp -r /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/

# The one generated file that the source package leaves out.
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -Rl --include='*.go' '+k8s:openapi-gen=' vendor/k8s.io pkg/apis |
  grep -vE 'code-generator|sample-apiserver|_test.go|kube-openapi' |
  xargs -n1 dirname | sort -u | sed 's|^|k8s.io/kubernetes/|' | paste -sd,)
"$work/openapi-gen" --logtostderr -i "$packages" \
  -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$work/violations" >&2

flags=
for package in pkg/version vendor/k8s.io/client-go/pkg/version \
  vendor/k8s.io/component-base/version; do
  flags+=" -X k8s.io/kubernetes/$package.gitVersion=v1.20.2"
  flags+=" -X k8s.io/kubernetes/$package.gitMajor=1"
  flags+=" -X k8s.io/kubernetes/$package.gitMinor=20"
done
for binary in kube-apiserver kube-controller-manager; do
  go build -ldflags "$flags" -o "$dir/$binary" "./cmd/$binary"
done
cp /usr/bin/etcd "$dir/etcd"
echo "$dir"
