output "environment" {
  description = "Environment variables for `coatcheck serve`."
  value       = local.environment
}

output "dotenv" {
  description = "The same, one NAME=value a line: terraform output -raw dotenv > coatcheck.env"
  value       = join("", [for name, value in local.environment : "${name}=${value}\n"])
}

output "bucket_name" {
  description = "Name of the bucket."
  value       = module.coatcheck.bucket_name
}

output "queue_url" {
  description = "URL of the queue with the bucket's notifications."
  value       = module.coatcheck.queue_url
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue."
  value       = module.coatcheck.dead_letter_queue_url
}

output "policy_arns" {
  description = "ARNs of the IAM policies by process."
  value       = module.coatcheck.policy_arns
}
