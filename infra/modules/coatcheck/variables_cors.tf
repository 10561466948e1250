variable "cors_allowed_origins" {
  description = "Origins whose pages may upload, such as https://app.example.com. One '*' may stand for a part of the host (https://*.example.com). Empty: no browser may, apps still can."
  type        = list(string)
  default     = []
  nullable    = false

  # A browser compares the origin as a string: a path, a final slash or a capital letter means that the rule never
  # matches, and the upload fails with an error that does not say why.
  validation {
    condition = alltrue([
      for o in var.cors_allowed_origins : o == "*" || can(regex("^[a-z][a-z0-9+.-]*://[a-z0-9.*-]+(:[0-9]{1,5})?$", o))
    ])
    error_message = "cors_allowed_origins must each be scheme://host or scheme://host:port in lower case, with no path and no '/' at the end."
  }

  validation {
    condition     = alltrue([for o in var.cors_allowed_origins : length(regexall("\\*", o)) <= 1])
    error_message = "cors_allowed_origins may each hold at most one '*': S3 allows no more."
  }

  # "https://*" is every site, as "*" is.
  validation {
    condition     = var.cors_allow_any_origin || !anytrue([for o in var.cors_allowed_origins : o == "*" || endswith(o, "://*")])
    error_message = "cors_allowed_origins lets every site in ('*'). Name the origins, or set cors_allow_any_origin = true if that is what you want."
  }

  # S3 takes 100 rules; one rule takes as many origins as fit into the 64 KB document.
  validation {
    condition     = length(var.cors_allowed_origins) <= 100
    error_message = "cors_allowed_origins takes at most 100 origins."
  }
}

variable "cors_allow_any_origin" {
  description = "Permits '*' in cors_allowed_origins. A presigned request is a bearer token already, so this opens no object; it lets any page use a token that it got hold of."
  type        = bool
  default     = false
  nullable    = false
}

variable "cors_max_age_seconds" {
  description = "How long a browser may keep the answer to its preflight request. Browsers cap it themselves (Chromium at 7,200 s)."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.cors_max_age_seconds >= 0 && var.cors_max_age_seconds <= 86400 && floor(var.cors_max_age_seconds) == var.cors_max_age_seconds
    error_message = "cors_max_age_seconds must be a whole number from 0 to 86400 (a day)."
  }
}
