locals {
  # SQS reports once a minute, and stops reporting when a queue has been idle for hours: no data is good news.
  alarms = {
    dead-letters = {
      description = "Messages lie in the dead-letter queue: nobody understood them, or their effect could not be committed. Find out why, then send them back with a message move task."
      queue       = aws_sqs_queue.dead_letters.name
      # Not NumberOfMessagesSent: it does not count what redrive moves here.
      metric     = "ApproximateNumberOfMessagesVisible"
      operator   = "GreaterThanThreshold"
      threshold  = 0
      evaluation = 1
    }
    oldest-message = {
      description = "Uploads have landed and are not being recorded: consumers are down, too few, or cannot commit."
      queue       = aws_sqs_queue.landings.name
      # Blind to a message that was received three times without success: SQS leaves such a one out of this
      # metric. The alarm on dead letters is what shows it.
      metric     = "ApproximateAgeOfOldestMessage"
      operator   = "GreaterThanOrEqualToThreshold"
      threshold  = var.oldest_message_alarm_seconds
      evaluation = 3
    }
    in-flight = {
      description = "The number of messages in flight nears 120,000, where SQS hands out no more and says nothing: consumers receive faster than they acknowledge."
      queue       = aws_sqs_queue.landings.name
      metric      = "ApproximateNumberOfMessagesNotVisible"
      operator    = "GreaterThanOrEqualToThreshold"
      threshold   = var.in_flight_alarm_threshold
      evaluation  = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = var.create_alarms ? local.alarms : {}

  alarm_name        = "${local.name}-${each.key}"
  alarm_description = each.value.description

  namespace   = "AWS/SQS"
  metric_name = each.value.metric
  dimensions  = { QueueName = each.value.queue }
  statistic   = "Maximum"
  period      = 60

  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  evaluation_periods  = each.value.evaluation
  treat_missing_data  = "notBreaching"

  alarm_actions = var.alarm_topic_arns
  ok_actions    = var.alarm_topic_arns

  tags = var.tags
}
