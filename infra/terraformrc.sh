# shellcheck shell=bash
# To be sourced. Lets `terraform init` find the AWS provider on machines that carry it and cannot download it.
#
#   . infra/terraformrc.sh
#   use_terraformrc DIR     # DIR: a folder of the caller's, which the file goes into and which the caller removes
#
# Exports TF_CLI_CONFIG_FILE when it found a copy of the provider. A configuration that the user has is left
# alone; without either, Terraform downloads the provider as it always does.

# has_aws_provider DIR: whether DIR, a folder …/hashicorp/aws, holds the provider for this machine, unpacked
# (VERSION/OS_ARCH/terraform-provider-aws_v…) or packed (terraform-provider-aws_VERSION_OS_ARCH.zip).
has_aws_provider() {
  local platform
  platform=$(terraform version -json 2>/dev/null | sed -n 's/.*"platform": *"\([a-z0-9_]*\)".*/\1/p')
  [ -n "$platform" ] || return 1
  compgen -G "$1/*/$platform/terraform-provider-aws_v*" >/dev/null ||
    compgen -G "$1/terraform-provider-aws_*_$platform.zip" >/dev/null
}

# find_provider_mirror: prints the root of a folder laid out HOST/hashicorp/aws/…, or fails. First where Terraform
# itself would look, then, once and not deep, on the root file system.
find_provider_mirror() {
  local dir
  while IFS= read -r dir; do
    if has_aws_provider "$dir"; then
      (cd "$dir/../../.." && pwd)
      return 0
    fi
  done < <(
    for dir in "$HOME/.terraform.d/plugins" "${XDG_DATA_HOME:-$HOME/.local/share}/terraform/plugins" \
      /usr/local/share/terraform/plugins /usr/share/terraform/plugins; do
      compgen -G "$dir/*/hashicorp/aws"
    done
    find / -xdev -maxdepth 6 -type d -path '*/hashicorp/aws' 2>/dev/null
  )
  return 1
}

use_terraformrc() {
  local mirror
  if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && [ -e "$TF_CLI_CONFIG_FILE" ]; then return 0; fi
  # Set, but naming nothing: Terraform would warn at every command.
  unset TF_CLI_CONFIG_FILE
  if [ -e "$HOME/.terraformrc" ]; then return 0; fi

  mirror=$(find_provider_mirror) || return 0
  printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}\n' "$mirror" >"$1/terraformrc"
  export TF_CLI_CONFIG_FILE=$1/terraformrc
  echo "terraform: the AWS provider comes from $mirror" >&2
}
