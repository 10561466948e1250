resource "aws_s3_bucket" "media" {
  bucket        = var.bucket_name
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "media" {
  bucket = aws_s3_bucket.media.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No ACLs: who may do what is said by policies alone, and every object belongs to the bucket's owner, whoever
# signed the upload.
resource "aws_s3_bucket_ownership_controls" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    # One data key for many objects instead of one KMS request for each of them.
    bucket_key_enabled = var.kms_key_arn != null
  }
}

# Without this resource a bucket has never had versions; destroying it suspends them. A status "Disabled" could
# not be set again once versioning was on.
resource "aws_s3_bucket_versioning" "media" {
  count = var.versioning ? 1 : 0

  bucket = aws_s3_bucket.media.id

  versioning_configuration {
    status = "Enabled"
  }
}

locals {
  # The only places where current objects expire by age. The validation of the variables keeps them apart from every
  # prefix that holds media. With versioning, what expires here stays for noncurrent_version_days longer.
  expiring_prefixes = concat(
    var.quarantine_prefix == null ? [] : [{ id = "expire-quarantine", prefix = var.quarantine_prefix, days = var.quarantine_days }],
    local.inventory_in_own_bucket ? [{ id = "expire-inventory", prefix = local.inventory_folder, days = var.inventory.keep_days }] : [],
  )
}

resource "aws_s3_bucket_lifecycle_configuration" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    id     = "abort-incomplete-multipart-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_incomplete_multipart_days
    }
  }

  # Kept when versioning is off: a bucket whose versioning was suspended still holds versions, and on one that
  # never had any the rule finds nothing. Current media are never expired; that decision is the sweeper's.
  rule {
    id     = "expire-noncurrent-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_version_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = local.expiring_prefixes

    content {
      id     = rule.value.id
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      expiration {
        days = rule.value.days
      }
    }
  }

  # A lifecycle that is set while versioning is being switched on may be judged against the old state.
  depends_on = [aws_s3_bucket_versioning.media]
}

resource "aws_s3_bucket_cors_configuration" "media" {
  count = length(var.cors_allowed_origins) > 0 ? 1 : 0

  bucket = aws_s3_bucket.media.id

  cors_rule {
    id              = "uploads"
    allowed_origins = var.cors_allowed_origins
    allowed_methods = ["GET", "HEAD", "PUT"]

    # What a presigned PUT may have signed. S3 refuses the whole preflight when one requested header is missing.
    allowed_headers = ["content-type", "if-none-match", "x-amz-checksum-sha256", "x-amz-*"]

    # What a page may read of the answer.
    expose_headers  = ["ETag", "x-amz-checksum-sha256", "x-amz-version-id"]
    max_age_seconds = var.cors_max_age_seconds
  }
}
