#!/usr/bin/env bash
# Checks everything under infra/ without an account and, where the provider is on the machine, without a network:
# formatting, validity, and the module's tests against a mocked provider.
set -euo pipefail

infra=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if ! command -v terraform >/dev/null; then
  echo "infra/check.sh: terraform is not installed. Version 1.9 or later is needed:" >&2
  echo "  https://developer.hashicorp.com/terraform/install" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source-path=SCRIPTDIR source=terraformrc.sh
. "$infra/terraformrc.sh"
use_terraformrc "$work"

export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0
if [ -z "${TF_CLI_CONFIG_FILE:-}" ] && [ -z "${TF_PLUGIN_CACHE_DIR:-}" ]; then
  # One download for both roots. From a mirror the provider is linked, and a cache would copy it.
  mkdir "$work/plugins"
  export TF_PLUGIN_CACHE_DIR=$work/plugins TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1
fi

echo "terraform fmt -check"
terraform fmt -check -diff -recursive "$infra"

# A copy, so that neither .terraform nor a lock file with the hashes of one platform is left in the tree.
tar -C "$infra" --exclude=.terraform --exclude=.terraform.lock.hcl --exclude='*.tfstate*' -cf - . |
  (mkdir "$work/infra" && tar -C "$work/infra" -xf -)

for root in modules/coatcheck examples/complete; do
  echo "terraform validate $root"
  terraform -chdir="$work/infra/$root" init -backend=false -no-color >"$work/init.log" ||
    { cat "$work/init.log" >&2; exit 1; }
  terraform -chdir="$work/infra/$root" validate -no-color
done

echo "terraform test modules/coatcheck"
terraform -chdir="$work/infra/modules/coatcheck" test -no-color
