variable "adopted_prefixes" {
  description = "Prefixes of the same bucket, each ending with '/', whose objects were brought under management although coatcheck did not mint their keys. The API may read there, sweeper and reconciler may list and delete; nobody may write."
  type        = set(string)
  default     = []
  nullable    = false

  # '*', '?' and '$' would be wildcards and variables of IAM: a policy that allows deleting must not hold any.
  validation {
    condition     = alltrue([for p in var.adopted_prefixes : can(regex("^[A-Za-z0-9!_.'()@=;:+, /-]+/$", p)) && length(p) <= 100])
    error_message = "adopted_prefixes must each end with '/', have at most 100 characters, and hold none but A-Z, a-z, 0-9, space and !_.'()@=;:+,/-."
  }

  validation {
    condition     = !anytrue([for p in var.adopted_prefixes : startswith(p, var.key_prefix) || startswith(var.key_prefix, p)])
    error_message = "adopted_prefixes must not overlap key_prefix, which is managed already."
  }

  validation {
    condition     = !anytrue(flatten([for p in var.adopted_prefixes : [for q in var.adopted_prefixes : p != q && startswith(p, q)]]))
    error_message = "adopted_prefixes must not overlap each other: the outer one covers the inner one."
  }

  # Each stands twice in the reconciler's policy, and IAM takes policies of up to 6,144 characters.
  validation {
    condition     = length(var.adopted_prefixes) <= 10
    error_message = "adopted_prefixes takes at most 10 prefixes: more would not fit into an IAM policy. Adopt a prefix that holds several."
  }
}

variable "quarantine_prefix" {
  description = "Prefix, ending with '/', that strays are copied to before they are deleted, if the reconciler is set to do so: it may then write there, and what lies there expires. null: no quarantine. The value has to be the reconciler's."
  type        = string
  default     = "coatcheck-quarantine/"

  validation {
    condition     = var.quarantine_prefix == null ? true : can(regex("^([A-Za-z0-9_.-]+/)+$", var.quarantine_prefix)) && length(var.quarantine_prefix) <= 200
    error_message = "quarantine_prefix must be at most 200 characters: one or more names of A-Z, a-z, 0-9, '_', '.' and '-', each followed by one '/', and no '/' in front."
  }

  # What lies there expires, and is told to nobody.
  validation {
    condition = var.quarantine_prefix == null ? true : !anytrue([
      for p in concat([var.key_prefix], tolist(var.adopted_prefixes)) : startswith(p, var.quarantine_prefix) || startswith(var.quarantine_prefix, p)
    ])
    error_message = "quarantine_prefix must overlap neither key_prefix nor adopted_prefixes: what lies in quarantine expires, and media must not."
  }
}

variable "quarantine_days" {
  description = "Days after which what lies in quarantine expires. It is the time in which a stray that was none can be brought back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.quarantine_days >= 1 && var.quarantine_days <= 3650 && floor(var.quarantine_days) == var.quarantine_days
    error_message = "quarantine_days must be a whole number from 1 to 3650."
  }
}

variable "inventory" {
  description = "Has S3 write an inventory of the bucket, and lets the reconciler read it; null: none, {}: as the defaults say. bucket_name: null for this bucket, or one in the same region, whose policy must then hold the output inventory_bucket_policy. account_id: owner of that bucket; null for this account. prefix: folder that the reports go to, ending with '/'. format: CSV or Parquet. frequency: Daily or Weekly. keep_days: days after which reports in this bucket expire. With kms_key_arn they are encrypted with that key, whose policy must let s3.amazonaws.com use kms:GenerateDataKey, or S3 delivers nothing."
  type = object({
    bucket_name = optional(string)
    account_id  = optional(string)
    prefix      = optional(string, "inventory/")
    format      = optional(string, "CSV")
    frequency   = optional(string, "Daily")
    keep_days   = optional(number, 30)
  })
  default = null

  validation {
    condition     = try(var.inventory.bucket_name, null) == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.inventory.bucket_name))
    error_message = "inventory.bucket_name must be the name of a bucket, and not its ARN."
  }

  validation {
    condition     = try(var.inventory.account_id, null) == null ? true : can(regex("^[0-9]{12}$", var.inventory.account_id))
    error_message = "inventory.account_id must be the 12 digits of an account."
  }

  validation {
    condition     = var.inventory == null ? true : can(regex("^([A-Za-z0-9_.-]+/)+$", var.inventory.prefix)) && length(var.inventory.prefix) <= 200
    error_message = "inventory.prefix must be at most 200 characters: one or more names of A-Z, a-z, 0-9, '_', '.' and '-', each followed by one '/', and no '/' in front."
  }

  # Under key_prefix S3's reports would be refused and told of as uploads; under an adopted prefix they would be strays.
  validation {
    condition = var.inventory == null ? true : coalesce(var.inventory.bucket_name, var.bucket_name) != var.bucket_name || !anytrue([
      for p in concat([var.key_prefix], tolist(var.adopted_prefixes), compact([var.quarantine_prefix])) :
      startswith(p, var.inventory.prefix) || startswith(var.inventory.prefix, p)
    ])
    error_message = "inventory.prefix must not overlap key_prefix, adopted_prefixes or quarantine_prefix when the reports go to this bucket."
  }

  # ORC is S3's third; the reconciler does not read it.
  validation {
    condition     = var.inventory == null ? true : contains(["CSV", "Parquet"], var.inventory.format) && contains(["Daily", "Weekly"], var.inventory.frequency)
    error_message = "inventory.format must be CSV or Parquet, and inventory.frequency Daily or Weekly."
  }

  # A weekly report has to last until the next one is there.
  validation {
    condition     = var.inventory == null ? true : var.inventory.keep_days >= 8 && var.inventory.keep_days <= 3650 && floor(var.inventory.keep_days) == var.inventory.keep_days
    error_message = "inventory.keep_days must be a whole number from 8 to 3650."
  }
}
