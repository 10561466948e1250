# What is left for an emulator that has S3 and SQS, over plain HTTP, and nothing else.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket_name = "acme-uploads"
}

run "s3_and_sqs_only" {
  command = plan
  variables {
    require_tls                 = false
    enforce_write_once          = false
    create_policies             = false
    create_alarms               = false
    create_redrive_allow_policy = false
    cors_allowed_origins        = ["*"]
    cors_allow_any_origin       = true
  }

  assert {
    condition     = length(aws_s3_bucket_policy.media) == 0 && length(aws_sqs_queue_policy.dead_letters) == 0
    error_message = "With nothing to enforce there must be no policy, since an empty one is refused."
  }
  assert {
    condition     = [for s in jsondecode(aws_sqs_queue.landings.policy).Statement : s.Sid] == ["AllowBucketToSend"]
    error_message = "The queue must go on taking the bucket's messages."
  }

  assert {
    condition     = length(aws_sqs_queue_redrive_allow_policy.dead_letters) == 0
    error_message = "The redrive allow policy must be optional."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.queue) == 0 && output.alarm_arns == {}
    error_message = "The alarms must be optional."
  }

  assert {
    condition     = length(aws_iam_policy.process) == 0 && output.policy_arns == {}
    error_message = "The policies must be optional."
  }
  assert {
    condition     = keys(output.policy_documents) == ["api", "consumer", "reconciler", "redrive", "sweeper"]
    error_message = "The documents must be there for those who make the policies themselves."
  }

  assert {
    condition     = one(aws_s3_bucket_cors_configuration.media[0].cors_rule).allowed_origins == toset(["*"])
    error_message = "Whoever says so twice may let every site in."
  }
}
