variable "visibility_timeout_seconds" {
  description = "How long a received message stays hidden from other consumers. The consumer extends it while it works, so this is the time that a killed consumer's messages are late by."
  type        = number
  default     = 60
  nullable    = false

  # Below 30 s one slow commit is enough for a second delivery; above an hour a crash looks like an outage. SQS
  # itself takes 0 to 43,200.
  validation {
    condition     = var.visibility_timeout_seconds >= 30 && var.visibility_timeout_seconds <= 3600 && floor(var.visibility_timeout_seconds) == var.visibility_timeout_seconds
    error_message = "visibility_timeout_seconds must be a whole number from 30 to 3600."
  }

  # A message that is never understood is seen max_receive_count times, each time for this long; it has to get
  # to the dead-letter queue well before the queue itself forgets it.
  validation {
    condition     = var.visibility_timeout_seconds * var.max_receive_count <= var.message_retention_seconds / 2
    error_message = "visibility_timeout_seconds × max_receive_count must be at most half of message_retention_seconds: otherwise a message may expire before it reaches the dead-letter queue."
  }
}

variable "receive_wait_time_seconds" {
  description = "Long poll of a receive that does not say how long it waits. 20 is the most that SQS offers and costs the least."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.receive_wait_time_seconds >= 1 && var.receive_wait_time_seconds <= 20 && floor(var.receive_wait_time_seconds) == var.receive_wait_time_seconds
    error_message = "receive_wait_time_seconds must be a whole number from 1 to 20; 0 would be short polling, which is billed by the empty answer."
  }
}

variable "max_receive_count" {
  description = "How often a message is received before it goes to the dead-letter queue. A receive whose answer is lost on the way counts as well, so 1 would throw good messages out."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 2 && var.max_receive_count <= 1000 && floor(var.max_receive_count) == var.max_receive_count
    error_message = "max_receive_count must be a whole number from 2 to 1000."
  }
}

variable "message_retention_seconds" {
  description = "How long a message waits in the queue while no consumer runs."
  type        = number
  default     = 1209600 # 14 days, the most that SQS offers
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 3600 && var.message_retention_seconds <= 1209600 && floor(var.message_retention_seconds) == var.message_retention_seconds
    error_message = "message_retention_seconds must be a whole number from 3600 (an hour) to 1209600 (14 days)."
  }
}

variable "dead_letter_retention_seconds" {
  description = "How long a message stays in the dead-letter queue, counted from when it was first sent."
  type        = number
  default     = 1209600 # 14 days, the most that SQS offers
  nullable    = false

  validation {
    condition     = var.dead_letter_retention_seconds >= 3600 && var.dead_letter_retention_seconds <= 1209600 && floor(var.dead_letter_retention_seconds) == var.dead_letter_retention_seconds
    error_message = "dead_letter_retention_seconds must be a whole number from 3600 (an hour) to 1209600 (14 days)."
  }

  # On a standard queue the clock does not start again when a message is moved, so a shorter time here could
  # expire a message the moment it arrives.
  validation {
    condition     = var.dead_letter_retention_seconds >= var.message_retention_seconds
    error_message = "dead_letter_retention_seconds must be at least message_retention_seconds: a dead letter keeps the age it had, and would expire on arrival."
  }
}

variable "queue_kms_key_arn" {
  description = "ARN of a customer managed KMS key for both queues; null uses SQS's own keys (SSE-SQS). The key's policy must let s3.amazonaws.com use kms:GenerateDataKey and kms:Decrypt, or S3 drops every notification."
  type        = string
  default     = null

  validation {
    condition     = var.queue_kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.queue_kms_key_arn))
    error_message = "queue_kms_key_arn must be the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an id and not an alias."
  }
}

variable "create_redrive_allow_policy" {
  description = "Whether the dead-letter queue names the one queue that may use it. Turn it off for emulators that do not give the attribute back: the provider then waits for it until it gives up."
  type        = bool
  default     = true
  nullable    = false
}
