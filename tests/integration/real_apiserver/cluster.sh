#!/usr/bin/env bash
# Start or stop a control plane on loopback: etcd, kube-apiserver, kube-controller-manager.
#   cluster.sh start NAME PORT [ETCD_PORT PEER_PORT]    prints the path of a kubeconfig
#   cluster.sh stop NAME
# KBACKUP_ENVTEST or KUBEBUILDER_ASSETS says where the binaries are, KBACKUP_ENVTEST_STATE
# where the state of the clusters goes. With OWNER_PID the cluster stops when that process
# is gone, however it went. APISERVER_FLAGS, DISABLE_ADMISSION and WITH_CONTROLLERS=0 vary
# what is started. Accounts: user admin, token admintoken, in the group system:masters; RBAC is on.
set -euo pipefail
BIN=${KBACKUP_ENVTEST:-${KUBEBUILDER_ASSETS:-$HOME/.cache/kbackup/envtest-2}}
STATE=${KBACKUP_ENVTEST_STATE:-${TMPDIR:-/tmp}/kbackup-envtest}
cmd=$1 name=$2
dir=$STATE/$name

make_pki() {
  openssl genrsa -out pki/sa.key 2048 2>/dev/null
  openssl req -x509 -newkey rsa:2048 -nodes -keyout pki/ca.key -out pki/ca.crt \
    -days 3650 -subj /CN=envtest-ca 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout pki/server.key -out pki/server.csr \
    -subj /CN=kube-apiserver 2>/dev/null
  openssl x509 -req -in pki/server.csr -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial \
    -out pki/server.crt -days 3650 \
    -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost') 2>/dev/null
  printf '%s\n' 'admintoken,admin,admin,system:masters' \
    'kcmtoken,system:kube-controller-manager,kcm,system:masters' >pki/tokens.csv
}

kubeconfig() { # USER
  cat >"$1.kubeconfig" <<K
apiVersion: v1
kind: Config
clusters: [{name: envtest, cluster: {server: "https://127.0.0.1:$port", certificate-authority: $dir/pki/ca.crt}}]
users: [{name: $1, user: {token: ${1}token}}]
contexts: [{name: envtest, context: {cluster: envtest, user: $1}}]
current-context: envtest
K
}

spawn() { # NAME COMMAND...: in a session of its own, so that Ctrl-C does not reach it
  local what=$1
  shift
  setsid "$@" >"$dir/$what.log" 2>&1 </dev/null &
  echo $! >"$dir/$what.pid"
}

knows() { # BINARY WORD: whether its help has the word; grep reads all of it
  "$BIN/$1" --help 2>/dev/null | grep -c -e "$2" >/dev/null
}

try() { # METHOD PATH [BODY]: prints the HTTP code
  curl -s -m 10 --cacert "$dir/pki/ca.crt" -o /dev/null -w '%{http_code}' -X "$1" -H 'Authorization: Bearer admintoken' \
    -H 'Content-Type: application/json' "https://127.0.0.1:$port$2" ${3:+-d "$3"} || true
}

require_alive() { # NAME...: who lost its port to another ends; that one would answer for it
  for what in "$@"; do
    kill -0 "$(cat "$dir/$what.pid")" 2>/dev/null || fail "$what ended"
  done
}

fail() {
  echo "$1" >&2
  tail -n 20 "$dir"/*.log >&2 || true
  "$0" stop "$name" || true
  exit 1
}

self_test() { # a server that cannot store a custom resource is no use to any test
  local crds=/apis/apiextensions.k8s.io/v1/customresourcedefinitions made=
  try POST $crds '{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"probes.self.test"},"spec":{"group":"self.test","scope":"Cluster","names":{"plural":"probes","kind":"Probe"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}' >/dev/null
  for _ in $(seq 60); do
    made=$(try POST /apis/self.test/v1/probes '{"apiVersion":"self.test/v1","kind":"Probe","metadata":{"name":"p"},"spec":{"a":1}}')
    if [ "$made" = 201 ] || [ "$made" = 409 ]; then
      [ "$(try GET /apis/self.test/v1/probes/p)" = 200 ] && break
    fi
    sleep 0.25
  done
  [ "$made" = 201 ] || [ "$made" = 409 ] || fail "a custom resource could not be stored (HTTP $made)"
  try DELETE $crds/probes.self.test >/dev/null
  for _ in $(seq 60); do
    [ "$(try GET $crds/probes.self.test)" = 404 ] && break
    sleep 0.25
  done
}

controllers_test() { # an API server whose controllers died looks well and does nothing
  for _ in $(seq 120); do
    kill -0 "$(cat kcm.pid)" 2>/dev/null || fail "kube-controller-manager ended"
    [ "$(try GET /api/v1/namespaces/default/serviceaccounts/default)" = 200 ] && return
    sleep 0.25
  done
  fail "the controllers do nothing"
}

start() {
  rm -rf "$dir"
  mkdir -p "$dir/pki"
  cd "$dir"
  make_pki
  kubeconfig admin
  kubeconfig kcm
  spawn etcd "$BIN/etcd" --data-dir "$dir/etcd" \
    --listen-client-urls "http://127.0.0.1:$etcd_port" \
    --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$peer_port" --unsafe-no-fsync
  # A current server answers from its cache what etcd has compacted away, for a minute.
  gates=
  if knows kube-apiserver ListFromCacheSnapshot; then
    gates=--feature-gates=ListFromCacheSnapshot=false
  fi
  # shellcheck disable=SC2086 # the flags are words
  spawn apiserver "$BIN/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" \
    --secure-port="$port" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --endpoint-reconciler-type=none \
    --tls-cert-file=pki/server.crt --tls-private-key-file=pki/server.key --cert-dir=pki \
    --token-auth-file=pki/tokens.csv --authorization-mode=RBAC \
    --service-cluster-ip-range=10.0.0.0/16 \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=pki/sa.key --service-account-signing-key-file=pki/sa.key \
    --disable-admission-plugins="${DISABLE_ADMISSION:-ServiceAccount}" \
    --allow-privileged=true --max-requests-inflight=3000 \
    --max-mutating-requests-inflight=1000 $gates ${APISERVER_FLAGS:-}
  if [ -n "${OWNER_PID:-}" ]; then
    # shellcheck disable=SC2016 # expanded by the inner shell
    setsid bash -c 'while kill -0 "$1" 2>/dev/null && [ -d "$4" ]; do sleep 1; done
      [ -d "$4" ] && exec "$2" stop "$3"' watchdog "$OWNER_PID" "$self" "$name" "$dir" \
      >/dev/null 2>&1 </dev/null &
  fi
  for _ in $(seq 600); do
    require_alive etcd apiserver
    [ "$(try GET /readyz)" = 200 ] && break
    sleep 0.2
  done
  [ "$(try GET /readyz)" = 200 ] || fail "kube-apiserver did not become ready"
  require_alive etcd apiserver
  if [ "${WITH_CONTROLLERS:-1}" = 1 ]; then
    # Up to 1.23 there is a second, insecure port; later ones do not know the flag.
    insecure_port=
    if knows kube-controller-manager '--port int'; then
      insecure_port=--port=0
    fi
    # At the default of 20 requests a second, ending a namespace takes five seconds. The
    # periods are those after which controllers look again, by default a quarter minute.
    spawn kcm "$BIN/kube-controller-manager" --kubeconfig="$dir/kcm.kubeconfig" \
      --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt \
      --use-service-account-credentials=false --leader-elect=false --secure-port=0 $insecure_port \
      --kube-api-qps=1000 --kube-api-burst=2000 \
      --pvclaimbinder-sync-period=2s --horizontal-pod-autoscaler-sync-period=2s \
      --controllers='*,-nodeipam,-route,-service,-cloud-node-lifecycle'
  fi
  self_test
  [ "${WITH_CONTROLLERS:-1}" = 1 ] && controllers_test
  echo "$dir/admin.kubeconfig"
}

stop() { # at once: nothing of it is kept
  [ -d "$dir" ] || return 0
  local pids=() pid
  for what in kcm apiserver etcd; do
    [ -f "$dir/$what.pid" ] && pids+=("$(cat "$dir/$what.pid")")
  done
  for pid in ${pids[@]+"${pids[@]}"}; do kill -9 "$pid" 2>/dev/null || true; done
  for pid in ${pids[@]+"${pids[@]}"}; do
    for _ in $(seq 200); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
  done
  rm -rf "$dir"
}

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
case $cmd in
start)
  port=$3 etcd_port=${4:-$(($3 + 1))} peer_port=${5:-$(($3 + 2))}
  start
  ;;
stop) stop ;;
*)
  echo "cluster.sh: start or stop, not $cmd" >&2
  exit 2
  ;;
esac
