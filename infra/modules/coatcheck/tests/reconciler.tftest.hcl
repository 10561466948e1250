# What the reconciler needs beside the managed prefix: adopted prefixes, quarantine, inventory.

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
  assert {
    condition     = length(aws_s3_bucket_inventory.media) == 0 && output.inventory_location == null && output.inventory_bucket_policy == null
    error_message = "An inventory must be asked for."
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

run "inventory_in_this_bucket" {
  command = plan
  variables {
    inventory = {}
  }

  assert {
    condition     = aws_s3_bucket_inventory.media[0].included_object_versions == "Current" && aws_s3_bucket_inventory.media[0].schedule[0].frequency == "Daily" && length(aws_s3_bucket_inventory.media[0].filter) == 0
    error_message = "The inventory must list the whole bucket every day."
  }
  assert {
    condition     = aws_s3_bucket_inventory.media[0].optional_fields == toset(["Size", "LastModifiedDate", "ETag"])
    error_message = "The inventory must hold the fields that the reconciler reads."
  }
  assert {
    condition = {
      for k, v in one(aws_s3_bucket_inventory.media[0].destination[0].bucket) : k => v if k != "encryption"
      } == {
      bucket_arn = "arn:aws:s3:::acme-uploads"
      account_id = "123456789012"
      format     = "CSV"
      prefix     = "inventory"
    }
    error_message = "The inventory must go to this bucket, under its prefix, which S3 ends with a slash of its own."
  }
  assert {
    condition     = length(one(aws_s3_bucket_inventory.media[0].destination[0].bucket).encryption) == 0
    error_message = "Without a key the reports are encrypted as the bucket says."
  }

  assert {
    condition = [for s in jsondecode(aws_s3_bucket_policy.media[0].policy).Statement : s if s.Effect == "Allow"] == [{
      Sid       = "AllowInventory"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "arn:aws:s3:::acme-uploads/inventory/acme-uploads/*"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::acme-uploads" }
        StringEquals = { "aws:SourceAccount" = "123456789012", "s3:x-amz-acl" = "bucket-owner-full-control" }
      }
    }]
    error_message = "S3 alone may deliver, for this bucket and this account, into its folder."
  }
  assert {
    condition = { for s in jsondecode(aws_iam_policy.process["reconciler"].policy).Statement : s.Sid => [s.Action, s.Resource] if strcontains(s.Sid, "Inventory") } == {
      ReadInventory       = [["s3:GetObject"], "arn:aws:s3:::acme-uploads/inventory/acme-uploads/*"]
      FindNewestInventory = [["s3:ListBucket"], "arn:aws:s3:::acme-uploads"]
    }
    error_message = "The reconciler must be able to find and read the reports."
  }
  assert {
    condition     = [for s in jsondecode(aws_iam_policy.process["reconciler"].policy).Statement : s.Condition.StringLike["s3:prefix"] if s.Sid == "FindNewestInventory"] == [["inventory/acme-uploads/*"]]
    error_message = "The reconciler must not list beside the reports."
  }
  assert {
    condition = [for r in slice(aws_s3_bucket_lifecycle_configuration.media.rule, 2, length(aws_s3_bucket_lifecycle_configuration.media.rule)) : "${r.id} ${r.status} ${r.filter[0].prefix} ${r.expiration[0].days}"] == [
      "expire-quarantine Enabled coatcheck-quarantine/ 30",
      "expire-inventory Enabled inventory/acme-uploads/ 30",
    ]
    error_message = "Reports in this bucket must expire."
  }
  assert {
    condition     = output.inventory_location == "s3://acme-uploads/inventory/acme-uploads/" && output.inventory_bucket_policy == null
    error_message = "Who configures the reconciler must be told where the reports are."
  }
}

run "inventory_elsewhere" {
  command = plan
  variables {
    # Nothing else that would make a policy for this bucket.
    require_tls        = false
    enforce_write_once = false
    versioning         = true
    kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/bbbbbbbb-2222-3333-4444-555555555555"
    inventory = {
      bucket_name = "acme-reports"
      account_id  = "210987654321"
      prefix      = "media/s3/" # overlaps key_prefix, in another bucket
      format      = "Parquet"
      frequency   = "Weekly"
    }
  }

  assert {
    condition     = aws_s3_bucket_inventory.media[0].included_object_versions == "All" && aws_s3_bucket_inventory.media[0].schedule[0].frequency == "Weekly"
    error_message = "With versioning the inventory must list all versions."
  }
  assert {
    condition = {
      for k, v in one(aws_s3_bucket_inventory.media[0].destination[0].bucket) : k => v if k != "encryption"
      } == {
      bucket_arn = "arn:aws:s3:::acme-reports"
      account_id = "210987654321"
      format     = "Parquet"
      prefix     = "media/s3"
    }
    error_message = "The inventory must go to the given bucket of the given account."
  }
  assert {
    condition     = one(aws_s3_bucket_inventory.media[0].destination[0].bucket).encryption[0].sse_kms[0].key_id == var.kms_key_arn
    error_message = "The reports must be encrypted with the key of the objects."
  }

  assert {
    condition     = length(aws_s3_bucket_policy.media) == 0
    error_message = "Nobody delivers to this bucket."
  }
  assert {
    condition     = [for s in jsondecode(output.inventory_bucket_policy).Statement : [s.Resource, s.Condition.ArnEquals["aws:SourceArn"], s.Condition.StringEquals["aws:SourceAccount"]]] == [["arn:aws:s3:::acme-reports/media/s3/acme-uploads/*", "arn:aws:s3:::acme-uploads", "123456789012"]]
    error_message = "The owner of the other bucket must be told what its policy needs."
  }
  assert {
    condition = { for s in jsondecode(aws_iam_policy.process["reconciler"].policy).Statement : s.Sid => s.Resource if strcontains(s.Sid, "Inventory") } == {
      ReadInventory       = "arn:aws:s3:::acme-reports/media/s3/acme-uploads/*"
      FindNewestInventory = "arn:aws:s3:::acme-reports"
    }
    error_message = "The reconciler must be able to find and read the reports in the other bucket."
  }
  assert {
    condition     = !anytrue([for r in aws_s3_bucket_lifecycle_configuration.media.rule : r.id == "expire-inventory"])
    error_message = "Reports in another bucket are not this bucket's to expire."
  }
  assert {
    condition     = output.inventory_location == "s3://acme-reports/media/s3/acme-uploads/"
    error_message = "Who configures the reconciler must be told where the reports are."
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
    inventory = {
      bucket_name = join("", [for i in range(63) : "r"])
      prefix      = "${join("", [for i in range(199) : "i"])}/"
    }
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
