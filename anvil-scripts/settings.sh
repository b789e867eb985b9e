# Sourced by the scripts beside it: the repository's root as current directory, and the settings that `clawpay up` has, from where it has them.
# shellcheck shell=bash
set -euo pipefail

script=$(realpath "$0")
cd "$(dirname "$script")/.."

# setting NAME DEFAULT: the environment's value, or else that of .env, or else the default.
setting() {
  local value=${!1:-}
  if [ -z "$value" ] && [ -f .env ]; then
    value=$(sed -nE "s/^(export )?$1=//p" .env | tail -n 1 | tr -d "\"'\r")
  fi
  printf '%s' "${value:-$2}"
}

# usage: the comment at the top of the script that asks.
usage() {
  sed -nE '2,/^[^#]/s/^# ?//p' "$script"
}

# fail MESSAGE: says what is wrong and ends.
fail() {
  echo "$(basename "$script"): $1" >&2
  exit 1
}

# misused: says how the script is used and ends.
misused() {
  usage >&2
  exit 2
}

# cast ...: the one that npm installs.
cast() {
  [ -x node_modules/.bin/cast ] || fail "cast is not installed: run \`npm ci\`"
  node_modules/.bin/cast "$@"
}

# rpc_url: the local stack's node, once it has answered.
rpc_url() {
  local port url
  port=$(setting CLAWPAY_RPC_PORT 8545)
  url=http://127.0.0.1:$port
  cast chain-id --rpc-url "$url" >/dev/null 2>&1 || fail "no node answers at $url: start one with anvil-scripts/up, or set CLAWPAY_RPC_PORT"
  printf '%s' "$url"
}
