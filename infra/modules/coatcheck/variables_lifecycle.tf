variable "abort_incomplete_multipart_days" {
  description = "Days after which an unfinished multipart upload is aborted. Its parts are billed and no listing of objects shows them. coatcheck starts none itself, so the least is right unless something else does."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.abort_incomplete_multipart_days >= 1 && var.abort_incomplete_multipart_days <= 365 && floor(var.abort_incomplete_multipart_days) == var.abort_incomplete_multipart_days
    error_message = "abort_incomplete_multipart_days must be a whole number from 1 to 365."
  }
}

variable "noncurrent_version_days" {
  description = "Days for which a version stays after it was deleted or replaced, in a bucket that has or had versioning. It is the time in which a mistaken delete can be undone, and it is paid for."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.noncurrent_version_days >= 1 && var.noncurrent_version_days <= 3650 && floor(var.noncurrent_version_days) == var.noncurrent_version_days
    error_message = "noncurrent_version_days must be a whole number from 1 to 3650."
  }
}
