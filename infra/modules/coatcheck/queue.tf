locals {
  # Written out, because the queue's policy names the queue: known from its neighbour's ARN, it can be set while
  # the queue is made, and the queue is never there without it.
  queue_name = "${local.name}-landings"
  queue_arn  = join(":", concat(slice(split(":", aws_sqs_queue.dead_letters.arn), 0, 5), [local.queue_name]))

  # The account as well as the bucket: bucket names are global, and a name that was given up may be another
  # account's tomorrow.
  queue_statement_bucket = {
    Sid       = "AllowBucketToSend"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = local.queue_arn
    Condition = {
      ArnEquals    = { "aws:SourceArn" = aws_s3_bucket.media.arn }
      StringEquals = { "aws:SourceAccount" = local.account_id }
    }
  }

  queue_statement_tls = {
    Sid       = "DenyPlaintext"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  }
}

# Carries the bucket's notifications: one message for each upload that S3 has finished writing.
#
# Both policies are set here and not by resources of their own. The provider waits 25 s for each such resource,
# and there are emulators on which the second of two that are set one after the other undoes the first.
resource "aws_sqs_queue" "landings" {
  name = local.queue_name

  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = var.receive_wait_time_seconds
  message_retention_seconds  = var.message_retention_seconds

  sqs_managed_sse_enabled           = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id                 = var.queue_kms_key_arn
  kms_data_key_reuse_period_seconds = var.queue_kms_key_arn == null ? null : 300

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [local.queue_statement_bucket],
      var.require_tls ? [merge(local.queue_statement_tls, { Resource = local.queue_arn })] : [],
    )
  })

  tags = var.tags
}

# Holds what was received max_receive_count times and never acknowledged: messages that nobody understood, and
# those whose effect could not be committed.
resource "aws_sqs_queue" "dead_letters" {
  name = "${local.name}-dead-letters"

  visibility_timeout_seconds = var.visibility_timeout_seconds
  receive_wait_time_seconds  = var.receive_wait_time_seconds
  message_retention_seconds  = var.dead_letter_retention_seconds

  sqs_managed_sse_enabled           = var.queue_kms_key_arn == null ? true : null
  kms_master_key_id                 = var.queue_kms_key_arn
  kms_data_key_reuse_period_seconds = var.queue_kms_key_arn == null ? null : 300

  tags = var.tags
}

resource "aws_sqs_queue_policy" "dead_letters" {
  count = var.require_tls ? 1 : 0

  queue_url = aws_sqs_queue.dead_letters.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge(local.queue_statement_tls, { Resource = aws_sqs_queue.dead_letters.arn })]
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  count = var.create_redrive_allow_policy ? 1 : 0

  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.landings.arn]
  })
}

# S3 sends a test message when this is set, and refuses a queue that would not take it. Uploads are the only thing
# told: what is copied into quarantine, what something else writes under an adopted prefix and S3's own inventory lie
# outside key_prefix.
resource "aws_s3_bucket_notification" "media" {
  bucket = aws_s3_bucket.media.id

  queue {
    id            = "landings"
    queue_arn     = aws_sqs_queue.landings.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.key_prefix
  }
}
