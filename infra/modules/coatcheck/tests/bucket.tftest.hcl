# The bucket: private, encrypted, over TLS only, write-once, open to the given origins and no others.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket_name          = "acme-uploads"
  cors_allowed_origins = ["https://app.example.com", "https://*.example.org:8443", "http://localhost:5173"]
}

run "as_it_comes" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.media.block_public_acls,
      aws_s3_bucket_public_access_block.media.block_public_policy,
      aws_s3_bucket_public_access_block.media.ignore_public_acls,
      aws_s3_bucket_public_access_block.media.restrict_public_buckets,
    ])
    error_message = "All four public access blocks must be on."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.media.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off."
  }
  assert {
    condition     = aws_s3_bucket.media.force_destroy == false
    error_message = "A bucket with objects must not be destroyed by default."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Without a key the bucket must use SSE-S3."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.media[0].policy).Statement[0] == {
      Sid       = "DenyPlaintext"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::acme-uploads", "arn:aws:s3:::acme-uploads/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
    error_message = "The bucket must refuse everything that does not come over TLS."
  }
  assert {
    condition = jsondecode(aws_s3_bucket_policy.media[0].policy).Statement[1] == {
      Sid       = "DenyOverwrite"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObject"
      Resource  = "arn:aws:s3:::acme-uploads/media/*"
      Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
    }
    error_message = "A PUT without If-None-Match must be refused under the prefix."
  }
  assert {
    condition     = alltrue([for s in jsondecode(aws_s3_bucket_policy.media[0].policy).Statement : s.Effect == "Deny"])
    error_message = "The bucket's policy must grant nothing: grants belong to the processes' policies."
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.media[0].cors_rule).allowed_origins == toset(var.cors_allowed_origins)
    error_message = "Exactly the given origins may upload."
  }
  assert {
    condition     = one(aws_s3_bucket_cors_configuration.media[0].cors_rule).allowed_methods == toset(["GET", "HEAD", "PUT"])
    error_message = "Browsers may GET, HEAD and PUT, and not DELETE or POST."
  }
  assert {
    condition     = length(setsubtract(["content-type", "if-none-match", "x-amz-checksum-sha256"], one(aws_s3_bucket_cors_configuration.media[0].cors_rule).allowed_headers)) == 0
    error_message = "A header that a presigned PUT signs is missing: every preflight would fail."
  }
  assert {
    condition     = !contains(one(aws_s3_bucket_cors_configuration.media[0].cors_rule).allowed_headers, "*")
    error_message = "Not every header may be sent."
  }
  assert {
    condition     = one(aws_s3_bucket_cors_configuration.media[0].cors_rule).expose_headers == toset(["ETag", "x-amz-checksum-sha256", "x-amz-version-id"])
    error_message = "A page must be able to read ETag, checksum and version."
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.media) == 0
    error_message = "Versioning must be off unless asked for."
  }
}

run "by_choice" {
  command = plan
  variables {
    kms_key_arn                     = "arn:aws:kms:eu-central-1:123456789012:key/bbbbbbbb-2222-3333-4444-555555555555"
    enforce_write_once              = false
    cors_allowed_origins            = []
    abort_incomplete_multipart_days = 2
    noncurrent_version_days         = 30
    quarantine_prefix               = null
    versioning                      = true
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "A given key must be used."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.media.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn
    error_message = "The given key must be the one that is used."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.media.rule).bucket_key_enabled
    error_message = "With KMS the bucket key must be on."
  }

  assert {
    condition     = [for s in jsondecode(aws_s3_bucket_policy.media[0].policy).Statement : s.Sid] == ["DenyPlaintext"]
    error_message = "Without enforce_write_once only TLS is enforced."
  }

  assert {
    condition     = length(aws_s3_bucket_cors_configuration.media) == 0
    error_message = "Without origins there must be no CORS rules."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 2
    error_message = "Unfinished multipart uploads must be aborted."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "Noncurrent versions must expire."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[1].expiration[0].expired_object_delete_marker
    error_message = "Delete markers with nothing behind them must expire."
  }
  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.media.rule) == 2 && length(aws_s3_bucket_lifecycle_configuration.media.rule[0].expiration) == 0
    error_message = "Without a quarantine no rule may expire current objects: what is claimed is never deleted."
  }

  assert {
    condition     = aws_s3_bucket_versioning.media[0].versioning_configuration[0].status == "Enabled"
    error_message = "Versioning must be on when asked for."
  }
}
