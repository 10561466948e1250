variable "create_alarms" {
  description = "Whether the CloudWatch alarms are made. False for emulators without CloudWatch, and where alarms are made elsewhere."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_topic_arns" {
  description = "ARNs of SNS topics that are told when an alarm goes off and when it is over. Without any, the alarms are only to be seen in CloudWatch."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", a))]) && length(var.alarm_topic_arns) <= 5
    error_message = "alarm_topic_arns takes at most 5 ARNs of standard SNS topics (arn:aws:sns:REGION:ACCOUNT:NAME); CloudWatch cannot send to FIFO topics."
  }
}

variable "oldest_message_alarm_seconds" {
  description = "Age of the oldest message from which on the alarm goes off. Until a message is handled, its upload looks unfinished to whoever waits for it."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.oldest_message_alarm_seconds >= 60 && var.oldest_message_alarm_seconds < var.message_retention_seconds
    error_message = "oldest_message_alarm_seconds must be at least 60 and less than message_retention_seconds, an age that no message reaches."
  }

  # One consumer that was killed makes its messages this old without anything being wrong.
  validation {
    condition     = var.oldest_message_alarm_seconds > 2 * var.visibility_timeout_seconds
    error_message = "oldest_message_alarm_seconds must be more than twice visibility_timeout_seconds: otherwise a single retry sets the alarm off."
  }
}

variable "in_flight_alarm_threshold" {
  description = "Number of messages in flight from which on the alarm goes off. At 120,000 SQS hands out no more, and a long poll then answers empty without an error."
  type        = number
  default     = 96000 # four fifths of the cap
  nullable    = false

  validation {
    condition     = var.in_flight_alarm_threshold >= 1 && var.in_flight_alarm_threshold < 120000
    error_message = "in_flight_alarm_threshold must be from 1 to 119999: at 120000 the queue has stopped already."
  }
}
