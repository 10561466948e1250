output "bucket_name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.media.id
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.media.arn
}

output "queue_url" {
  description = "URL of the queue with the bucket's notifications."
  value       = aws_sqs_queue.landings.url
}

output "queue_arn" {
  description = "ARN of the queue with the bucket's notifications."
  value       = aws_sqs_queue.landings.arn
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "dead_letter_queue_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dead_letters.arn
}

output "policy_arns" {
  description = "ARNs of the IAM policies by process (api, consumer, sweeper, reconciler, redrive); empty when create_policies is false."
  value       = { for process, policy in aws_iam_policy.process : process => policy.arn }
}

output "policy_documents" {
  description = "The same policies as JSON, for those who make IAM policies elsewhere."
  value       = local.policy_documents
}

output "quarantine_prefix" {
  description = "Prefix that strays may be copied to, for the reconciler's configuration; null when there is none."
  value       = var.quarantine_prefix
}

output "inventory_location" {
  description = "Where the bucket's inventory is delivered, s3://BUCKET/PREFIX/: the manifests of all reports lie below it. Null without an inventory."
  value       = var.inventory == null ? null : "s3://${local.inventory_bucket_name}/${local.inventory_folder}"
}

output "inventory_bucket_policy" {
  description = "Bucket policy, as JSON, without which S3 delivers nothing to a destination bucket of its own. Null without an inventory, and when it goes to this bucket, whose policy says so already."
  value       = var.inventory == null || local.inventory_in_own_bucket ? null : jsonencode({ Version = "2012-10-17", Statement = [local.bucket_statement_inventory] })
}

output "alarm_arns" {
  description = "ARNs of the alarms by name (dead-letters, oldest-message, in-flight); empty when create_alarms is false."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.queue : name => alarm.arn }
}

# Handed out only once the bucket is ready for uploads: whoever starts the service with these finds the
# notification in place.
output "environment" {
  description = "Environment variables that `coatcheck serve` reads to find all of this. The dead-letter queue is not among them: the queue's redrive policy names it."
  value = {
    AWS_REGION                  = local.region
    COATCHECK_BUCKET            = aws_s3_bucket.media.id
    COATCHECK_KEY_PREFIX        = var.key_prefix
    COATCHECK_QUARANTINE_PREFIX = var.quarantine_prefix == null ? "" : var.quarantine_prefix
    COATCHECK_QUEUE_URL         = aws_sqs_queue.landings.url
  }
  depends_on = [aws_s3_bucket_notification.media]
}
