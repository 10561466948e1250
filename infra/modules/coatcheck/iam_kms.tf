# Grants on the KMS keys, each list empty when no key is given. kms:ViaService ties them to the one service: a
# process cannot use the key for anything else.

locals {
  # PutObject takes a data key. Decrypt is for GET, and for a HEAD that asks for the checksum.
  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
  api_kms_statements = concat(
    var.kms_key_arn == null ? [] : [{
      Sid       = "EncryptAndDecryptObjects"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = var.kms_key_arn
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
    }],
    var.queue_kms_key_arn == null ? [] : [{
      Sid       = "DecryptDeadLetters"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = var.queue_kms_key_arn
      Condition = { StringEquals = { "kms:ViaService" = "sqs.${local.region}.${local.dns_suffix}" } }
    }],
  )

  sweeper_kms_statements = var.kms_key_arn == null ? [] : [{
    Sid       = "ReadChecksums"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
  }]

  # A copy is written anew, and takes a data key; without a quarantine the reconciler writes nothing.
  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
  reconciler_kms_statements = var.kms_key_arn == null ? [] : [{
    Sid       = "ReadChecksumsAndCopyObjects"
    Effect    = "Allow"
    Action    = concat(["kms:Decrypt"], var.quarantine_prefix == null ? [] : ["kms:GenerateDataKey"])
    Resource  = var.kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${local.dns_suffix}" } }
  }]

  consumer_kms_statements = var.queue_kms_key_arn == null ? [] : [{
    Sid       = "DecryptMessages"
    Effect    = "Allow"
    Action    = ["kms:Decrypt"]
    Resource  = var.queue_kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "sqs.${local.region}.${local.dns_suffix}" } }
  }]

  # A producer needs Decrypt as well: SQS proves the new data key by it.
  redrive_kms_statements = var.queue_kms_key_arn == null ? [] : [{
    Sid       = "ReencryptMessages"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = var.queue_kms_key_arn
    Condition = { StringEquals = { "kms:ViaService" = "sqs.${local.region}.${local.dns_suffix}" } }
  }]
}
