variable "bucket_name" {
  description = "Name of the bucket that is made for the uploads. It is made by this module and belongs to it whole: its notification, policy, CORS and lifecycle are single documents that a second owner would overwrite."
  type        = string
  nullable    = false

  # Dots are legal in a bucket's name, but S3's certificate does not cover them in virtual-hosted addresses, and
  # those are what a browser is handed.
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name must be 3 to 63 characters of a-z, 0-9 and '-', beginning and ending with a letter or a digit; dots are refused because S3's certificate does not cover them."
  }

  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  validation {
    condition     = !can(regex("^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|--x-s3|--table-s3)$", var.bucket_name))
    error_message = "bucket_name begins or ends with something that S3 reserves (xn--, sthree-, amzn-s3-demo-, -s3alias, --ol-s3, --x-s3, --table-s3)."
  }
}

variable "name" {
  description = "Name that the queues, policies and alarms begin with; null takes bucket_name."
  type        = string
  default     = null

  # An alarm, a policy and a queue each take more than this; the suffixes that the module adds have to fit as well.
  validation {
    condition     = var.name == null ? true : can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))
    error_message = "name must be 1 to 64 characters of A-Z, a-z, 0-9, '-' and '_'."
  }
}

variable "key_prefix" {
  description = "Prefix of the keys that coatcheck mints, ending with '/'. Notifications stay below it, and so do IAM policies and every deletion, but for adopted_prefixes."
  type        = string
  default     = "media/"
  nullable    = false

  # Without the slash, "media" would also take in "media-archive/…": a policy that allows deleting must not.
  validation {
    condition     = endswith(var.key_prefix, "/")
    error_message = "key_prefix must end with '/', so that it names a folder and not every key that happens to begin with it."
  }

  validation {
    condition     = can(regex("^([A-Za-z0-9_.-]+/)+$", var.key_prefix)) && length(var.key_prefix) <= 200
    error_message = "key_prefix must be at most 200 characters: one or more names of A-Z, a-z, 0-9, '_', '.' and '-', each followed by one '/', and no '/' in front."
  }
}

variable "versioning" {
  description = "Whether the bucket keeps versions. Turning it off later suspends it; the versions that exist then stay until the lifecycle expires them."
  type        = bool
  default     = false
  nullable    = false
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete a bucket that still holds objects. Leave it false where the objects matter."
  type        = bool
  default     = false
  nullable    = false
}

variable "enforce_write_once" {
  description = "Whether the bucket refuses every PUT under key_prefix that does not carry If-None-Match, whoever sends it. coatcheck's own presigned requests always do. While it is on, CopyObject into key_prefix is refused by S3."
  type        = bool
  default     = true
  nullable    = false
}

variable "require_tls" {
  description = "Whether bucket and queues refuse every request that does not come over TLS. False is for an emulator on plain HTTP and nothing else."
  type        = bool
  default     = true
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key that encrypts the objects; null uses S3's own keys (SSE-S3)."
  type        = string
  default     = null

  # A key id or an alias would do for S3, but an IAM policy needs the ARN of the key.
  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an id and not an alias."
  }
}

variable "tags" {
  description = "Tags for everything that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
