locals {
  emulated = var.endpoint != null

  environment = merge(
    module.coatcheck.environment,
    local.emulated ? { COATCHECK_AWS_ENDPOINT = var.endpoint } : {},
  )
}

# Kept in the state: the bucket keeps its name from one apply to the next.
resource "terraform_data" "suffix" {
  input = substr(replace(uuid(), "-", ""), 0, 12)

  lifecycle {
    ignore_changes = [input]
  }
}

module "coatcheck" {
  source = "../../modules/coatcheck"

  bucket_name          = coalesce(var.bucket_name, "coatcheck-${terraform_data.suffix.output}")
  name                 = "coatcheck"
  key_prefix           = var.key_prefix
  versioning           = var.versioning
  force_destroy        = var.force_destroy
  cors_allowed_origins = var.allowed_origins

  visibility_timeout_seconds = var.visibility_timeout_seconds

  require_tls                 = coalesce(var.require_tls, !local.emulated)
  enforce_write_once          = coalesce(var.enforce_write_once, !local.emulated)
  create_policies             = coalesce(var.create_policies, !local.emulated)
  create_alarms               = coalesce(var.create_alarms, !local.emulated)
  create_redrive_allow_policy = coalesce(var.create_redrive_allow_policy, !local.emulated)

  tags = { service = "coatcheck" }
}
