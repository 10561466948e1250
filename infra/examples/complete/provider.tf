# On AWS the provider finds region and credentials by itself, as every other tool does. With var.endpoint it talks
# to an emulator instead: keys that mean nothing, bucket names in the path, and no questions to services that an
# emulator may not have.
provider "aws" {
  region = var.region

  access_key = local.emulated ? "test" : null
  secret_key = local.emulated ? "test" : null

  s3_use_path_style           = local.emulated
  skip_credentials_validation = local.emulated
  skip_metadata_api_check     = local.emulated ? "true" : null
  skip_region_validation      = local.emulated
  skip_requesting_account_id  = local.emulated

  endpoints {
    cloudwatch = var.endpoint
    iam        = var.endpoint
    s3         = var.endpoint
    sqs        = var.endpoint
    sts        = var.endpoint
  }
}
