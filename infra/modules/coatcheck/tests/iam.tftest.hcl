# What each process may do: these actions, on these resources, and nothing else.

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
    condition = jsonencode({
      for k, p in aws_iam_policy.process : k => sort(flatten([for s in jsondecode(p.policy).Statement : [for a in s.Action : [for r in flatten([s.Resource]) : "${a} ${r}"]]]))
      }) == jsonencode({
      api = [
        "s3:GetObject arn:aws:s3:::acme-uploads/media/*",
        "s3:GetObjectVersion arn:aws:s3:::acme-uploads/media/*",
        "s3:ListBucket arn:aws:s3:::acme-uploads",
        "s3:PutObject arn:aws:s3:::acme-uploads/media/*",
        "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:GetQueueUrl arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueUrl arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
      ]
      consumer = [
        "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:GetQueueUrl arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueUrl arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
      ]
      sweeper = [
        "s3:DeleteObject arn:aws:s3:::acme-uploads/media/*",
        "s3:DeleteObjectVersion arn:aws:s3:::acme-uploads/media/*",
        "s3:GetBucketVersioning arn:aws:s3:::acme-uploads",
        "s3:GetObject arn:aws:s3:::acme-uploads/media/*",
        "s3:GetObjectVersion arn:aws:s3:::acme-uploads/media/*",
        "s3:ListBucket arn:aws:s3:::acme-uploads",
        "s3:ListBucketVersions arn:aws:s3:::acme-uploads",
      ]
      reconciler = [
        "s3:AbortMultipartUpload arn:aws:s3:::acme-uploads/media/*",
        "s3:DeleteObject arn:aws:s3:::acme-uploads/media/*",
        "s3:DeleteObjectVersion arn:aws:s3:::acme-uploads/media/*",
        "s3:GetBucketVersioning arn:aws:s3:::acme-uploads",
        "s3:GetObject arn:aws:s3:::acme-uploads/media/*",
        "s3:GetObjectTagging arn:aws:s3:::acme-uploads/media/*",
        "s3:GetObjectVersion arn:aws:s3:::acme-uploads/media/*",
        "s3:GetObjectVersionTagging arn:aws:s3:::acme-uploads/media/*",
        "s3:ListBucket arn:aws:s3:::acme-uploads",
        "s3:ListBucketMultipartUploads arn:aws:s3:::acme-uploads",
        "s3:ListBucketVersions arn:aws:s3:::acme-uploads",
        "s3:PutObject arn:aws:s3:::acme-uploads/coatcheck-quarantine/*",
        "s3:PutObjectTagging arn:aws:s3:::acme-uploads/coatcheck-quarantine/*",
      ]
      redrive = [
        "sqs:CancelMessageMoveTask arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:ListMessageMoveTasks arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
        "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings",
        "sqs:StartMessageMoveTask arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters",
      ]
    })
    error_message = "A policy grants something else than it should."
  }

  assert {
    condition     = alltrue(flatten([for p in aws_iam_policy.process : [for s in jsondecode(p.policy).Statement : [for a in s.Action : !strcontains(a, "*")]]]))
    error_message = "No policy may grant actions by wildcard."
  }

  assert {
    condition     = !anytrue([for p in aws_iam_policy.process : strcontains(p.policy, "kms:")])
    error_message = "Without a key no policy may speak of KMS."
  }
}

run "by_choice" {
  command = plan
  variables {
    key_prefix               = "team/media/"
    kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/bbbbbbbb-2222-3333-4444-555555555555"
    queue_kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/cccccccc-2222-3333-4444-555555555555"
    attach_policies_to_roles = { api = ["web", "all-in-one"], consumer = ["all-in-one"], sweeper = ["all-in-one"], reconciler = ["oncall"] }
  }

  assert {
    condition = jsonencode({
      for k, p in aws_iam_policy.process : k => distinct([for s in jsondecode(p.policy).Statement : s.Condition if contains(s.Action, "s3:ListBucket")])
      }) == jsonencode({
      api        = [{ StringLike = { "s3:prefix" = ["team/media/*"] } }]
      consumer   = []
      sweeper    = [{ StringLike = { "s3:prefix" = ["team/media/*"] } }]
      reconciler = [{ StringLike = { "s3:prefix" = ["team/media/*"] } }]
      redrive    = []
    })
    error_message = "Whoever may list, may list below the prefix only."
  }
  assert {
    condition = alltrue(flatten([for p in aws_iam_policy.process : [
      for s in jsondecode(p.policy).Statement : flatten([s.Resource]) == ["arn:aws:s3:::acme-uploads/team/media/*"] if contains(s.Action, "s3:DeleteObject")
    ]]))
    error_message = "Deleting must stay below the prefix."
  }

  assert {
    condition = {
      for k, p in aws_iam_policy.process : k => [
        for s in jsondecode(p.policy).Statement : [join(" ", s.Action), s.Resource, s.Condition.StringEquals["kms:ViaService"]] if startswith(s.Action[0], "kms:")
      ]
      } == {
      api        = [["kms:Decrypt kms:GenerateDataKey", var.kms_key_arn, "s3.eu-central-1.amazonaws.com"], ["kms:Decrypt", var.queue_kms_key_arn, "sqs.eu-central-1.amazonaws.com"]]
      sweeper    = [["kms:Decrypt", var.kms_key_arn, "s3.eu-central-1.amazonaws.com"]]
      reconciler = [["kms:Decrypt kms:GenerateDataKey", var.kms_key_arn, "s3.eu-central-1.amazonaws.com"]]
      consumer   = [["kms:Decrypt", var.queue_kms_key_arn, "sqs.eu-central-1.amazonaws.com"]]
      redrive    = [["kms:Decrypt kms:GenerateDataKey", var.queue_kms_key_arn, "sqs.eu-central-1.amazonaws.com"]]
    }
    error_message = "Each process must be able to use its key, through its service only."
  }

  assert {
    condition     = keys(aws_iam_role_policy_attachment.process) == ["api/all-in-one", "api/web", "consumer/all-in-one", "reconciler/oncall", "sweeper/all-in-one"]
    error_message = "Every named role must get its policy, and no other."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.process["api/web"].role == "web"
    error_message = "The policy must go to the named role."
  }
}
