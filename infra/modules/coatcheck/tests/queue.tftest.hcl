# The queues, the notification, the alarms, and what the service is told of them.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket_name = "acme-uploads"
}

run "as_it_comes" {
  command = plan

  assert {
    condition     = aws_sqs_queue.landings.name == "acme-uploads-landings" && aws_sqs_queue.dead_letters.name == "acme-uploads-dead-letters"
    error_message = "The queues must be named for the bucket."
  }
  assert {
    condition     = aws_sqs_queue.landings.visibility_timeout_seconds == 60 && aws_sqs_queue.landings.receive_wait_time_seconds == 20
    error_message = "The queue must hide messages for 60 s and poll for 20 s."
  }
  assert {
    condition     = alltrue([for q in [aws_sqs_queue.landings, aws_sqs_queue.dead_letters] : q.message_retention_seconds == 14 * 24 * 3600])
    error_message = "Both queues must keep messages for 14 days."
  }
  assert {
    condition     = alltrue([for q in [aws_sqs_queue.landings, aws_sqs_queue.dead_letters] : q.sqs_managed_sse_enabled])
    error_message = "Both queues must be encrypted."
  }
  assert {
    condition = jsondecode(aws_sqs_queue.landings.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters"
      maxReceiveCount     = 5
    }
    error_message = "After 5 receives a message must go to the dead-letter queue."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters[0].redrive_allow_policy).sourceQueueArns == [aws_sqs_queue.landings.arn]
    error_message = "Only this queue may use the dead-letter queue."
  }

  assert {
    condition = [for s in jsondecode(aws_sqs_queue.landings.policy).Statement : s if s.Effect == "Allow"] == [{
      Sid       = "AllowBucketToSend"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::acme-uploads" }
        StringEquals = { "aws:SourceAccount" = "123456789012" }
      }
    }]
    error_message = "S3 alone may send, for this bucket and this account."
  }
  assert {
    condition     = local.queue_arn == aws_sqs_queue.landings.arn
    error_message = "The ARN in the queue's policy must be the queue's."
  }
  assert {
    condition = alltrue([
      for p in [aws_sqs_queue.landings.policy, aws_sqs_queue_policy.dead_letters[0].policy] :
      [for s in jsondecode(p).Statement : "${s.Principal} ${s.Action} ${s.Condition.Bool["aws:SecureTransport"]}" if s.Effect == "Deny"] == ["* sqs:* false"]
    ])
    error_message = "Both queues must refuse what does not come over TLS."
  }

  assert {
    condition = output.environment == {
      AWS_REGION                  = "eu-central-1"
      COATCHECK_BUCKET            = "acme-uploads"
      COATCHECK_KEY_PREFIX        = "media/"
      COATCHECK_QUARANTINE_PREFIX = "coatcheck-quarantine/"
      COATCHECK_QUEUE_URL         = "https://sqs.eu-central-1.amazonaws.com/123456789012/acme-uploads-landings"
    }
    error_message = "The environment must be what the service reads."
  }
  assert {
    condition     = output.bucket_name == "acme-uploads" && output.bucket_arn == "arn:aws:s3:::acme-uploads"
    error_message = "The outputs must name the bucket."
  }
  assert {
    condition     = endswith(output.queue_arn, ":acme-uploads-landings") && endswith(output.dead_letter_queue_arn, ":acme-uploads-dead-letters")
    error_message = "The outputs must not mix the queues up."
  }
}

run "by_choice" {
  command = plan
  variables {
    key_prefix        = "team/media/"
    queue_kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/cccccccc-2222-3333-4444-555555555555"
    alarm_topic_arns  = ["arn:aws:sns:eu-central-1:123456789012:oncall"]
  }

  assert {
    condition     = alltrue([for q in [aws_sqs_queue.landings, aws_sqs_queue.dead_letters] : q.kms_master_key_id == var.queue_kms_key_arn])
    error_message = "Both queues must use the given key."
  }

  assert {
    condition     = aws_s3_bucket_notification.media.queue[0].events == toset(["s3:ObjectCreated:*"])
    error_message = "Every way of creating an object must be told."
  }
  assert {
    condition     = aws_s3_bucket_notification.media.queue[0].filter_prefix == "team/media/"
    error_message = "Only keys under the prefix may be told."
  }
  assert {
    condition     = aws_s3_bucket_notification.media.queue[0].queue_arn == aws_sqs_queue.landings.arn
    error_message = "The notification must go to the queue."
  }

  assert {
    condition = jsonencode({ for k, a in aws_cloudwatch_metric_alarm.queue : k => [a.metric_name, a.dimensions.QueueName, a.comparison_operator, a.threshold] }) == jsonencode({
      dead-letters   = ["ApproximateNumberOfMessagesVisible", "acme-uploads-dead-letters", "GreaterThanThreshold", 0]
      oldest-message = ["ApproximateAgeOfOldestMessage", "acme-uploads-landings", "GreaterThanOrEqualToThreshold", 300]
      in-flight      = ["ApproximateNumberOfMessagesNotVisible", "acme-uploads-landings", "GreaterThanOrEqualToThreshold", 96000]
    })
    error_message = "Each alarm must watch its metric, on its queue, from its threshold on."
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.queue : a.alarm_actions == toset(var.alarm_topic_arns) && a.ok_actions == toset(var.alarm_topic_arns)])
    error_message = "Every alarm must tell the topics, when it begins and when it ends."
  }
  assert {
    condition     = alltrue([for a in aws_cloudwatch_metric_alarm.queue : a.treat_missing_data == "notBreaching"])
    error_message = "An idle queue must not alarm."
  }
}
