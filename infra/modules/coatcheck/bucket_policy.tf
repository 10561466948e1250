locals {
  bucket_statement_tls = {
    Sid       = "DenyPlaintext"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:*"
    Resource  = [aws_s3_bucket.media.arn, "${aws_s3_bucket.media.arn}/*"]
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }

  # What has landed does not change: the bucket itself refuses an overwrite, even by a principal that holds
  # s3:PutObject and signs no If-None-Match. Starting a multipart upload and sending its parts are exempt, since
  # those calls take no such header; completing it is not. Adopted prefixes are left out: whatever wrote there before
  # coatcheck came signs no such header, and would be locked out.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
  bucket_statement_write_once = {
    Sid       = "DenyOverwrite"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:PutObject"
    Resource  = local.minted_objects_arn
    Condition = {
      Null = { "s3:if-none-match" = "true" }
      Bool = { "s3:ObjectCreationOperation" = "true" }
    }
  }
}

resource "aws_s3_bucket_policy" "media" {
  count = var.require_tls || var.enforce_write_once || local.inventory_in_own_bucket ? 1 : 0

  bucket = aws_s3_bucket.media.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      var.require_tls ? [local.bucket_statement_tls] : [],
      var.enforce_write_once ? [local.bucket_statement_write_once] : [],
      local.inventory_in_own_bucket ? [local.bucket_statement_inventory] : [],
    )
  })

  # S3 refuses policies and access blocks of one bucket that change at the same moment (409 OperationAborted).
  depends_on = [aws_s3_bucket_public_access_block.media]
}
