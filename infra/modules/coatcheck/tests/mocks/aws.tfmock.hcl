# What AWS would have filled in. Everything that a policy is built from has the shape of the real thing, so that the
# tests read the very JSON that AWS would be given.

mock_data "aws_region" {
  defaults = { name = "eu-central-1" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

override_resource {
  target = aws_s3_bucket.media
  values = { id = "acme-uploads", arn = "arn:aws:s3:::acme-uploads" }
}

override_resource {
  target = aws_sqs_queue.landings
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/acme-uploads-landings"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/acme-uploads-landings"
    arn = "arn:aws:sqs:eu-central-1:123456789012:acme-uploads-landings"
  }
}

override_resource {
  target = aws_sqs_queue.dead_letters
  values = {
    id  = "https://sqs.eu-central-1.amazonaws.com/123456789012/acme-uploads-dead-letters"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/acme-uploads-dead-letters"
    arn = "arn:aws:sqs:eu-central-1:123456789012:acme-uploads-dead-letters"
  }
}

mock_resource "aws_iam_policy" {
  defaults = { arn = "arn:aws:iam::123456789012:policy/acme-uploads" }
}

mock_resource "aws_cloudwatch_metric_alarm" {
  defaults = { arn = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:acme-uploads" }
}
