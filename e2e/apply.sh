#!/usr/bin/env bash
# Applies infra/examples/complete, as it stands, to an emulator, and prints the environment that `coatcheck serve`
# reads, one NAME=value a line.
#
#   e2e/apply.sh WORK ENDPOINT    WORK: an empty folder, which keeps Terraform's state
set -euo pipefail

infra=$(cd "$(dirname "${BASH_SOURCE[0]}")/../infra" && pwd)
work=${1:?} endpoint=${2:?}

if ! command -v terraform >/dev/null; then
  echo "e2e: terraform is not installed; see infra/check.sh" >&2
  exit 1
fi
# shellcheck source-path=SCRIPTDIR source=../infra/terraformrc.sh
. "$infra/terraformrc.sh"
use_terraformrc "$work"
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0 TF_DATA_DIR=$work/.terraform

# A copy: nothing of a run stays in the tree.
tar -C "$infra" --exclude=.terraform --exclude=.terraform.lock.hcl --exclude='*.tfstate*' -cf - . |
  (mkdir "$work/infra" && tar -C "$work/infra" -xf -)
cd "$work/infra/examples/complete"
terraform init -no-color >&2
terraform apply -no-color -auto-approve -var "endpoint=$endpoint" -var region=us-east-1 >&2
terraform output -raw dotenv
