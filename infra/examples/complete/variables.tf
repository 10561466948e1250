variable "bucket_name" {
  description = "Name of the bucket. Names are shared by all of AWS, so null makes one up."
  type        = string
  default     = null
}

variable "region" {
  description = "Region to make everything in."
  type        = string
  default     = "eu-central-1"
}

variable "key_prefix" {
  description = "Prefix of the keys that coatcheck mints, ending with '/'."
  type        = string
  default     = "media/"
}

variable "allowed_origins" {
  description = "Origins of the pages that upload."
  type        = list(string)
  default     = ["https://app.example.com", "http://localhost:5173"]
}

variable "versioning" {
  description = "Whether the bucket keeps versions."
  type        = bool
  default     = false
}

variable "visibility_timeout_seconds" {
  description = "How long a received message stays hidden from other consumers."
  type        = number
  default     = 60
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete a bucket that still holds objects."
  type        = bool
  default     = false
}

variable "endpoint" {
  description = "Address of an emulator, such as http://127.0.0.1:4566, for every service that is used; null means AWS."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint == null ? true : can(regex("^https?://[^/]+/?$", var.endpoint))
    error_message = "endpoint must be http://host:port or https://host:port."
  }
}

# What emulators tend to lack or to get wrong. Left at null these follow the endpoint: all on AWS, none on an
# emulator, so that one with nothing but S3 and SQS will do.

variable "require_tls" {
  description = "Whether bucket and queues refuse plain HTTP; null: unless an endpoint is given."
  type        = bool
  default     = null
}

variable "enforce_write_once" {
  description = "Whether the bucket's policy refuses overwriting; null: unless an endpoint is given."
  type        = bool
  default     = null
}

variable "create_policies" {
  description = "Whether to make the IAM policies; null: unless an endpoint is given."
  type        = bool
  default     = null
}

variable "create_alarms" {
  description = "Whether to make the CloudWatch alarms; null: unless an endpoint is given."
  type        = bool
  default     = null
}

variable "create_redrive_allow_policy" {
  description = "Whether the dead-letter queue names the queue that may use it; null: unless an endpoint is given."
  type        = bool
  default     = null
}
