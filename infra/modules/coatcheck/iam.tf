# One policy for each process, and one for the person who sends dead letters back. Each grants what that process
# calls and nothing else; a process that runs several roles is given several policies. The reconciler's is long
# enough for a file of its own, iam_reconciler.tf.

locals {
  # Presigning asks nothing of AWS, but a presigned request can do only what its signer may: the API holds the
  # right to write what it lets others write.
  api_statements = [
    # New keys are minted under key_prefix only: adopted media can be downloaded, never added to.
    {
      Sid      = "PresignUploads"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = local.minted_objects_arn
    },
    {
      Sid      = "PresignDownloadsAndReadObjects"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = local.managed_objects_arns
    },
    # HEAD of a key that does not exist answers 404 to those who may list, and 403 to all others. Only a 404 says
    # that an upload has not landed.
    {
      Sid       = "TellAbsentFromForbidden"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = aws_s3_bucket.media.arn
      Condition = local.managed_prefixes_condition
    },
    # For the operator's window, when the process is told of the queue: how deep it is, and what is in the dead-letter
    # queue. Looking takes receiving, and letting others see it again.
    {
      Sid      = "TellQueueDepths"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = [aws_sqs_queue.landings.arn, aws_sqs_queue.dead_letters.arn]
    },
    {
      Sid      = "LookAtDeadLetters"
      Effect   = "Allow"
      Action   = ["sqs:ChangeMessageVisibility", "sqs:ReceiveMessage"]
      Resource = aws_sqs_queue.dead_letters.arn
    },
  ]

  consumer_statements = [
    {
      Sid    = "ReceiveAndAcknowledge"
      Effect = "Allow"
      Action = [
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ReceiveMessage",
      ]
      Resource = aws_sqs_queue.landings.arn
    },
    # The number of dead letters is one of the consumer's metrics. It knows that queue by the name in the redrive
    # policy, and has to ask for its URL.
    {
      Sid      = "CountDeadLetters"
      Effect   = "Allow"
      Action   = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      Resource = aws_sqs_queue.dead_letters.arn
    },
  ]

  # Adopted media are deleted like all others once the product has released them. The grants on versions stay when
  # versioning is off: versions outlive its suspension, and where there never were any they allow nothing more.
  sweeper_statements = [
    {
      Sid    = "LookAtAndDeleteObjects"
      Effect = "Allow"
      Action = [
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:GetObject",
        "s3:GetObjectVersion",
      ]
      Resource = local.managed_objects_arns
    },
    {
      Sid       = "ListManagedPrefixes"
      Effect    = "Allow"
      Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
      Resource  = aws_s3_bucket.media.arn
      Condition = local.managed_prefixes_condition
    },
    # Whether deleting an object means deleting its versions one by one.
    {
      Sid      = "AskForVersioning"
      Effect   = "Allow"
      Action   = ["s3:GetBucketVersioning"]
      Resource = aws_s3_bucket.media.arn
    },
  ]

  # A move task acts for whoever started it: it receives and deletes at one end and sends at the other.
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
  redrive_statements = [
    {
      Sid    = "MoveFromDeadLetters"
      Effect = "Allow"
      Action = [
        "sqs:CancelMessageMoveTask",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ListMessageMoveTasks",
        "sqs:ReceiveMessage",
        "sqs:StartMessageMoveTask",
      ]
      Resource = aws_sqs_queue.dead_letters.arn
    },
    {
      Sid      = "MoveToQueue"
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = aws_sqs_queue.landings.arn
    },
  ]

  # Nothing that may change later goes in here: IAM cannot change a description, so that another adopted prefix
  # would replace the policies.
  policy_descriptions = {
    api        = "coatcheck api: presign uploads and downloads, look at objects under ${var.key_prefix}"
    consumer   = "coatcheck consumer: receive and acknowledge notifications"
    sweeper    = "coatcheck sweeper: list, look at and delete objects under ${var.key_prefix}"
    reconciler = "coatcheck reconciler: compare the bucket with the database, delete or quarantine what no row explains"
    redrive    = "coatcheck operator: send dead letters back to the queue"
  }

  # As strings, because the lists hold objects of different types and would not fit one map.
  policy_documents = {
    api        = jsonencode({ Version = "2012-10-17", Statement = concat(local.api_statements, local.api_kms_statements) })
    consumer   = jsonencode({ Version = "2012-10-17", Statement = concat(local.consumer_statements, local.consumer_kms_statements) })
    sweeper    = jsonencode({ Version = "2012-10-17", Statement = concat(local.sweeper_statements, local.sweeper_kms_statements) })
    reconciler = jsonencode({ Version = "2012-10-17", Statement = concat(local.reconciler_statements, local.reconciler_kms_statements) })
    redrive    = jsonencode({ Version = "2012-10-17", Statement = concat(local.redrive_statements, local.redrive_kms_statements) })
  }

  attachments = merge([
    for process, roles in var.attach_policies_to_roles : {
      for role in roles : "${process}/${role}" => { process = process, role = role }
    }
  ]...)
}

resource "aws_iam_policy" "process" {
  for_each = var.create_policies ? local.policy_descriptions : {}

  name        = "${local.name}-${each.key}"
  path        = var.policy_path
  description = each.value
  policy      = local.policy_documents[each.key]
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "process" {
  for_each = local.attachments

  role       = each.value.role
  policy_arn = aws_iam_policy.process[each.value.process].arn
}
