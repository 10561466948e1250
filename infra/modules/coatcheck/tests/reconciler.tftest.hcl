# What the reconciler needs beside the managed prefix: adopted prefixes, quarantine.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  bucket_name = "acme-uploads"
}

run "without_quarantine" {
  command = plan
  variables {
    quarantine_prefix = null
    kms_key_arn       = "arn:aws:kms:eu-central-1:123456789012:key/bbbbbbbb-2222-3333-4444-555555555555"
  }

  assert {
    condition     = length(regexall("PutObject|Tagging|GenerateDataKey", aws_iam_policy.process["reconciler"].policy)) == 0
    error_message = "Without a quarantine the reconciler must not be able to write."
  }
  assert {
    condition     = output.quarantine_prefix == null
    error_message = "Who configures the reconciler must be told that there is no quarantine."
  }
}

# A stray is deleted on sight of a list, and copied where the lifecycle deletes it: neither may reach further than the
# prefixes, and the copies must not look like uploads.
run "adopted_and_quarantined" {
  command = plan
  variables {
    adopted_prefixes  = ["old uploads/", "avatars/2019/"]
    quarantine_prefix = "aside/strays/"
    quarantine_days   = 90
  }

  assert {
    condition = {
      for k, p in aws_iam_policy.process : k => {
        for s in jsondecode(p.policy).Statement : s.Sid => s.Resource if strcontains(join(" ", s.Action), "Object")
      } if contains(["api", "sweeper", "reconciler"], k)
      } == {
      api = {
        PresignUploads                 = "arn:aws:s3:::acme-uploads/media/*"
        PresignDownloadsAndReadObjects = ["arn:aws:s3:::acme-uploads/media/*", "arn:aws:s3:::acme-uploads/avatars/2019/*", "arn:aws:s3:::acme-uploads/old uploads/*"]
      }
      sweeper = {
        LookAtAndDeleteObjects = ["arn:aws:s3:::acme-uploads/media/*", "arn:aws:s3:::acme-uploads/avatars/2019/*", "arn:aws:s3:::acme-uploads/old uploads/*"]
      }
      reconciler = {
        LookAtAndDeleteStrays = ["arn:aws:s3:::acme-uploads/media/*", "arn:aws:s3:::acme-uploads/avatars/2019/*", "arn:aws:s3:::acme-uploads/old uploads/*"]
        CopyIntoQuarantine    = "arn:aws:s3:::acme-uploads/aside/strays/*"
      }
    }
    error_message = "Adopted media must be there for reading and deleting, uploads must not, and only the reconciler may write to the quarantine."
  }
  assert {
    condition = alltrue([
      for k in ["api", "sweeper", "reconciler"] : [for s in jsondecode(aws_iam_policy.process[k].policy).Statement : s.Condition if contains(s.Action, "s3:ListBucket")]
      == [{ StringLike = { "s3:prefix" = ["media/*", "avatars/2019/*", "old uploads/*"] } }]
    ])
    error_message = "Listing must cover all managed prefixes, and no others."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_policy.process["reconciler"].policy).Statement : try(s.Condition, null) == null if s.Action == ["s3:ListBucketMultipartUploads"]] == [true]
    error_message = "S3 has no s3:prefix for multipart uploads: a condition on it would never be met."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.media[0].policy).Statement[1].Resource == "arn:aws:s3:::acme-uploads/media/*"
    error_message = "Write-once must not lock out whatever writes under an adopted prefix."
  }

  assert {
    condition     = [for r in slice(aws_s3_bucket_lifecycle_configuration.media.rule, 2, length(aws_s3_bucket_lifecycle_configuration.media.rule)) : "${r.id} ${r.status} ${r.filter[0].prefix} ${r.expiration[0].days}"] == ["expire-quarantine Enabled aside/strays/ 90"]
    error_message = "The quarantine must expire after the given days, and nothing else."
  }
  assert {
    condition     = length(aws_s3_bucket_notification.media.queue) == 1 && aws_s3_bucket_notification.media.queue[0].filter_prefix == "media/" && length(aws_s3_bucket_notification.media.topic) == 0 && aws_s3_bucket_notification.media.eventbridge != true
    error_message = "Copies into quarantine and writes under adopted prefixes must not be told as uploads."
  }
}

# The longest that the variables let through.
run "fits_into_a_policy" {
  command = plan
  variables {
    bucket_name       = join("", [for i in range(63) : "b"])
    key_prefix        = "${join("", [for i in range(199) : "m"])}/"
    quarantine_prefix = "${join("", [for i in range(199) : "q"])}/"
    adopted_prefixes  = [for n in range(10) : "${n}${join("", [for i in range(98) : "a"])}/"]
    kms_key_arn       = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-bbbbbbbb222233334444555555555555"
  }

  override_resource {
    target          = aws_s3_bucket.media
    override_during = plan
    values          = { id = "b", arn = "arn:aws-us-gov:s3:::bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" }
  }

  assert {
    condition     = max([for p in aws_iam_policy.process : length(p.policy)]...) <= 6144
    error_message = "IAM takes no policy of more than 6,144 characters; the longest has ${max([for p in aws_iam_policy.process : length(p.policy)]...)}."
  }
}
