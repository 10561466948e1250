# What is refused, and by which variable. One run holds one wrong value each for many variables, because every run
# starts the provider anew; every variable that is named has to refuse, and no other may. A variable is not
# asked when one that it looks at has refused already, so adopted_prefixes, quarantine_prefix and inventory, each of
# which looks at those before it, have runs of their own.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket_name = "acme-uploads"
}

# Capitals, a prefix without its slash, an origin with a slash, aliases for keys, a process that does not exist.
run "names" {
  command = plan
  variables {
    bucket_name              = "Acme-Uploads"
    name                     = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    key_prefix               = "media"
    cors_allowed_origins     = ["https://app.example.com/"]
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:alias/uploads"
    queue_kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:alias/uploads"
    policy_path              = "/coatcheck"
    attach_policies_to_roles = { reader = ["web"] }
    alarm_topic_arns         = ["arn:aws:sns:eu-central-1:123456789012:oncall.fifo"]
  }
  expect_failures = [
    var.bucket_name,
    var.name,
    var.key_prefix,
    var.cors_allowed_origins,
    var.kms_key_arn,
    var.queue_kms_key_arn,
    var.policy_path,
    var.attach_policies_to_roles,
    var.alarm_topic_arns,
  ]
}

# Every site, without saying so twice; numbers just outside their range; dead letters that would expire on arrival.
run "numbers" {
  command = plan
  variables {
    cors_allowed_origins            = ["*"]
    cors_max_age_seconds            = 86401
    abort_incomplete_multipart_days = 0
    noncurrent_version_days         = 1.5
    receive_wait_time_seconds       = 0
    visibility_timeout_seconds      = 29
    in_flight_alarm_threshold       = 120000
    dead_letter_retention_seconds   = 86400
  }
  expect_failures = [
    var.cors_allowed_origins,
    var.cors_max_age_seconds,
    var.abort_incomplete_multipart_days,
    var.noncurrent_version_days,
    var.receive_wait_time_seconds,
    var.visibility_timeout_seconds,
    var.in_flight_alarm_threshold,
    var.dead_letter_retention_seconds,
  ]
}

# Dots, an empty prefix, an origin with a path, a role's ARN for its name.
run "dots_and_roots" {
  command = plan
  variables {
    bucket_name               = "uploads.example.com"
    key_prefix                = ""
    cors_allowed_origins      = ["https://app.example.com/upload"]
    max_receive_count         = 1
    message_retention_seconds = 1209601
    attach_policies_to_roles  = { api = ["arn:aws:iam::123456789012:role/web"] }
  }
  expect_failures = [
    var.bucket_name,
    var.key_prefix,
    var.cors_allowed_origins,
    var.max_receive_count,
    var.message_retention_seconds,
    var.attach_policies_to_roles,
  ]
}

# Names that S3 reserves, wildcards where they would widen, an alarm at a single retry, roles for policies that are
# not made.
run "reserved_and_wild" {
  command = plan
  variables {
    bucket_name                  = "uploads--x-s3"
    key_prefix                   = "media*/"
    cors_allowed_origins         = ["https://*.*.example.com"]
    oldest_message_alarm_seconds = 120
    create_policies              = false
    attach_policies_to_roles     = { api = ["web"] }
  }
  expect_failures = [
    var.bucket_name,
    var.key_prefix,
    var.cors_allowed_origins,
    var.oldest_message_alarm_seconds,
    var.attach_policies_to_roles,
  ]
}

# An origin without its scheme; a message that would expire before it became a dead letter.
run "schemeless_origin" {
  command = plan
  variables {
    cors_allowed_origins         = ["app.example.com"]
    key_prefix                   = "/media/"
    visibility_timeout_seconds   = 3600
    oldest_message_alarm_seconds = 7300
    message_retention_seconds    = 7400
  }
  expect_failures = [
    var.cors_allowed_origins,
    var.key_prefix,
    var.visibility_timeout_seconds,
  ]
}

# Every site, written as if it were a host.
run "any_origin_of_a_scheme" {
  command = plan
  variables {
    cors_allowed_origins = ["https://*"]
  }
  expect_failures = [
    var.cors_allowed_origins,
  ]
}

# A folder that holds the managed prefix; a stray that is gone at once.
run "adopted_around_managed" {
  command = plan
  variables {
    key_prefix       = "team/media/"
    adopted_prefixes = ["team/"]
    quarantine_days  = 0
  }
  expect_failures = [
    var.adopted_prefixes,
    var.quarantine_days,
  ]
}

# The managed prefix's own folder; days in halves.
run "adopted_inside_managed" {
  command = plan
  variables {
    adopted_prefixes = ["media/old/"]
    quarantine_days  = 1.5
  }
  expect_failures = [
    var.adopted_prefixes,
    var.quarantine_days,
  ]
}

# A prefix without its slash, which would take in its neighbours.
run "adopted_without_slash" {
  command = plan
  variables {
    adopted_prefixes = ["old"]
  }
  expect_failures = [
    var.adopted_prefixes,
  ]
}

# A wildcard, which would take in every folder.
run "adopted_wildcard" {
  command = plan
  variables {
    adopted_prefixes = ["avatars/*/"]
  }
  expect_failures = [
    var.adopted_prefixes,
  ]
}

# A prefix inside another.
run "adopted_twice" {
  command = plan
  variables {
    adopted_prefixes = ["old/", "old/avatars/"]
  }
  expect_failures = [
    var.adopted_prefixes,
  ]
}

# More prefixes than a policy holds.
run "too_many_adopted" {
  command = plan
  variables {
    adopted_prefixes = [for n in range(11) : "old-${n}/"]
  }
  expect_failures = [
    var.adopted_prefixes,
  ]
}

# A quarantine without its slash, whose rule would expire its neighbours.
run "quarantine_without_slash" {
  command = plan
  variables {
    quarantine_prefix = "quarantine"
  }
  expect_failures = [
    var.quarantine_prefix,
  ]
}

# Media that would expire, every one.
run "quarantine_around_managed" {
  command = plan
  variables {
    key_prefix = "coatcheck-quarantine/media/"
  }
  expect_failures = [
    var.quarantine_prefix,
  ]
}

# Copies that would be told as uploads.
run "quarantine_inside_managed" {
  command = plan
  variables {
    quarantine_prefix = "media/coatcheck-quarantine/"
  }
  expect_failures = [
    var.quarantine_prefix,
  ]
}

# Adopted media that would expire.
run "quarantine_around_adopted" {
  command = plan
  variables {
    adopted_prefixes = ["coatcheck-quarantine/old/"]
  }
  expect_failures = [
    var.quarantine_prefix,
  ]
}

# Reports that would be refused, and told as uploads.
run "inventory_inside_managed" {
  command = plan
  variables {
    inventory = { prefix = "media/inventory/" }
  }
  expect_failures = [
    var.inventory,
  ]
}

# Reports that would be strays.
run "inventory_inside_adopted" {
  command = plan
  variables {
    adopted_prefixes = ["old/"]
    inventory        = { prefix = "old/inventory/" }
  }
  expect_failures = [
    var.inventory,
  ]
}

# Reports that would expire as quarantine does, in this bucket by its name.
run "inventory_inside_quarantine" {
  command = plan
  variables {
    inventory = { bucket_name = "acme-uploads", prefix = "coatcheck-quarantine/inventory/" }
  }
  expect_failures = [
    var.inventory,
  ]
}

# A destination by its ARN.
run "inventory_by_arn" {
  command = plan
  variables {
    inventory = { bucket_name = "arn:aws:s3:::acme-reports" }
  }
  expect_failures = [
    var.inventory,
  ]
}

# A format that S3 has and the reconciler has not.
run "inventory_format" {
  command = plan
  variables {
    inventory = { format = "ORC" }
  }
  expect_failures = [
    var.inventory,
  ]
}

# A weekly report that would be gone before the next one came.
run "inventory_gap" {
  command = plan
  variables {
    inventory = { frequency = "Weekly", keep_days = 7 }
  }
  expect_failures = [
    var.inventory,
  ]
}
