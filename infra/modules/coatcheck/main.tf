# Region and account are read from the provider and from a queue's ARN. Nothing asks STS, so the module also applies
# where there is none to ask (an emulator, a provider that skips the account id).
data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  name       = coalesce(var.name, var.bucket_name)
  region     = data.aws_region.current.name
  dns_suffix = data.aws_partition.current.dns_suffix

  # The queues lie in the account that this module runs in, and so does the bucket.
  account_id = split(":", aws_sqs_queue.dead_letters.arn)[4]

  # Where uploads go. Only here is anything new allowed to appear.
  minted_objects_arn = "${aws_s3_bucket.media.arn}/${var.key_prefix}*"

  # Every grant to read or delete media ends here: nothing under any other prefix can be looked at or deleted.
  managed_prefixes     = concat([var.key_prefix], tolist(var.adopted_prefixes))
  managed_objects_arns = [for prefix in local.managed_prefixes : "${aws_s3_bucket.media.arn}/${prefix}*"]

  # Condition of a listing. S3 also holds it against the key of a HEAD or GET when that finds nothing, to choose
  # between the answers 404 and 403, so it has to admit keys as well as the prefix itself.
  managed_prefixes_condition = { StringLike = { "s3:prefix" = [for prefix in local.managed_prefixes : "${prefix}*"] } }
}
