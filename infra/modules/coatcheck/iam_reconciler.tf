# The reconciler compares what is in the bucket with what is in the database. The same policy serves the process and
# the person who runs `coatcheck reconcile`.

locals {
  reconciler_statements = concat(
    [
      # A stray is deleted only if its ETag is still the one that was looked at, which takes s3:GetObject as well.
      # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
      # Tags go with a copy: S3 refuses to copy a tagged object for those who may not read its tags.
      # https://repost.aws/knowledge-center/s3-troubleshoot-copy-between-buckets
      {
        Sid    = "LookAtAndDeleteStrays"
        Effect = "Allow"
        Action = concat(
          [
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:GetObject",
            "s3:GetObjectVersion",
          ],
          var.quarantine_prefix == null ? [] : ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
        )
        Resource = local.managed_objects_arns
      },
      {
        Sid       = "ListManagedPrefixes"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketVersions"]
        Resource  = aws_s3_bucket.media.arn
        Condition = local.managed_prefixes_condition
      },
      # Without the condition on the prefix: S3 has no s3:prefix for this action, and a condition on a key that is not
      # there is never met. It lets the names of all unfinished uploads be seen; aborting stays below the prefixes.
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
      {
        Sid      = "ListUnfinishedUploads"
        Effect   = "Allow"
        Action   = ["s3:ListBucketMultipartUploads"]
        Resource = aws_s3_bucket.media.arn
      },
      # Whether there are versions to be listed, and to be deleted one by one.
      {
        Sid      = "AskForVersioning"
        Effect   = "Allow"
        Action   = ["s3:GetBucketVersioning"]
        Resource = aws_s3_bucket.media.arn
      },
    ],

    # Into quarantine, and not out of it: what lies there is for a person to look at and for the lifecycle to delete.
    [for prefix in compact([var.quarantine_prefix]) : {
      Sid      = "CopyIntoQuarantine"
      Effect   = "Allow"
      Action   = ["s3:PutObject", "s3:PutObjectTagging"]
      Resource = "${aws_s3_bucket.media.arn}/${prefix}*"
    }],

    [for folder in compact([local.inventory_folder]) : {
      Sid      = "ReadInventory"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = "${local.inventory_bucket_arn}/${folder}*"
    }],
    # A manifest lies in a folder named for the minute in which S3 began to scan: the newest has to be looked for.
    [for folder in compact([local.inventory_folder]) : {
      Sid       = "FindNewestInventory"
      Effect    = "Allow"
      Action    = ["s3:ListBucket"]
      Resource  = local.inventory_bucket_arn
      Condition = { StringLike = { "s3:prefix" = ["${folder}*"] } }
    }],
  )
}
