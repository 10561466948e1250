# S3's own list of what is in the bucket, once a day or a week: for buckets that take too long to list.

locals {
  # Bucket and folder are empty when there is no inventory.
  # Whether the bucket policy is made must be known when planning, and the bucket's own name may not be.
  inventory_bucket_name   = var.inventory == null ? "" : coalesce(var.inventory.bucket_name, var.bucket_name)
  inventory_in_own_bucket = var.inventory == null ? false : var.inventory.bucket_name == null ? true : var.inventory.bucket_name == var.bucket_name
  inventory_bucket_arn    = local.inventory_in_own_bucket ? aws_s3_bucket.media.arn : "arn:${data.aws_partition.current.partition}:s3:::${local.inventory_bucket_name}"

  # S3 adds the name of the bucket that is listed. Below it lie a folder for each report and one with the data.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
  inventory_folder = var.inventory == null ? "" : "${var.inventory.prefix}${var.bucket_name}/"

  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
  bucket_statement_inventory = {
    Sid       = "AllowInventory"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Action    = "s3:PutObject"
    Resource  = "${local.inventory_bucket_arn}/${local.inventory_folder}*"
    Condition = {
      ArnEquals = { "aws:SourceArn" = aws_s3_bucket.media.arn }
      StringEquals = {
        "aws:SourceAccount" = local.account_id
        "s3:x-amz-acl"      = "bucket-owner-full-control"
      }
    }
  }
}

resource "aws_s3_bucket_inventory" "media" {
  count = var.inventory == null ? 0 : 1

  bucket = aws_s3_bucket.media.id
  name   = "coatcheck"

  # The whole bucket: one configuration takes one prefix, and there may be adopted ones.
  included_object_versions = var.versioning ? "All" : "Current"

  # What tells a stray from an upload under way, and what a deletion is conditional on.
  optional_fields = ["ETag", "LastModifiedDate", "Size"]

  schedule {
    frequency = var.inventory.frequency
  }

  destination {
    bucket {
      bucket_arn = local.inventory_bucket_arn

      # Names of buckets are global. S3 checks the owner only when it is told who that is.
      account_id = coalesce(var.inventory.account_id, local.account_id)
      format     = var.inventory.format
      prefix     = trimsuffix(var.inventory.prefix, "/") # S3 puts the slash

      dynamic "encryption" {
        for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

        content {
          sse_kms {
            key_id = encryption.value
          }
        }
      }
    }
  }

  # Whoever may deliver has to be named before anything is.
  depends_on = [aws_s3_bucket_policy.media]
}
