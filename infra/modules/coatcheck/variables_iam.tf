variable "create_policies" {
  description = "Whether the IAM policies are made. False for accounts where another team owns IAM, and for emulators without it; the documents are in the output policy_documents either way."
  type        = bool
  default     = true
  nullable    = false
}

variable "policy_path" {
  description = "IAM path of the policies."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.policy_path))
    error_message = "policy_path must begin and end with '/'."
  }
}

variable "attach_policies_to_roles" {
  description = "Names of existing roles to attach the policies to, by process: { api = [\"my-api-task\"], consumer = [...], sweeper = [...], reconciler = [...], redrive = [\"oncall\"] }. One role may stand under several. The names have to be known when planning."
  type        = map(set(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.attach_policies_to_roles) : contains(["api", "consumer", "sweeper", "reconciler", "redrive"], k)])
    error_message = "attach_policies_to_roles knows the keys api, consumer, sweeper, reconciler and redrive, and no others."
  }

  validation {
    condition     = var.create_policies || alltrue([for r in values(var.attach_policies_to_roles) : length(r) == 0])
    error_message = "attach_policies_to_roles names roles, but create_policies is false: there is nothing to attach."
  }

  validation {
    condition     = alltrue([for r in flatten([for s in values(var.attach_policies_to_roles) : tolist(s)]) : can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", r))])
    error_message = "attach_policies_to_roles takes the names of roles (1 to 64 characters, no path), not their ARNs."
  }
}
